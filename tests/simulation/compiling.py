"""Turns a program tree into the source of an orchestrator, and that into the function itself.

The source is what a user might write, as `async def` or as a generator, so that the real engine
drives real frames; `Frame` keeps what the orchestrator has noted so far.
"""

from __future__ import annotations

import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from func_bindings.durable.retry import RetryOptions
from func_bindings.durable.tasks import Task, TimerTask
from func_bindings.errors import TaskFailedError
from tests.simulation.programs import (
    Act,
    All,
    Await,
    Begin,
    Call,
    Child,
    Event,
    Fail,
    Finally,
    First,
    Join,
    Program,
    Race,
    Repeat,
    Retry,
    Statement,
    Status,
    Timer,
    Try,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from func_bindings.durable.context import OrchestrationContext

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


def compile_program(program: Program) -> Callable[[Any], Any]:
    """Give the orchestrator function of a program."""
    names: dict[str, Any] = {"Frame": Frame, "Retry": Retry, "TaskFailedError": TaskFailedError}
    exec(source_of(program), names)  # noqa: S102 -- the source is our own
    function: Callable[[Any], Any] = names[program.name]
    return function


def source_of(program: Program) -> str:
    """Give the source of the orchestrator."""
    header = "async def" if program.is_async else "def"
    wait = "await {}" if program.is_async else "(yield {})"
    lines = [f"{header} {program.name}(context):", "    run = Frame(context)"]
    if not program.is_async:
        lines.append("    yield run.all()")  # a generator, whatever the body holds
    lines += [f"    {line}" for line in _block(program.body, wait)]
    lines += [
        f"    if run.generation + 1 < {program.generations}:",
        "        return run.continue_as_new()",
        "    return run.result()",
    ]
    return "\n".join(lines)


def _block(body: Iterable[Statement], wait: str) -> list[str]:
    return [line for statement in body for line in _lines(statement, wait)] or ["pass"]


def _lines(statement: Statement, wait: str) -> list[str]:
    match statement:
        case Await(call=call):
            lines = [f"run.note({wait.format(_call(call))})"]
        case Begin(slot=slot, call=call):
            lines = [f"task_{slot} = {_call(call)}"]
        case Join(slot=slot):
            lines = [f"run.note({wait.format(f'task_{slot}')})"]
        case Race(slot=slot, parts=parts, cancels=cancels):
            tasks = f"tasks_{slot}"
            winner = wait.format(f"run.first(*{tasks})")
            lines = [
                f"{tasks} = ({_calls(parts)},)",
                f"run.won({tasks}, {winner}, cancels={cancels})",
            ]
        case Try(body=body, catches_all=catches_all):
            kind = "Exception" if catches_all else "TaskFailedError"
            caught = [f"except {kind} as error:", "    run.caught(error)"]
            lines = ["try:", *_indented(body, wait), *caught]
        case Finally(body=body):
            cleanup = ["    run.note('finally')", f"    run.note({wait.format(_call(CLEANUP))})"]
            lines = ["try:", *_indented(body, wait), "finally:", *cleanup]
        case Fail(text=text):
            lines = [f"raise ValueError({text!r})"]
        case Status(text=text):
            lines = [f"run.status({text!r})"]
        case Repeat(times=times, body=body):
            lines = [f"for _ in range({times}):", *_indented(body, wait)]
    return lines


def _indented(body: Iterable[Statement], wait: str) -> list[str]:
    return [f"    {line}" for line in _block(body, wait)]


def _call(call: Call) -> str:
    match call:
        case Act(behaviour=behaviour, failures=failures, retry=retry):
            return f"run.act({behaviour!r}, {failures}, {_retry(retry)})"
        case Child(program=program, has_own_id=has_own_id, retry=retry):
            return f"run.child({program!r}, {has_own_id}, {_retry(retry)})"
        case Timer(seconds=seconds):
            return f"run.timer({seconds})"
        case Event(name=name):
            return f"run.event({name!r})"
        case All(parts=parts):
            return f"run.all({_calls(parts)})"
        case First(parts=parts):
            return f"run.first({_calls(parts)})"


def _calls(parts: Iterable[Call]) -> str:
    return ", ".join(_call(part) for part in parts)


def _retry(retry: Retry | None) -> str:
    return "None" if retry is None else repr(retry)
