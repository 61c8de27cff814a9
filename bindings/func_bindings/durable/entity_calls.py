"""What an orchestrator may ask of entities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from func_bindings.durable.entities import EntityId
    from func_bindings.durable.locks import CriticalSection
    from func_bindings.durable.proxies import EntityProxy
    from func_bindings.durable.tasks import Task

T = TypeVar("T")
C = TypeVar("C")


class EntityCalls(ABC):
    """The part of an orchestrator's context that calls, signals and locks entities."""

    @overload
    def call_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object,
        expected_type: type[T],
    ) -> Task[T]: ...
    @overload
    def call_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        *,
        expected_type: type[T],
    ) -> Task[T]: ...
    @overload
    def call_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        expected_type: None = None,
    ) -> Task[Any]: ...
    @abstractmethod
    def call_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        expected_type: type[Any] | None = None,
    ) -> Task[Any]:
        """Run an operation of an entity and wait for its result.

        Awaiting the task raises TaskFailedError where the operation failed, and where the app has
        no such entity. What one orchestration sends to an entity is done in the order in which it
        was sent.

        Raises:
            LockingRulesViolationError: Inside `lock`, an entity that is not locked, or one that
                has not answered the call before.
            SerializationError: The input cannot be written as JSON; the message names its path.
        """

    @abstractmethod
    def signal_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        *,
        at: datetime | timedelta | None = None,
    ) -> Task[None]:
        """Send an operation to an entity, now or later; no result comes back.

        Args:
            entity: Which one; it is made where there is none.
            operation_name: What to do.
            operation_input: With what; None for nothing.
            at: When to do it: a point in time (UTC without zone) or a span from now; None at once.

        The task has ended already, so awaiting it does not wait.

        Raises:
            LockingRulesViolationError: Inside `lock`, an entity that is locked: call it.
            SerializationError: The input cannot be written as JSON; the message names its path.
        """

    @abstractmethod
    def lock(self, *entities: EntityId) -> Task[CriticalSection]:
        """Wait until the entities are this orchestration's own, and keep them to the block's end.

        `async with await context.lock(a, b):` or in a generator `with (yield context.lock(a, b)):`.
        They are locked in one order everywhere, so orchestrations cannot block each other for ever.
        Inside, only these may be called, one call each at a time; they cannot be signalled, nothing
        else can be locked, and no sub-orchestration started. However the orchestration ends, its
        locks are given back.

        Raises:
            LockingRulesViolationError: There is a lock already, or one is being waited for.
            ValueError: No entity was given.
        """

    @property
    @abstractmethod
    def is_locked(self) -> bool:
        """True while this orchestration has entities of its own: inside `lock`."""

    @property
    @abstractmethod
    def locked_entities(self) -> tuple[EntityId, ...]:
        """What is locked, in the order in which it was; nothing outside of `lock`."""

    @overload
    def entity(self, entity: type[C], key: str) -> EntityProxy[C]: ...
    @overload
    def entity(self, entity: str | Callable[..., Any], key: str) -> EntityProxy[Any]: ...
    @abstractmethod
    def entity(self, entity: type[Any] | str | Callable[..., Any], key: str) -> EntityProxy[Any]:
        """Give what calls an entity by its methods: `context.entity(Counter, "k").add(1)`.

        Args:
            entity: The decorated class or function, or the name of one.
            key: Which one of that name.

        Raises:
            TypeError: The class or function is not an entity of this app.
            ValueError: No entity can have such a key.
        """
