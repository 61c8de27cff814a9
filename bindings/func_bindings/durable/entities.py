"""Entities: small durable objects that take one operation at a time."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from datetime import datetime, timedelta

T = TypeVar("T")

_FORBIDDEN = re.compile(r"[/#?\\\x00-\x1f\x7f-\x9f]")
_LENGTH_MAX = 256


class EntityId:
    """Name and key of an entity; names compare without case, keys with it.

    Its text is `@name@key` with the name in lower case: the id of the instance that stands for the
    entity, as the extension does.

    Raises:
        ValueError: The name is empty or holds `@`, or one of both holds `/`, `#`, `?`, a backslash
            or a control character, or they are longer than 256 characters together.
    """

    __slots__ = ("_key", "_name")

    def __init__(self, name: str, key: str) -> None:
        """Name an entity; the key may be empty."""
        if not name:
            message = "Invalid entity id: entity name must not be a null or empty string."
            raise ValueError(message)
        if "@" in name:
            message = f"Invalid entity id: the name {name!r} must not hold '@'."
            raise ValueError(message)
        if _FORBIDDEN.search(name + key):
            message = (
                f"Invalid entity id: {name!r} with key {key!r} must not contain /, \\, #, ?, or "
                "control characters."
            )
            raise ValueError(message)
        if len(name) + len(key) + 2 > _LENGTH_MAX:
            message = f"Invalid entity id: name and key are longer than {_LENGTH_MAX} characters."
            raise ValueError(message)
        self._name = name
        self._key = key

    @property
    def name(self) -> str:
        """Name of the entity, as it was given."""
        return self._name

    @property
    def key(self) -> str:
        """Which one of that name."""
        return self._key

    @classmethod
    def parse(cls, text: str) -> EntityId:
        """Read `@name@key`, whatever characters it holds.

        Raises:
            ValueError: The text is not the id of an entity.
        """
        start, at, rest = text.partition("@")
        name, second, key = rest.partition("@")
        if start or not at or not second or not name:
            message = f"{text!r} is not the id of an entity: it looks like '@name@key'."
            raise ValueError(message)
        parsed = cls.__new__(cls)
        object.__setattr__(parsed, "_name", name)
        object.__setattr__(parsed, "_key", key)
        return parsed

    def __str__(self) -> str:
        return f"@{self._name.lower()}@{self._key}"

    def __repr__(self) -> str:
        return f"EntityId({self._name!r}, {self._key!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntityId) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class EntityContext(ABC):
    """The world as one operation of an entity sees it.

    What an operation does (state, result, signals, starts) takes effect together once it has
    returned; one that raises has done nothing, and its caller is told.
    """

    @property
    @abstractmethod
    def entity_id(self) -> EntityId:
        """Which entity this is."""

    @property
    def entity_name(self) -> str:
        """Name of the entity."""
        return self.entity_id.name

    @property
    def entity_key(self) -> str:
        """Key of the entity."""
        return self.entity_id.key

    @property
    @abstractmethod
    def operation_name(self) -> str:
        """Name of the operation; empty where it was given none."""

    @property
    @abstractmethod
    def is_newly_constructed(self) -> bool:
        """True where the entity has no state, as before its first operation or once deleted."""

    @property
    @abstractmethod
    def current_utc_datetime(self) -> datetime:
        """When the operation began, aware UTC."""

    @property
    @abstractmethod
    def logger(self) -> logging.Logger:
        """A logger named after the entity."""

    @overload
    def get_state(
        self, initializer: Callable[[], T], expected_type: type[T] | None = None
    ) -> T: ...
    @overload
    def get_state(self, initializer: None = None, *, expected_type: type[T]) -> T | None: ...
    @overload
    def get_state(
        self, initializer: Callable[[], Any] | None = None, expected_type: Any = None
    ) -> Any: ...
    @abstractmethod
    def get_state(
        self, initializer: Callable[[], Any] | None = None, expected_type: Any = None
    ) -> Any:
        """Give the state; where there is none, what the initializer makes, or None.

        What the initializer made becomes the state with `set_state` only. A change inside the
        value that was given is kept.

        Raises:
            SerializationError: The state does not fit the type; it stays as it is.
        """

    @abstractmethod
    def set_state(self, state: object) -> None:
        """Replace the state; the entity exists from then on.

        Raises:
            SerializationError: The value cannot be written as JSON.
        """

    @overload
    def get_input(self, expected_type: type[T]) -> T: ...
    @overload
    def get_input(self, expected_type: None = None) -> Any: ...
    @abstractmethod
    def get_input(self, expected_type: Any = None) -> Any:
        """Give the input of the operation; None without one.

        Raises:
            SerializationError: It does not fit the type.
        """

    @abstractmethod
    def set_result(self, result: object) -> None:
        """Say what a caller receives.

        Raises:
            SerializationError: The value cannot be written as JSON.
        """

    @abstractmethod
    def destruct_on_exit(self) -> None:
        """Delete the state once the operation has ended."""

    @abstractmethod
    def signal_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        *,
        at: datetime | timedelta | None = None,
    ) -> None:
        """Send an operation to an entity, maybe this one, now or later; no result comes back.

        Signals of one entity to another arrive in the order in which they were sent; delayed ones
        when they are due.
        """

    @abstractmethod
    def start_new(
        self,
        name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: object = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestrator, which knows nothing of this entity; give the instance id.

        Where an instance of that id exists and has not ended, nothing is started.
        """


@dataclass(frozen=True, slots=True)
class EntityStateResponse:
    """What `read_entity_state` gives."""

    entity_exists: bool
    entity_state: Any = None


@dataclass(frozen=True, slots=True)
class LockWaiter:
    """A request that waits for an entity to be unlocked.

    Args:
        instance_id: Who asks; None for a client.
        operation_name: What for; None for a lock.
    """

    instance_id: str | None
    operation_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMetadata:
    """An entity as a client sees it.

    Args:
        entity_id: Which one.
        last_operation_time: When its last batch of operations ended.
        exists: Whether it has a state.
        state: The state; None where it was not asked for.
        locked_by: Instance id of the orchestration that holds its lock.
        locked_since: Since when; None where another host's software locked it.
        waiters: Who waits for the lock to be released, first come first.
        parked: Why operations wait that nobody runs: the app has no such entity.
    """

    entity_id: EntityId
    last_operation_time: datetime
    exists: bool
    state: Any = None
    locked_by: str | None = None
    locked_since: datetime | None = None
    waiters: tuple[LockWaiter, ...] = ()
    parked: str | None = None

    @property
    def backlog_queue_size(self) -> int:
        """How many requests wait for the lock to be released."""
        return len(self.waiters)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanEntityStorageResult:
    """What `clean_entity_storage` has done."""

    empty_entities_removed: int
    orphaned_locks_released: int
