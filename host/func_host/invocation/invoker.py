"""Calls one function of the app: values in, sync or async, values out, within a time limit.

Async functions run as tasks on the loop, sync ones in a bounded pool of threads. When the limit is
over the caller is told at once; what runs on keeps its thread until it returns, and its late result
is dropped.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

from func_bindings.errors import FunctionTimeoutError
from func_host.invocation.threads import Job, ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from func_host.indexing.functions import IndexedFunction

DRAIN_S = 5.0
"""How long functions that still run may take to end once they have been told to."""


class Invocation:
    """A call that has been made.

    `outcome` gets the result or the exception, a FunctionTimeoutError when the limit is over;
    `released` is set when the function has really ended.
    """

    __slots__ = ("outcome", "released")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.outcome: asyncio.Future[Any] = loop.create_future()
        self.released: asyncio.Future[None] = loop.create_future()

    def end(self, result: object, error: BaseException | None) -> None:
        """Tell the outcome, unless the limit has told it already; the slot is free."""
        if not self.outcome.done():
            if error is None:
                self.outcome.set_result(result)
            else:
                self.outcome.set_exception(_raisable(error))
        if not self.released.done():
            self.released.set_result(None)

    def end_unstarted(self) -> None:
        """Tell of a call that was cancelled before it began, so that nobody waits for it."""
        if not self.released.done():
            self.end(None, asyncio.CancelledError())

    def expire(self, name: str, timeout_s: float) -> None:
        """Tell that the limit is over."""
        if not self.outcome.done():
            self.outcome.set_exception(
                FunctionTimeoutError(
                    f"Function '{name}' ran longer than functionTimeout in host.json allows: "
                    f"{timeout_s:g} s."
                )
            )


class Invoker(Protocol):
    """Whoever calls functions of the app."""

    def start(self, function: IndexedFunction, values: Mapping[str, object]) -> Invocation:
        """Call a function with values by parameter; the time limit begins when it starts to run."""
        ...

    async def invoke(self, function: IndexedFunction, values: Mapping[str, object]) -> Any:
        """Call a function and give what it returns, or raise what it raised.

        Raises:
            FunctionTimeoutError: It ran too long.
        """
        ...


class Steps(Protocol):
    """Calls of a function one after another, each with the whole time limit to itself."""

    def __call__(self) -> Any:
        """Run all of them; what is awaitable of the result goes on on the loop."""
        ...

    def left_s(self, limit_s: float) -> float:
        """Give how much of the limit is left to the one that runs; where nothing is, end it.

        From then on nothing that this object does counts.
        """
        ...


class StepsInvoker(Protocol):
    """Whoever runs several calls of a function in one invocation."""

    def start_steps(self, function: IndexedFunction, steps: Steps) -> Invocation:
        """Run the steps as the function runs: on the loop, or in one thread.

        The outcome is a FunctionTimeoutError where one of them has run too long.
        """
        ...


class LoopInvoker:
    """Calls functions on the running loop and in a pool of threads; an async context manager."""

    def __init__(self, *, threads: int, timeout_s: float | None = None) -> None:
        """Limit sync functions to so many threads, and every function to so many seconds."""
        self._pool = ThreadPool(threads, "func-host-function")
        self._timeout_s = timeout_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel what has not begun and what runs on the loop; threads end by themselves."""
        self._pool.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_S)

    @property
    def running(self) -> int:
        """How many functions run or wait for a thread."""
        return len(self._tasks) + self._pool.unfinished

    async def invoke(self, function: IndexedFunction, values: Mapping[str, object]) -> Any:
        """Call a function and give what it returns, or raise what it raised."""
        return await self.start(function, values).outcome

    def start(self, function: IndexedFunction, values: Mapping[str, object]) -> Invocation:
        """Call a function with values by parameter; the time limit begins when it starts to run."""
        return self._start(function, partial(function.call, values), _whole)

    def start_steps(self, function: IndexedFunction, steps: Steps) -> Invocation:
        """Run the steps as the function runs: on the loop, or in one thread."""
        return self._start(function, steps, steps.left_s)

    def _start(
        self, function: IndexedFunction, call: Callable[[], Any], left_s: Callable[[float], float]
    ) -> Invocation:
        loop = asyncio.get_running_loop()
        invocation = Invocation(loop)
        limit = _Limit(loop, function.name, self._timeout_s, left_s, invocation)
        if function.is_async:
            self._run_on_loop(limit, call)
        else:
            self._run_in_thread(limit, call)
        return invocation

    def _run_on_loop(self, limit: _Limit, call: Callable[[], Any]) -> None:
        invocation = limit.invocation
        task = limit.loop.create_task(_run(invocation, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: invocation.end_unstarted())
        limit.begin(task.cancel)

    def _run_in_thread(self, limit: _Limit, call: Callable[[], Any]) -> None:
        invocation = limit.invocation

        def on_ended(result: object, error: BaseException | None) -> None:
            if invocation.outcome.done() and inspect.iscoroutine(result):  # too late to begin
                result.close()
                invocation.end(None, None)
            elif inspect.isawaitable(result):  # a plain wrapper around an async function
                self._run_on_loop(limit, lambda: result)
            else:
                invocation.end(result, error)

        self._pool.submit(Job(call, contextvars.copy_context(), limit.begin, on_ended))


@dataclass(slots=True)
class _Limit:
    """Ends an invocation once nothing is left of its time."""

    loop: asyncio.AbstractEventLoop
    name: str
    timeout_s: float | None
    left_s: Callable[[float], float]
    invocation: Invocation
    timer: asyncio.TimerHandle | None = None
    cancel: Callable[[], object] | None = None

    def begin(self, cancel: Callable[[], object] | None = None) -> None:
        """Let the time run from now on; `cancel` interrupts the function."""
        if self.timeout_s is None or self.invocation.outcome.done():
            return
        self.cancel = cancel
        if self.timer is not None:  # what has begun in a thread goes on on the loop
            return
        self.invocation.released.add_done_callback(lambda _: self._stop())
        self.timer = self.loop.call_later(self.timeout_s, self._look)

    def _stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def _look(self) -> None:
        assert self.timeout_s is not None
        left_s = self.left_s(self.timeout_s)
        if left_s > 0:
            self.timer = self.loop.call_later(left_s, self._look)
            return
        self.invocation.expire(self.name, self.timeout_s)
        if self.cancel is not None:
            self.cancel()


def _whole(limit_s: float) -> float:  # noqa: ARG001 -- a single call has used it up
    """Give what is left to a single call when its time is over."""
    return 0.0


async def _run(invocation: Invocation, call: Callable[[], Any]) -> None:
    try:
        result = call()
        if inspect.isawaitable(result):
            result = await result
    except BaseException as error:  # noqa: BLE001 -- user code may raise anything; the caller gets it
        invocation.end(None, error)
    else:
        invocation.end(result, None)


def _raisable(error: BaseException) -> Exception:
    """Give an exception that a future can hold and a loop survives."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    text = f"The function ended with {type(error).__name__}: {error}"
    wrapped = RuntimeError(text.rstrip(": "))
    wrapped.__cause__ = error
    return wrapped
