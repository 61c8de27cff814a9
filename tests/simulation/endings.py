"""What the plain interpreter works with: facts of the world, how things end, and what is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.simulation.operations import ENTITIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.entity_model import Effect

ACTIVITIES = ("add", "fail", "flaky", "nothing", "slow")
TIMEOUT_S = 5.0
NOT_FOUND = "func_bindings.errors.FunctionNotFoundError"
TIMED_OUT = "func_bindings.errors.FunctionTimeoutError"
TIMED_OUT_TEXT = (
    f"Function 'slow' ran longer than functionTimeout in host.json allows: {TIMEOUT_S:g} s."
)
TASK_FAILED = "func_bindings.errors.TaskFailedError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: `result` is JSON, or plain text where it failed or was terminated."""

    status: str
    result: Any
    custom_status: str | None = None
    failure: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the world did to a run.

    `operations` is what entities were sent, by its key, and `effects` what came of that.

    The last two only save work: ways that have already gone elsewhere than the run did are not
    followed to their end. They are what each generation began with, and what the last one noted.
    """

    key: str
    total: int
    events: Mapping[str, Sequence[Any]]
    children: Mapping[str, Sequence[Outcome | None]]
    operations: Mapping[str, Any] = field(default_factory=dict[str, Any])
    effects: Mapping[str, Effect] = field(default_factory=dict[str, "Effect"])
    orchestrators: Sequence[str] = ()
    termination_reasons: Sequence[str] = ()
    generation_totals: Sequence[int] = ()
    last_notes: Sequence[Any] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A result; `reads` are the events that it took."""

    value: Any
    reads: tuple[tuple[str, int], ...] = ()
    is_soon: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed task: what kind of error, its text, and the line that tells of it."""

    kind: str
    text: str
    reason: str
    is_soon: bool = True


@dataclass(frozen=True, slots=True)
class Never:
    """A task that does not end."""

    is_soon: bool = False


Ending: TypeAlias = Done | Failed | Never


def takes_days(ending: Ending) -> bool:
    """Tell whether this is a timer of days."""
    return isinstance(ending, Done) and not ending.is_soon and ending.value is None


def task_failure(activity: str, kind: str, text: str) -> Failed:
    """Give the failure of an activity."""
    reason = f"Activity function '{activity}' failed: {kind.rpartition('.')[2]}: {text}"
    return Failed(kind, text, reason)


def failure_reason(entity: str, operation: str, text: str) -> str:
    """Give what the caller of an entity is told of an operation that failed."""
    return f"Operation '{operation}' of entity '{entity}' failed: ValueError: {text}"


def added(call: int, total: int) -> int:
    """Give what the activity `add` answers."""
    return (total * 31 + call) % 1_000_003


def unknown(name: str, kind: str, known: Sequence[str]) -> str:
    """Say, in the words of the extension, that there is no such function."""
    names = ", ".join(f"'{each}'" for each in known)
    return (
        f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. "
        f"Additional info: The following are the known {kind} functions: {names}."
    )


UNHEARD_TEXT = unknown("unheard", "entity", ENTITIES)
"""What the caller of an entity is told that is not there."""
