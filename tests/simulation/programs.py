"""Small orchestrations as trees: the generator makes them, the compiler and the model read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tests.simulation.operations import Operation

DAY_S = 86_400.0
UNHEARD = "unheard"
"""Name of an activity and of a program that are not there."""


@dataclass(frozen=True, slots=True)
class Retry:
    attempts: int
    first_ms: int
    backoff: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Call the activity that is named after its behaviour; `flaky` fails so many times."""

    behaviour: str
    failures: int = 0
    retry: Retry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Start a program as a child, maybe under an id of its own."""

    program: str
    has_own_id: bool = False
    retry: Retry | None = None


@dataclass(frozen=True, slots=True)
class Timer:
    seconds: float


@dataclass(frozen=True, slots=True)
class Event:
    """Wait for the next external event of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class First:
    """`task_any`."""

    parts: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Operate:
    """Call an entity."""

    entity: str
    operation: Operation


Call: TypeAlias = Act | Child | Timer | Event | All | First | Operate
"""What makes a task."""


@dataclass(frozen=True, slots=True)
class Await:
    call: Call


@dataclass(frozen=True, slots=True)
class Begin:
    """Make a task that is awaited later, or never."""

    slot: int
    call: Call


@dataclass(frozen=True, slots=True)
class Join:
    slot: int


@dataclass(frozen=True, slots=True)
class Race:
    """Wait for the first, remember which it was, and maybe cancel the timers that lost."""

    slot: int
    parts: tuple[Call, ...]
    cancels: bool


@dataclass(frozen=True, slots=True)
class Try:
    """Catch failed tasks, or any exception."""

    body: tuple[Statement, ...]
    catches_all: bool


@dataclass(frozen=True, slots=True)
class Finally:
    """Run an activity whether or not the body fails."""

    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Fail:
    text: str


@dataclass(frozen=True, slots=True)
class Status:
    text: str | None


@dataclass(frozen=True, slots=True)
class Repeat:
    times: int
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """Signal an entity, now or after a while."""

    entity: str
    operation: Operation
    delay_s: float | None


@dataclass(frozen=True, slots=True)
class Lock:
    """Lock entities, and work inside."""

    entities: tuple[str, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Inside of a lock: ask for what is not allowed there; the entity is one that fits."""

    what: str
    entity: str


@dataclass(frozen=True, slots=True)
class Again:
    """Continue as new, from where it stands, unless this is the last generation."""


@dataclass(frozen=True, slots=True)
class Keep:
    """The end of a program that never gives its lock back, and maybe never waits for it."""

    entities: tuple[str, ...]
    is_awaited: bool


Statement: TypeAlias = (
    Await
    | Begin
    | Join
    | Race
    | Try
    | Finally
    | Fail
    | Status
    | Repeat
    | Signal
    | Lock
    | Refused
    | Again
    | Keep
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One orchestrator: it runs its body once per generation, linked by continue-as-new."""

    name: str
    is_async: bool
    body: tuple[Statement, ...]
    generations: int = 1


def waits_of(program: Program) -> dict[str, int]:
    """Count how many events of each name the program can take, over all generations."""
    counts: dict[str, int] = {}
    for statement in program.body:
        _count_statement(statement, program.generations, counts)
    return counts


def _count_statement(statement: Statement, times: int, counts: dict[str, int]) -> None:
    match statement:
        case Await(call=call) | Begin(call=call):
            _count_call(call, times, counts)
        case Race(parts=parts):
            for part in parts:
                _count_call(part, times, counts)
        case Try(body=body) | Finally(body=body) | Lock(body=body):
            for inner in body:
                _count_statement(inner, times, counts)
        case Repeat(times=repeats, body=body):
            for inner in body:
                _count_statement(inner, times * repeats, counts)
        case _:
            pass


def _count_call(call: Call, times: int, counts: dict[str, int]) -> None:
    match call:
        case Event(name=name):
            counts[name] = counts.get(name, 0) + times
        case All(parts=parts) | First(parts=parts):
            for part in parts:
                _count_call(part, times, counts)
        case _:
            pass
