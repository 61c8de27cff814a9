"""Calling one function: sync or async, within its time, whatever it does."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings.errors import FunctionTimeoutError
from func_host.invocation import invoker as invoking
from func_host.invocation.invoker import LoopInvoker
from tests.host.invocation.calling import indexed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio

WAIT_S = 10
SHORT_S = 0.02


def double(value: int) -> int:
    return value * 2


async def double_async(value: int) -> int:
    return value * 2


def double_wrapped(value: int) -> Awaitable[int]:
    return double_async(value)


@pytest.mark.parametrize("function", [double, double_async, double_wrapped])
async def test_a_function_is_called_and_its_result_given(function: Any) -> None:
    async with LoopInvoker(threads=1, timeout_s=WAIT_S) as invoker:
        invocation = invoker.start(indexed(function), {"value": 21})
        result = await invocation.outcome
        await invocation.released

    assert result == 42
    assert invoker.running == 0


async def test_a_sync_function_runs_in_a_thread_and_an_async_one_on_the_loop() -> None:
    def sync() -> int:
        return threading.get_ident()

    async def on_loop() -> int:
        return threading.get_ident()

    async with LoopInvoker(threads=1) as invoker:
        here = threading.get_ident()

        assert await invoker.invoke(indexed(sync), {}) != here
        assert await invoker.invoke(indexed(on_loop), {}) == here


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_a_function_raises_comes_to_its_caller(*, is_async: bool) -> None:
    def fails() -> None:
        raise ValueError("bad")

    async def fails_async() -> None:
        raise ValueError("bad")

    async with LoopInvoker(threads=1) as invoker:
        with pytest.raises(ValueError, match="bad"):
            await invoker.invoke(indexed(fails_async if is_async else fails), {})


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        StopIteration(1),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_ends_programs_ends_only_the_function(
    error: BaseException, *, is_async: bool
) -> None:
    def fails() -> None:
        raise error

    async def fails_async() -> None:
        raise error

    async with LoopInvoker(threads=1) as invoker:
        with pytest.raises(RuntimeError) as told:
            await invoker.invoke(indexed(fails_async if is_async else fails), {})

        assert type(error).__name__ in str(told.value) or isinstance(error, StopIteration)
        assert await invoker.invoke(indexed(double), {"value": 1}) == 2


async def test_a_sync_function_over_its_time_keeps_its_thread_and_its_late_result_is_dropped() -> (
    None
):
    go = threading.Event()

    def slow() -> str:
        assert go.wait(WAIT_S)
        return "late"

    async with LoopInvoker(threads=1, timeout_s=SHORT_S) as invoker:
        invocation = invoker.start(indexed(slow), {})
        with pytest.raises(FunctionTimeoutError, match="'slow' ran longer"):
            await invocation.outcome
        assert not invocation.released.done()
        assert invoker.running == 1

        go.set()
        async with asyncio.timeout(WAIT_S):
            await invocation.released
        assert isinstance(invocation.outcome.exception(), FunctionTimeoutError)


async def test_the_time_limit_begins_when_the_function_gets_its_thread() -> None:
    go = threading.Event()

    def slow() -> None:
        assert go.wait(WAIT_S)

    async with LoopInvoker(threads=1, timeout_s=SHORT_S) as invoker:
        first = invoker.start(indexed(slow), {})
        second = invoker.start(indexed(double), {"value": 1})
        with pytest.raises(FunctionTimeoutError):
            await first.outcome
        assert not second.outcome.done()
        go.set()

        async with asyncio.timeout(WAIT_S):
            assert await second.outcome == 2


async def test_an_async_function_over_its_time_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with LoopInvoker(threads=1, timeout_s=SHORT_S) as invoker:
        invocation = invoker.start(indexed(slow), {})
        with pytest.raises(FunctionTimeoutError):
            await invocation.outcome
        await invocation.released

        assert cancelled.is_set()


async def test_an_async_function_that_will_not_be_cancelled_holds_its_slot_until_it_ends() -> None:
    go, refused = asyncio.Event(), asyncio.Event()

    async def stubborn() -> str:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                refused.set()
        return "late"

    async with LoopInvoker(threads=1, timeout_s=SHORT_S) as invoker:
        invocation = invoker.start(indexed(stubborn), {})
        with pytest.raises(FunctionTimeoutError):
            await invocation.outcome
        await refused.wait()
        assert not invocation.released.done()
        go.set()
        await invocation.released

        assert isinstance(invocation.outcome.exception(), FunctionTimeoutError)


async def test_a_coroutine_that_a_sync_function_gives_too_late_is_not_begun() -> None:
    go = threading.Event()
    begun: list[int] = []

    async def inner() -> None:
        begun.append(1)

    def wrapper() -> Awaitable[None]:
        assert go.wait(WAIT_S)
        return inner()

    async with LoopInvoker(threads=1, timeout_s=SHORT_S) as invoker:
        invocation = invoker.start(indexed(wrapper), {})
        with pytest.raises(FunctionTimeoutError):
            await invocation.outcome
        go.set()
        async with asyncio.timeout(WAIT_S):
            await invocation.released

        assert begun == []


async def test_a_caller_that_gives_up_does_not_disturb_the_function() -> None:
    go = threading.Event()
    ended: list[int] = []

    def slow() -> None:
        assert go.wait(WAIT_S)
        ended.append(1)

    async with LoopInvoker(threads=1) as invoker:
        invocation = invoker.start(indexed(slow), {})
        invocation.outcome.cancel()
        go.set()
        async with asyncio.timeout(WAIT_S):
            await invocation.released

        assert ended == [1]


async def test_leaving_cancels_what_runs_on_the_loop_and_tells_who_waits() -> None:
    begun = asyncio.Event()

    async def forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    go = threading.Event()
    async with LoopInvoker(threads=1) as invoker:
        running = invoker.start(indexed(forever), {})
        await begun.wait()
        unstarted = invoker.start(indexed(forever), {})
        invoker.start(indexed(lambda: go.wait(WAIT_S)), {})
        waiting = invoker.start(indexed(double), {"value": 1})
    go.set()

    for invocation in (running, unstarted, waiting):
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(RuntimeError, match="CancelledError"):
                await invocation.outcome


async def test_leaving_does_not_wait_for_ever_for_what_will_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(invoking, "DRAIN_S", SHORT_S)
    begun, go = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    async with asyncio.timeout(WAIT_S):
        async with LoopInvoker(threads=1) as invoker:
            invocation = invoker.start(indexed(stubborn), {})
            await begun.wait()
        go.set()
        await invocation.released


class Counting:
    """Steps that are over once as many looks at them as asked for have been taken."""

    def __init__(self, call: Callable[[], Any], looks: int) -> None:
        self.limits: list[float] = []
        self._call = call
        self._looks = looks

    def __call__(self) -> Any:
        return self._call()

    def left_s(self, limit_s: float) -> float:
        self.limits.append(limit_s)
        return 0.001 if len(self.limits) < self._looks else 0.0


@pytest.mark.parametrize("function", [double, double_async])
async def test_steps_run_as_their_function_does(function: Any) -> None:
    steps = Counting(lambda: function(21), looks=1)

    async with LoopInvoker(threads=1, timeout_s=WAIT_S) as invoker:
        assert await invoker.start_steps(indexed(function), steps).outcome == 42

    assert steps.limits == []


async def test_steps_end_when_nothing_is_left_of_the_limit_of_the_one_that_runs() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    steps = Counting(waits, looks=3)

    async with LoopInvoker(threads=1, timeout_s=SHORT_S) as invoker:
        invocation = invoker.start_steps(indexed(waits), steps)
        with pytest.raises(FunctionTimeoutError, match="'waits' ran longer"):
            await invocation.outcome
        async with asyncio.timeout(WAIT_S):
            await invocation.released

    assert steps.limits == [SHORT_S] * 3


async def test_the_limit_of_a_wrapper_goes_on_where_its_coroutine_does() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    def wrapper() -> Awaitable[None]:
        return waits()

    async with LoopInvoker(threads=1, timeout_s=SHORT_S) as invoker:
        invocation = invoker.start(indexed(wrapper), {})
        with pytest.raises(FunctionTimeoutError, match="'wrapper' ran longer"):
            await invocation.outcome
        async with asyncio.timeout(WAIT_S):
            await invocation.released
