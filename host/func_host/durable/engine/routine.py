"""The orchestrator function while it runs: started, resumed, and let go.

Coroutines and generators are both driven with `send`. An orchestrator that is dropped is closed by
throwing `Dropped` into it until it ends, so that each `finally` and `except BaseException` of
the user runs once, and each `await` in them ends instead of waiting. Python's own `GeneratorExit`
would not do: thrown into nested coroutines or async generators it closes the inner ones, and those
that wait once more in a `finally` are left behind half closed.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeGuard

from func_bindings.durable.tasks import Task
from func_host.durable.engine.options import call_plainly

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

CLOSE_ATTEMPTS_MAX = 1_000
"""How many waits a dropped orchestrator may begin before it is left alone."""

STRANGE_AWAITS_MAX = 10
"""How many awaits of something that is no task are answered with an error before giving up."""


class Dropped(BaseException):
    """The orchestrator is let go: what is caught here, and what is done then, has no effect."""


class Returned(Exception):  # noqa: N818 -- not an error: the orchestrator's way out
    """The function returned this value."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


class Routine:
    """A started orchestrator function and the task it waits for."""

    __slots__ = ("_call", "_is_coroutine", "_routine", "_strange_awaits", "waiting_for")

    def __init__(
        self,
        function: Callable[..., Any],
        context: object,
        call: Callable[..., Any] = call_plainly,
    ) -> None:
        """Call the function; `call` is how that, and each step of it, is done.

        Raises:
            Returned: It is a plain function and has returned.
            Exception: What a plain function raised.
        """
        self.waiting_for: Task[Any] | None = None
        self._strange_awaits = 0
        self._call = call
        value = call(function, context)
        if not (inspect.iscoroutine(value) or inspect.isgenerator(value)):
            raise Returned(value)
        self._is_coroutine = inspect.iscoroutine(value)
        self._routine: Coroutine[Any, Any, Any] | Generator[Any, Any, Any] = value

    @property
    def suspended(self) -> Coroutine[Any, Any, Any] | Generator[Any, Any, Any]:
        """The coroutine or generator itself, to look at its frames."""
        return self._routine

    def run(self) -> None:
        """Run on until the function waits for a task that has not ended.

        Raises:
            Returned: The function returned.
            BaseException: What it raised.
        """
        task = self.waiting_for
        while task is None or task.is_completed:
            task = self._task(self._resume(task))
        self.waiting_for = task

    def _resume(self, task: Task[Any] | None) -> Any:
        try:
            if task is None or self._is_coroutine:
                return self._call(self._routine.send, None)
            if task.exception is not None:
                return self._call(self._routine.throw, task.exception)
            return self._call(self._routine.send, task.result)
        except StopIteration as stop:
            raise Returned(stop.value) from None

    def _task(self, yielded: Any) -> Task[Any]:
        while not _is_task(yielded):
            yielded = self._refuse(yielded)
        return yielded

    def _refuse(self, yielded: object) -> Any:
        verb = "awaits" if self._is_coroutine else "yields"
        error = TypeError(
            f"An orchestrator {verb} only tasks of its context, but here it {verb} "
            f"{type(yielded).__name__}: do I/O and other async work in an activity, wait with "
            "context.create_timer(…), and combine tasks with context.task_all(…) or task_any(…)."
        )
        self._strange_awaits += 1
        if self._strange_awaits > STRANGE_AWAITS_MAX:
            raise error
        try:
            return self._call(self._routine.throw, error)
        except StopIteration as stop:
            raise Returned(stop.value) from None

    def close(self) -> None:
        """Let the function go: run its `finally` blocks, end each wait in them, ignore the rest."""
        for _ in range(CLOSE_ATTEMPTS_MAX):
            try:
                self._call(self._routine.throw, Dropped())
            except BaseException:  # noqa: BLE001 -- user code may end with anything; it is gone either way
                return


def _is_task(value: object) -> TypeGuard[Task[Any]]:
    return isinstance(value, Task)
