"""What an operation is given and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from func_bindings.durable.entities import EntityId
    from func_host.clock import Clock, IdSource
    from func_host.durable.history import Failure
    from func_host.indexing.functions import IndexedFunction


@dataclass(frozen=True, slots=True)
class Operation:
    """A request to an entity; the input is JSON text, None for none."""

    name: str
    input: str | None


@dataclass(frozen=True, slots=True)
class SentSignal:
    """An operation sent to an entity: the input is JSON text, `at` aware UTC, None for at once."""

    entity: EntityId
    operation: str
    input: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class StartedOrchestration:
    """An orchestrator to start; the input is JSON text."""

    name: str
    instance_id: str
    input: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class OperationOutcome:
    """How an operation ended.

    Args:
        result: What a caller receives, as JSON text; None for nothing.
        failure: Why it failed; None where it did not.
        error_text: The same as a line for people.
        signals: What it sent, in order; nothing where it failed.
        starts: What it started, likewise.
    """

    result: str | None = None
    failure: Failure | None = None
    error_text: str | None = None
    signals: tuple[SentSignal, ...] = ()
    starts: tuple[StartedOrchestration, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How the operations of a batch ended, and the state after them; None where there is none."""

    outcomes: tuple[OperationOutcome, ...]
    state: str | None


class EntityCatalog(Protocol):
    """The functions of the app, as operations need them."""

    def entity(self, name: str | Callable[..., Any]) -> IndexedFunction | None:
        """Give the entity of this name, compared without case."""
        ...

    @property
    def entity_names(self) -> Sequence[str]:
        """The names of all entities."""
        ...

    def orchestrator(self, name: str) -> Callable[[Any], Any] | None:
        """Give the orchestrator of this name, compared without case."""
        ...

    @property
    def orchestrator_names(self) -> Sequence[str]:
        """The names of all orchestrators."""
        ...

    def orchestrator_name(self, function: str | Callable[..., Any]) -> str:
        """Give the name under which an orchestrator is started.

        Raises:
            TypeError: The function is not an orchestrator.
        """
        ...

    def is_user_file(self, filename: str) -> bool:
        """Tell whether a stack trace should show frames of this file."""
        ...


@dataclass(frozen=True, slots=True)
class Scene:
    """Where operations run.

    Args:
        entity: Which entity they are of.
        function: Its function or class.
        catalog: The functions of the app.
        clock: Gives the time.
        ids: Gives the ids of instances.
        rolls_back: An operation that fails leaves the state as it was.
    """

    entity: EntityId
    function: IndexedFunction
    catalog: EntityCatalog
    clock: Clock
    ids: IdSource
    rolls_back: bool


class Attempt(Protocol):
    """One operation that runs."""

    def call(self) -> Any:
        """Run user code; give what it returns, maybe an awaitable of it."""
        ...

    def succeed(self, value: object) -> OperationOutcome:
        """Let take effect what it has done; it has returned the value.

        Raises:
            BaseException: What it has done cannot be written: nothing has taken effect.
        """
        ...

    def fail(self) -> None:
        """Take back what it has done."""
        ...


class Runner(Protocol):
    """Runs the operations of one batch, one after another."""

    @property
    def text(self) -> str | None:
        """The state after those that have ended, as JSON text; None where there is none."""
        ...

    def begin(self, operation: Operation) -> Attempt:
        """Prepare an operation."""
        ...


def unknown_entity(name: str, known: Sequence[str]) -> str:
    """Say, in the words of the extension, that there is no such entity."""
    return _unknown("entity", name, known)


def unknown_orchestrator(name: str, known: Sequence[str]) -> str:
    """Say, in the words of the extension, that there is no such orchestrator."""
    return _unknown("orchestrator", name, known)


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    names = ", ".join(f"'{each}'" for each in known)
    told = (
        f"The following are the known {kind} functions: {names}."
        if names
        else f"No {kind} functions are currently registered!"
    )
    return (
        f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. "
        f"Additional info: {told}"
    )
