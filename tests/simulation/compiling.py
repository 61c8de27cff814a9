"""Turns a program tree into the source of an orchestrator, and that into the function itself.

The source is what a user might write, as `async def` or as a generator, so that the real engine
drives real frames; `Frame` keeps what the orchestrator has noted so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from func_bindings.errors import TaskFailedError
from tests.simulation.frames import CLEANUP, Frame
from tests.simulation.operations import Operation, Tell
from tests.simulation.programs import (
    Act,
    Again,
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
    Keep,
    Lock,
    Operate,
    Program,
    Race,
    Refused,
    Repeat,
    Retry,
    Signal,
    Statement,
    Status,
    Timer,
    Try,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def compile_program(program: Program) -> Callable[[Any], Any]:
    """Give the orchestrator function of a program."""
    known = (Frame, Operation, Retry, TaskFailedError, Tell)
    names: dict[str, Any] = {each.__name__: each for each in known}
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
    lines.append(f"    generations = {program.generations}")
    lines += [f"    {line}" for line in _block(program.body, wait)]
    lines += [f"    {line}" for line in (*_AGAIN, "return run.result()")]
    return "\n".join(lines)


_AGAIN: tuple[str, ...] = (
    "if run.generation + 1 < generations:",
    "    return run.continue_as_new()",
)


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
        case Fail(text=text):
            lines = [f"raise ValueError({text!r})"]
        case Status(text=text):
            lines = [f"run.status({text!r})"]
        case Try() | Finally() | Repeat():
            lines = _nested_lines(statement, wait)
        case Signal() | Lock() | Refused() | Again() | Keep():
            lines = _lines_about_entities(statement, wait)
    return lines


def _nested_lines(statement: Try | Finally | Repeat, wait: str) -> list[str]:
    match statement:
        case Try(body=body, catches_all=catches_all):
            kind = "Exception" if catches_all else "TaskFailedError"
            caught = [f"except {kind} as error:", "    run.caught(error)"]
            lines = ["try:", *_indented(body, wait), *caught]
        case Finally(body=body):
            cleanup = ["    run.note('finally')", f"    run.note({wait.format(_call(CLEANUP))})"]
            lines = ["try:", *_indented(body, wait), "finally:", *cleanup]
        case Repeat(times=times, body=body):
            lines = [f"for _ in range({times}):", *_indented(body, wait)]
    return lines


def _lines_about_entities(
    statement: Signal | Lock | Refused | Again | Keep, wait: str
) -> list[str]:
    match statement:
        case Signal(entity=entity, operation=operation, delay_s=delay_s):
            lines = [f"run.signal({entity!r}, {operation!r}, {delay_s})"]
        case Lock(entities=entities, body=body):
            header = "async with" if wait.startswith("await") else "with"
            lock = wait.format(f"run.lock(*{entities!r})")
            lines = [f"{header} {lock}:", "    run.locked()", *_indented(body, wait)]
        case Refused(what=what, entity=entity):
            lines = [f"run.refused({what!r}, {entity!r})"]
        case Again():
            lines = [*_AGAIN]
        case Keep(entities=entities, is_awaited=is_awaited):
            lock = f"run.lock(*{entities!r})"
            lines = [wait.format(lock) if is_awaited else lock]
    return lines


def _indented(body: Iterable[Statement], wait: str) -> list[str]:
    return [f"    {line}" for line in _block(body, wait)]


def _call(call: Call) -> str:
    match call:
        case Act(behaviour=behaviour, failures=failures, retry=retry):
            text = f"run.act({behaviour!r}, {failures}, {_retry(retry)})"
        case Child(program=program, has_own_id=has_own_id, retry=retry):
            text = f"run.child({program!r}, {has_own_id}, {_retry(retry)})"
        case Timer(seconds=seconds):
            text = f"run.timer({seconds})"
        case Event(name=name):
            text = f"run.event({name!r})"
        case All(parts=parts):
            text = f"run.all({_calls(parts)})"
        case First(parts=parts):
            text = f"run.first({_calls(parts)})"
        case Operate(entity=entity, operation=operation):
            text = f"run.operate({entity!r}, {operation!r})"
    return text


def _calls(parts: Iterable[Call]) -> str:
    return ", ".join(_call(part) for part in parts)


def _retry(retry: Retry | None) -> str:
    return "None" if retry is None else repr(retry)
