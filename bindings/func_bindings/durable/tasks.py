"""Tasks: what an orchestrator awaits (or yields).

A task is scheduled when it is created, as in the Durable Task Framework, and may be awaited any
number of times. Whoever runs the orchestrator completes it with `complete` or `fail`; tasks made
of tasks complete themselves when their children do. Nothing here knows a loop or a host, so an
orchestrator can be driven by hand in a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from func_bindings.errors import TaskNotCompletedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Task(Generic[T_co]):
    """A step that ends later: with a result, or with an exception.

    `await task` (or `yield task` in a generator) gives the result or raises the failure.
    """

    __slots__ = ("_exception", "_is_completed", "_observers", "_result")

    def __init__(self) -> None:
        """Make a task that is still running."""
        self._is_completed = False
        self._result: Any = None
        self._exception: Exception | None = None
        self._observers: list[Callable[[Task[Any]], None]] | None = None

    @property
    def is_completed(self) -> bool:
        """True once there is a result or a failure."""
        return self._is_completed

    @property
    def is_failed(self) -> bool:
        """True where the task ended with an exception."""
        return self._exception is not None

    @property
    def exception(self) -> Exception | None:
        """The failure, or None."""
        return self._exception

    @property
    def result(self) -> T_co:
        """The result.

        Raises:
            TaskNotCompletedError: The task is still running.
            Exception: What the task failed with.
        """
        if not self._is_completed:
            message = "The task has no result yet: await (or yield) it first."
            raise TaskNotCompletedError(message)
        if self._exception is not None:
            raise self._exception
        result: T_co = self._result
        return result

    def __await__(self) -> Generator[Task[Any], None, T_co]:
        """Suspend the orchestrator until the task has ended; give its result."""
        if not self._is_completed:
            yield self
        return self.result

    def complete(self, result: object) -> None:
        """End the task with a result; a task that has ended stays as it is."""
        if not self._is_completed:
            self._is_completed = True
            self._result = result
            self._notify()

    def fail(self, exception: Exception) -> None:
        """End the task with a failure; a task that has ended stays as it is."""
        if not self._is_completed:
            self._is_completed = True
            self._exception = exception
            self._notify()

    def on_completed(self, observer: Callable[[Task[Any]], None]) -> None:
        """Call the observer once the task has ended, at once where it already has."""
        if self._is_completed:
            observer(self)
        elif self._observers is None:
            self._observers = [observer]
        else:
            self._observers.append(observer)

    def _notify(self) -> None:
        observers, self._observers = self._observers, None
        for observer in observers or ():
            observer(self)


class TimerTask(Task[None]):
    """A durable timer; it can be cancelled while it has not fired."""

    __slots__ = ("_cancel", "_is_cancelled")

    def __init__(self, cancel: Callable[[TimerTask], None]) -> None:
        """Make a running timer; `cancel` is called when the orchestrator gives it up."""
        super().__init__()
        self._cancel = cancel
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        """True after `cancel`."""
        return self._is_cancelled

    def cancel(self) -> None:
        """Give the timer up: awaiting it raises TaskCancelledError from now on.

        Raises:
            ValueError: The timer has already fired.
        """
        if self._is_cancelled:
            return
        if self._is_completed:
            message = "The timer has already fired and cannot be cancelled."
            raise ValueError(message)
        self._is_cancelled = True
        self._cancel(self)


class WhenAllTask(Task[list[T]]):
    """Ends when every child has, with their results in order, or with the first failure."""

    __slots__ = ("_children", "_missing")

    def __init__(self, children: Sequence[Task[T]]) -> None:
        """Wait for these; of nothing the result is `[]` at once."""
        super().__init__()
        self._children = children
        self._missing = len(children)
        if not children:
            self.complete([])
        for child in children:
            child.on_completed(self._child_ended)

    def _child_ended(self, child: Task[Any]) -> None:
        self._missing -= 1
        if child.exception is not None:
            self.fail(child.exception)
        elif self._missing == 0 and not self._is_completed:
            self.complete([each.result for each in self._children])


class WhenAnyTask(Task[Task[T]]):
    """Ends with the first child that ended, be it with a result or a failure."""

    __slots__ = ()

    def __init__(self, children: Sequence[Task[T]]) -> None:
        """Wait for one of these.

        Raises:
            ValueError: There are none, so that the wait could never end.
        """
        super().__init__()
        if not children:
            message = "task_any needs at least one task: with none it would wait for ever."
            raise ValueError(message)
        for child in children:
            child.on_completed(self.complete)
