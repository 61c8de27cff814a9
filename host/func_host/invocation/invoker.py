"""Calls one function of the app: values in, sync or async, values out, within a time limit.

Async functions run as tasks on the loop, sync ones in a bounded pool of threads. When the limit is
over the caller is told at once; what runs on keeps its thread until it returns, and its late result
is dropped.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
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
        loop = asyncio.get_running_loop()
        invocation = Invocation(loop)
        if function.is_async:
            self._run_on_loop(loop, function, invocation, partial(function.call, values))
        else:
            self._run_in_thread(loop, function, invocation, values)
        return invocation

    def _run_on_loop(
        self,
        loop: asyncio.AbstractEventLoop,
        function: IndexedFunction,
        invocation: Invocation,
        call: Callable[[], Any],
    ) -> None:
        task = loop.create_task(_run(invocation, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: invocation.end_unstarted())
        self._limit(loop, function.name, invocation, task.cancel)

    def _run_in_thread(
        self,
        loop: asyncio.AbstractEventLoop,
        function: IndexedFunction,
        invocation: Invocation,
        values: Mapping[str, object],
    ) -> None:
        def on_started() -> None:
            self._limit(loop, function.name, invocation, None)

        def on_ended(result: object, error: BaseException | None) -> None:
            if invocation.outcome.done() and inspect.iscoroutine(result):  # too late to begin
                result.close()
                invocation.end(None, None)
            elif inspect.isawaitable(result):  # a plain wrapper around an async function
                self._run_on_loop(loop, function, invocation, lambda: result)
            else:
                invocation.end(result, error)

        call = partial(function.call, values)
        self._pool.submit(Job(call, contextvars.copy_context(), on_started, on_ended))

    def _limit(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        invocation: Invocation,
        cancel: Callable[[], object] | None,
    ) -> None:
        timeout_s = self._timeout_s
        if timeout_s is None or invocation.outcome.done():
            return

        def expire() -> None:
            invocation.expire(name, timeout_s)
            if cancel is not None:
                cancel()

        timer = loop.call_later(timeout_s, expire)
        invocation.released.add_done_callback(lambda _: timer.cancel())


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
