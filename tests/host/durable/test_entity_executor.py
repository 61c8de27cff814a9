"""Batches of operations run where functions run, each operation within the time limit."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import EntityId, entity_trigger
from func_bindings.errors import FunctionNotFoundError
from func_host import log
from func_host.clock import SystemClock
from func_host.durable.entity_executor import Operation
from func_host.invocation.invoker import LoopInvoker
from tests.host.durable.operations.acting import executor_of, failed

if TYPE_CHECKING:
    from func_bindings import EntityContext

pytestmark = pytest.mark.anyio

WAIT_S = 10
SHORT_S = 0.02
ENTITY = EntityId("counter", "k")


def operations(*names: str) -> list[Operation]:
    return [Operation(name, None) for name in names]


async def test_it_says_which_entities_there_are() -> None:
    @entity_trigger
    def Counter(context: EntityContext) -> None: ...  # noqa: N802 -- its name is told as it is

    async with LoopInvoker(threads=1) as invoker:
        executor = executor_of(invoker, Counter)

        assert executor.why_unknown("COUNTER") is None
        assert executor.why_unknown("nope") == (
            "The function 'nope' doesn't exist, is disabled, or is not an entity function. "
            "Additional info: The following are the known entity functions: 'Counter'."
        )
        with pytest.raises(FunctionNotFoundError, match="'nope' doesn't exist"):
            await executor.run(EntityId("nope", "k"), None, operations("a"))
        assert (await executor.run(ENTITY, "1", [])).state == "1"


async def test_a_batch_of_a_plain_function_runs_in_one_thread_and_of_an_async_one_on_the_loop() -> (
    None
):
    threads: list[int] = []

    @entity_trigger
    def counter(context: EntityContext) -> None:
        threads.append(threading.get_ident())

    @entity_trigger
    class Mixed:
        async def wait(self) -> None:
            threads.append(threading.get_ident())

        def add(self) -> None:
            threads.append(threading.get_ident())

    async with LoopInvoker(threads=3) as invoker:
        executor = executor_of(invoker, counter, Mixed)
        await executor.run(ENTITY, None, operations("a", "b", "c"))
        assert len(set(threads)) == 1
        assert threading.get_ident() not in threads

        threads.clear()
        await executor.run(EntityId("mixed", "k"), None, operations("add", "wait", "add", "wait"))
        assert threads == [threading.get_ident()] * 4


async def test_records_of_user_code_say_function_and_instance(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fields: list[dict[str, object]] = []

    @entity_trigger
    def counter(context: EntityContext) -> None:
        context.logger.warning("hello")
        record = logging.makeLogRecord({})
        fields.append(log.fields_of(record))

    async with LoopInvoker(threads=1) as invoker:
        await executor_of(invoker, counter).run(ENTITY, None, operations("a"))

    assert fields == [{log.FUNCTION_NAME: "counter", log.INSTANCE_ID: "@counter@k"}]
    assert [(each.name, each.getMessage()) for each in caplog.records] == [("counter", "hello")]


async def test_a_plain_operation_over_its_time_fails_and_the_rest_goes_on_without_it() -> None:
    go, ended = threading.Event(), threading.Event()

    @entity_trigger
    def counter(context: EntityContext) -> Any:
        seen = context.get_state(list[str])
        seen.append(context.operation_name)
        context.set_state(seen)
        if context.operation_name == "slow":
            assert go.wait(WAIT_S)
            context.set_state("late")
            context.signal_entity(ENTITY, "late")
            ended.set()
        return seen

    async with LoopInvoker(threads=2, timeout_s=SHORT_S) as invoker:
        executor = executor_of(invoker, counter, clock=SystemClock())
        batch = await executor.run(ENTITY, None, operations("a", "slow", "b"))
        go.set()
        assert await asyncio.to_thread(ended.wait, WAIT_S)

    assert failed(batch.outcomes[1]) == (
        "func_bindings.errors.FunctionTimeoutError",
        "Function 'counter' ran longer than functionTimeout in host.json allows: 0.02 s.",
    )
    assert [each.result for each in batch.outcomes] == ['["a"]', None, '["a","b"]']
    assert batch.state == '["a","b"]'


async def test_an_async_operation_over_its_time_is_cancelled_and_the_rest_goes_on() -> None:
    told: list[str] = []

    @entity_trigger
    class Counter:
        value: int = 0

        async def add(self) -> int:
            self.value += 1
            return self.value

        async def slow(self) -> None:
            self.value += 100
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append("cancelled")  # and it goes on all the same

    async with LoopInvoker(threads=1, timeout_s=SHORT_S) as invoker:
        executor = executor_of(invoker, Counter, clock=SystemClock())
        batch = await executor.run(ENTITY, None, operations("add", "slow", "add", "slow"))

    assert told == ["cancelled", "cancelled"]
    assert [each.result for each in batch.outcomes] == ["1", None, "2", None]
    assert failed(batch.outcomes[3])[0] == "func_bindings.errors.FunctionTimeoutError"
    assert batch.state == '{"value":2}'


async def test_a_batch_may_last_longer_than_one_operation() -> None:
    clock = SystemClock()

    @entity_trigger
    def counter(context: EntityContext) -> None:
        end = clock.monotonic() + 0.1
        while clock.monotonic() < end:
            pass

    async with LoopInvoker(threads=1, timeout_s=0.5) as invoker:
        executor = executor_of(invoker, counter, clock=clock)
        batch = await executor.run(ENTITY, None, operations(*"abcdefgh"))

    assert [each.failure for each in batch.outcomes] == [None] * 8


async def test_an_operation_that_cancels_its_own_task_fails_alone() -> None:
    @entity_trigger
    async def counter(context: EntityContext) -> str:
        task = asyncio.current_task()
        if context.operation_name == "suicide" and task is not None:
            task.cancel()
            await asyncio.Event().wait()
        return context.operation_name

    async with LoopInvoker(threads=1) as invoker:
        batch = await executor_of(invoker, counter).run(ENTITY, None, operations("suicide", "b"))

    assert failed(batch.outcomes[0])[0] == "asyncio.exceptions.CancelledError"
    assert batch.outcomes[1].result == '"b"'


async def test_an_error_that_closes_generators_fails_its_operation_alone() -> None:
    @entity_trigger
    async def counter(context: EntityContext) -> str:
        if context.operation_name == "close":
            raise GeneratorExit
        return context.operation_name

    async with LoopInvoker(threads=1) as invoker:
        batch = await executor_of(invoker, counter).run(ENTITY, None, operations("a", "close", "b"))

    assert [each.result for each in batch.outcomes] == ['"a"', None, '"b"']
    assert failed(batch.outcomes[1])[0] == "GeneratorExit"


async def test_whoever_stops_waiting_ends_the_batch_after_the_operation_that_runs() -> None:
    entered, go = threading.Event(), threading.Event()
    seen: list[str] = []

    @entity_trigger
    def counter(context: EntityContext) -> None:
        seen.append(context.operation_name)
        entered.set()
        assert go.wait(WAIT_S)

    async with LoopInvoker(threads=1) as invoker:
        executor = executor_of(invoker, counter)
        running = asyncio.ensure_future(executor.run(ENTITY, None, operations("a", "b")))
        assert await asyncio.to_thread(entered.wait, WAIT_S)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        go.set()
        while invoker.running:
            await SystemClock().sleep(0.001)

    assert seen == ["a"]
