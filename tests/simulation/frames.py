"""What a running program holds: what it has noted, and how it asks its context for things."""

from __future__ import annotations

import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from func_bindings.durable.entities import EntityId
from func_bindings.durable.retry import RetryOptions
from func_bindings.durable.tasks import Task, TimerTask
from func_bindings.errors import LockingRulesViolationError, TaskFailedError
from tests.simulation.operations import operation_input
from tests.simulation.programs import Act

if TYPE_CHECKING:
    from func_bindings.durable.context import OrchestrationContext
    from func_bindings.durable.locks import CriticalSection
    from tests.simulation.operations import Operation
    from tests.simulation.programs import Retry

CLEANUP = Act(behaviour="add")
"""What every `finally` of a program calls."""


def digest(total: int, noted: list[Any]) -> int:
    """Sum up all that an orchestrator has noted: what later inputs are computed from."""
    return zlib.crc32(json.dumps(noted).encode(), total)


class Frame:
    """What a running program has noted, and short names for what it asks of its context."""

    def __init__(self, context: OrchestrationContext) -> None:
        value = context.get_input()
        self._context = context
        self._key: str = value["key"]
        self.generation: int = value["generation"]
        self._total: int = value["total"]
        self._calls = 0
        self._latest = context.current_utc_datetime
        self.noted: list[Any] = []

    def _next_key(self) -> str:
        self._calls += 1
        return f"{self._key}@{self._context.instance_id}/{self.generation}/{self._calls}"

    def act(self, behaviour: str, failures: int = 0, retry: Retry | None = None) -> Task[Any]:
        now = self._context.current_utc_datetime
        if now < self._latest:
            raise AssertionError("the time of the orchestrator went back")
        self._latest = now
        value = {
            "key": self._next_key(),
            "call": self._calls,
            "digest": digest(self._total, self.noted),
            "failures": failures,
            "now": now.isoformat(),
            "uuid": self._context.new_uuid(),
        }
        return self._context.call_activity(behaviour, value, retry=_options(retry))

    def child(self, program: str, own_id: bool = False, retry: Retry | None = None) -> Task[Any]:
        key = self._next_key()
        return self._context.call_sub_orchestrator(
            program,
            first_input(key, digest(self._total, self.noted)),
            instance_id=child_id(key) if own_id else None,
            retry=_options(retry),
        )

    def operate(self, entity: str, operation: Operation) -> Task[Any]:
        value = self._operation_input(operation)
        return self._context.call_entity(EntityId.parse(entity), operation.name, value)

    def signal(self, entity: str, operation: Operation, delay_s: float | None) -> None:
        value = self._operation_input(operation)
        at = None if delay_s is None else timedelta(seconds=delay_s)
        self._context.signal_entity(EntityId.parse(entity), operation.name, value, at=at)

    def _operation_input(self, operation: Operation) -> dict[str, Any]:
        key = self._next_key()
        return operation_input(key, amount_of(digest(self._total, self.noted)), operation)

    def lock(self, *entities: str) -> Task[CriticalSection]:
        return self._context.lock(*[EntityId.parse(entity) for entity in entities])

    def locked(self) -> None:
        self.noted.append(["locked", *map(str, self._context.locked_entities)])

    def refused(self, what: str, entity: str) -> None:
        """Ask for what is not allowed inside of a lock."""
        target = EntityId.parse(entity)
        try:
            match what:
                case "call":
                    self._context.call_entity(target, "add")
                case "signal":
                    self._context.signal_entity(target, "add")
                case "lock":
                    self._context.lock(target)
                case _:
                    self._context.call_sub_orchestrator(what)
        except LockingRulesViolationError:
            self.noted.append(["refused", what])

    def timer(self, seconds: float) -> Task[Any]:
        due = self._context.current_utc_datetime + timedelta(seconds=seconds)
        timer = self._context.create_timer(due)
        timer.on_completed(lambda task: self._check_not_early(task, due))
        return timer

    def _check_not_early(self, task: Task[Any], due: Any) -> None:
        if not task.is_failed and self._context.current_utc_datetime < due:
            self.noted.append("a timer was early")

    def event(self, name: str) -> Task[Any]:
        return self._context.wait_for_external_event(name)

    def all(self, *tasks: Task[Any]) -> Task[Any]:
        return self._context.task_all(tasks)

    def first(self, *tasks: Task[Any]) -> Task[Any]:
        return self._context.task_any(tasks)

    def note(self, value: Any) -> None:
        self.noted.append(plain(value))

    def won(self, tasks: tuple[Task[Any], ...], winner: Task[Any], *, cancels: bool) -> None:
        self.noted.append(["won", tasks.index(winner), plain(winner)])
        for task in tasks if cancels else ():
            if isinstance(task, TimerTask) and not task.is_completed:
                task.cancel()

    def caught(self, error: Exception) -> None:
        self.noted.append(["caught", *kind_and_text(error)])

    def status(self, text: str | None) -> None:
        self._context.set_custom_status(text)

    def result(self) -> dict[str, Any]:
        return {"total": self._total, "noted": self.noted}

    def continue_as_new(self) -> None:
        total = digest(self._total, self.noted)
        self._context.continue_as_new(first_input(self._key, total, self.generation + 1))


def first_input(key: str, total: int, generation: int = 0) -> dict[str, Any]:
    """Give the input that a program is started with."""
    return {"key": key, "total": total, "generation": generation}


def amount_of(total: int) -> int:
    """Give the amount of an operation that an orchestrator asks for."""
    return total % 1_000


def child_id(key: str) -> str:
    """Give the id of a child that was asked for under an id of its own."""
    return "own-" + key.replace("/", ".").replace(":", ".")


def plain(value: Any) -> Any:
    """Turn the tasks inside a result into their outcomes."""
    if isinstance(value, list):
        return [plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType] -- a result is any JSON
    if not isinstance(value, Task):
        return value
    if value.exception is not None:
        return ["failed", *kind_and_text(value.exception)]
    return plain(value.result)  # pyright: ignore[reportUnknownMemberType] -- a task of anything


def kind_and_text(error: Exception) -> tuple[str, str]:
    """Say what an orchestrator sees of an exception."""
    if isinstance(error, TaskFailedError):
        return error.details.error_type, error.details.message
    return type(error).__name__, str(error)


def _options(retry: Retry | None) -> RetryOptions | None:
    if retry is None:
        return None
    return RetryOptions(retry.first_ms, retry.attempts, retry.backoff)
