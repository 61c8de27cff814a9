"""A batch of operations: one after another, each with the whole time limit to itself.

It runs where the invoker puts it: in a thread, or on the loop, where it goes on once an operation
gives something to be awaited. One that runs too long is cut off from the batch: the batch is
sealed, what it has done until then counts, and whatever user code still does is not looked at.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from func_host.durable.engine import failures
from func_host.durable.operations.values import OperationOutcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Sequence

    from func_host.durable.operations.values import Attempt, Operation, Runner, Scene

TURN: Final = 64
"""After so many operations on the loop others get their turn."""


class OperationBatch:
    """Runs operations until the last one has ended, or one has run too long."""

    def __init__(self, scene: Scene, runner: Runner, operations: Sequence[Operation]) -> None:
        """Prepare to run the operations in this order."""
        self._scene = scene
        self._runner = runner
        self._operations = operations
        self._monotonic = scene.clock.monotonic
        self._lock = threading.Lock()
        self._began_at: float | None = None
        self._is_sealed = False
        self.outcomes: list[OperationOutcome] = []
        self.text = runner.text

    def __call__(self) -> Any:
        """Run the operations; an awaitable where one of them has to be awaited."""
        found = self._run_to_awaitable()
        return None if found is None else self._go_on(*found)

    def left_s(self, limit_s: float) -> float:
        """Give how long the operation that runs may go on; where that is not at all, seal."""
        with self._lock:
            if self._began_at is None:
                return limit_s
            left_s = self._began_at + limit_s - self._monotonic()
            if left_s > 0:
                return left_s
            self._is_sealed = True
            return 0.0

    def seal(self) -> None:
        """Let nothing count that is done from now on."""
        with self._lock:
            self._is_sealed = True

    @property
    def is_complete(self) -> bool:
        """Whether every operation has ended."""
        return len(self.outcomes) == len(self._operations)

    def outcome_of(self, error: BaseException) -> OperationOutcome:
        """Give the outcome of the operation that is next, which has ended with this error."""
        operation = self._operations[len(self.outcomes)]
        failure = failures.failure_of(error, self._scene.catalog.is_user_file)
        text = (
            f"Operation '{operation.name}' of entity '{self._scene.entity}' failed: "
            f"{failures.summary_of(error)}"
        )
        return OperationOutcome(failure=failure, error_text=text)

    def _run_to_awaitable(self) -> tuple[Attempt, Awaitable[Any]] | None:
        """Run operations until one gives an awaitable."""
        while self._begin():
            attempt = self._runner.begin(self._operations[len(self.outcomes)])
            try:
                value = attempt.call()
            except BaseException as error:  # noqa: BLE001 -- user code may raise anything
                self._fail(attempt, error)
            else:
                if value is not None and inspect.isawaitable(value):
                    return attempt, value
                self._succeed(attempt, value)
        return None

    async def _go_on(self, attempt: Attempt, awaitable: Awaitable[Any]) -> None:
        found: tuple[Attempt, Awaitable[Any]] | None = attempt, awaitable
        while found is not None:
            attempt, awaitable = found
            try:
                value = await awaitable
            except BaseException as error:
                if _is_told_to_end(error):
                    raise
                self._fail(attempt, error)
            else:
                self._succeed(attempt, value)
            if len(self.outcomes) % TURN == 0:
                await _Turn()
            found = self._run_to_awaitable()

    def _begin(self) -> bool:
        with self._lock:
            self._began_at = self._monotonic()
            return not (self._is_sealed or self.is_complete)

    def _succeed(self, attempt: Attempt, value: object) -> None:
        with self._lock:
            if self._is_sealed:
                return
        try:
            outcome = attempt.succeed(value)
        except BaseException as error:  # noqa: BLE001 -- properties of a user's class may raise
            self._fail(attempt, error)
        else:
            self._end(outcome)

    def _fail(self, attempt: Attempt, error: BaseException) -> None:
        with suppress(Exception):  # what cannot be written is not kept either
            attempt.fail()
        self._end(self.outcome_of(error))

    def _end(self, outcome: OperationOutcome) -> None:
        with self._lock:
            if not self._is_sealed:
                self.outcomes.append(outcome)
                self.text = self._runner.text


class _Turn:
    """Lets the loop run everything else once."""

    def __await__(self) -> Generator[None]:
        yield


def _is_told_to_end(error: BaseException) -> bool:
    """Tell whether the task is being cancelled or closed, so that this is no error of user code."""
    if isinstance(error, GeneratorExit):
        return True
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
