"""The part of the durable client that deals with entities."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from func_bindings.durable.client import DurableClient
from func_bindings.durable.entities import (
    CleanEntityStorageResult,
    EntityId,
    EntityMetadata,
    EntityStateResponse,
)
from func_bindings.errors import FunctionNotFoundError
from func_host.durable.backend import OPERATION_ID_KEPT, InstanceQuery
from func_host.durable.engine.entities import messages, scheduler
from func_host.durable.engine.identity import check_storable
from func_host.durable.operations.values import unknown_entity
from func_host.durable.stored_entity import entities_in, read_entity
from func_host.invocation.values import dump_json, load_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from func_host.clock import Clock, IdSource
    from func_host.durable.backend import Backend
    from func_host.durable.stored_entity import StoredEntity

_PAGE_SIZE: Final = 1000
_EMPTY_PAGES_MAX: Final = 20
_OPERATION_ID_LENGTH_MAX: Final = 256
_EMPTY_KEPT: Final = max(OPERATION_ID_KEPT, timedelta(minutes=30))
"""An empty entity is deleted once this long nothing has come, where it holds what tells copies."""


class Entities(Protocol):
    """Knows the entity functions of the host."""

    @property
    def entity_names(self) -> Sequence[str]:
        """The names of all of them."""
        ...

    def entity(self, name: str | Callable[..., Any]) -> object | None:
        """Find one by its name, without case."""
        ...


class EntityClient(DurableClient):
    """Signals, reads, lists, cleans and unlocks entities.

    Args:
        backend: The task hub.
        clock: Gives the times of messages.
        ids: Gives the ids of requests.
        entities: What can be signalled.
    """

    def __init__(
        self, *, backend: Backend, clock: Clock, ids: IdSource, entities: Entities
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._ids = ids
        self._entities = entities

    @property
    def entity_names(self) -> Sequence[str]:
        """The names of all entity functions of the host."""
        return self._entities.entity_names

    # Signals

    async def signal_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        *,
        at: datetime | timedelta | None = None,
        operation_id: str | None = None,
    ) -> None:
        """Send an operation to an entity; see `DurableClient.signal_entity`."""
        text = None if operation_input is None else dump_json(operation_input)
        await self.send_signal(entity, operation_name, text, at=at, operation_id=operation_id)

    async def send_signal(
        self,
        entity: EntityId,
        operation_name: str,
        input_text: str | None,
        *,
        at: datetime | timedelta | None = None,
        operation_id: str | None = None,
    ) -> None:
        """Send an operation whose input is JSON text as it is stored.

        Raises:
            FunctionNotFoundError: The app has no entity of that name.
            ValueError: The operation id is empty or too long, or a text cannot be stored.
        """
        if self._entities.entity(entity.name) is None:
            raise FunctionNotFoundError(unknown_entity(entity.name, self._entities.entity_names))
        check_storable(entity.key, operation_name, operation_id)
        _check_operation_id(operation_id)
        now = self._clock.now()
        due = _moment(at, now)
        if due is not None and due <= now:
            due = None
        request = messages.operation(
            id=str(uuid.UUID(hex=self._ids.new_id())),
            op=operation_name,
            input=input_text,
            is_signal=True,
            due=due,
        )
        await self._backend.send_message(
            str(entity),
            messages.request_event(request, now),
            visible_at=due,
            operation_id=operation_id,
        )

    # Reading

    async def read_entity_state(
        self, entity: EntityId, expected_type: Any = None
    ) -> EntityStateResponse:
        """Give the state of an entity; see `DurableClient.read_entity_state`."""
        stored = await self.stored_entity(entity)
        if stored is None or stored.state is None:
            return EntityStateResponse(entity_exists=False)
        value = load_json(stored.state, Any if expected_type is None else expected_type)
        return EntityStateResponse(entity_exists=True, entity_state=value)

    async def get_entity(
        self, entity: EntityId, *, include_state: bool = True
    ) -> EntityMetadata | None:
        """Give an entity with its lock; see `DurableClient.get_entity`."""
        stored = await self.stored_entity(entity)
        if stored is None or not (stored.exists or stored.is_busy):
            return None
        return stored.metadata(include_state=include_state)

    async def stored_entity(self, entity: EntityId) -> StoredEntity | None:
        """Give what is stored of an entity; None where nothing is.

        Raises:
            BackendError: It cannot be read.
        """
        record = await self._backend.get_instance(str(entity))
        return None if record is None else read_entity(record)

    async def list_entities(
        self,
        name: str | None = None,
        key_prefix: str = "",
        *,
        last_operation_from: datetime | None = None,
        last_operation_to: datetime | None = None,
        include_state: bool = False,
    ) -> list[EntityMetadata]:
        """Give the entities that match; see `DurableClient.list_entities`."""
        query = InstanceQuery(
            instance_id_prefix=entity_prefix(name, key_prefix),
            created_time_from=_aware(last_operation_from),
            created_time_to=_aware(last_operation_to),
            page_size=_PAGE_SIZE,
            fetch_input=include_state,
        )
        return [
            (await self._with_lock(stored)).metadata(include_state=include_state)
            async for stored in self._all(query)
            if stored.exists or stored.is_busy
        ]

    async def entity_page(self, query: InstanceQuery) -> tuple[list[StoredEntity], str | None]:
        """Give the entities of the next page that have a state, and the token of the page after it.

        A page that holds none is passed over, but not without end: what is given may be empty.

        Raises:
            ValueError: The continuation token is not one of this store's.
        """
        for _ in range(_EMPTY_PAGES_MAX):
            page = await self._backend.query_instances(query)
            found = [one for one in entities_in(page.instances) if one.exists]
            query = replace(query, continuation_token=page.continuation_token)
            if found or page.continuation_token is None:
                return found, page.continuation_token
        return [], query.continuation_token

    async def _all(self, query: InstanceQuery) -> AsyncIterator[StoredEntity]:
        while True:
            page = await self._backend.query_instances(query)
            for stored in entities_in(page.instances):
                yield stored
            if page.continuation_token is None:
                return
            query = replace(query, continuation_token=page.continuation_token)

    async def _with_lock(self, stored: StoredEntity) -> StoredEntity:
        """Read the state, too, where it tells who waits."""
        if stored.scheduler is not None or not stored.is_busy:
            return stored
        record = await self._backend.get_instance(stored.record.instance_id)
        return stored if record is None else next(entities_in([record]))

    # Repairs

    async def clean_entity_storage(
        self, *, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Delete empty entities and free locks; see `DurableClient.clean_entity_storage`."""
        removed = released = 0
        query = InstanceQuery(instance_id_prefix="@", page_size=_PAGE_SIZE, fetch_input=False)
        async for stored in self._all(query):
            if release_orphaned_locks and stored.is_busy:
                released += await self._release_orphaned(stored)
            if remove_empty_entities and not (stored.exists or stored.is_busy):
                removed += await self._remove_empty(stored)
        return CleanEntityStorageResult(
            empty_entities_removed=removed, orphaned_locks_released=released
        )

    async def _release_orphaned(self, stored: StoredEntity) -> bool:
        state = (await self._with_lock(stored)).scheduler
        if state is None or state.locked_by is None:
            return False
        owner = await self._backend.get_instance(state.locked_by, fetch_input=False)
        if not scheduler.is_orphaned(state, owner):
            return False
        release = scheduler.forced_release(state, self._clock.now())
        await self._backend.send_message(stored.record.instance_id, release)
        return True

    async def _remove_empty(self, stored: StoredEntity) -> bool:
        record = stored.record
        is_recent = record.last_updated_time > self._clock.now() - _EMPTY_KEPT
        if is_recent and not self._backend.features.keeps_order:
            return False
        return await self._backend.purge_entity(record.instance_id, record.execution_id)

    async def unlock_entity(self, entity: EntityId) -> bool:
        """Take a lock from its owner; see `DurableClient.unlock_entity`."""
        stored = await self.stored_entity(entity)
        state = None if stored is None else stored.scheduler
        if state is None or state.locked_by is None:
            return False
        await self._backend.send_message(
            str(entity), scheduler.forced_release(state, self._clock.now())
        )
        return True


def entity_prefix(name: str | None, key_prefix: str = "") -> str:
    """Give what the ids of such entities begin with.

    Raises:
        ValueError: There is a prefix and no name, or there can be no such entity.
    """
    if name is None:
        if key_prefix:
            message = "A key prefix needs the name of an entity: give both, or the name alone."
            raise ValueError(message)
        return "@"
    return str(EntityId(name, key_prefix))


def _check_operation_id(operation_id: str | None) -> None:
    if operation_id is not None and not 1 <= len(operation_id) <= _OPERATION_ID_LENGTH_MAX:
        message = (
            f"An operation id (Idempotency-Key) has 1 to {_OPERATION_ID_LENGTH_MAX} characters, "
            f"not {len(operation_id)}."
        )
        raise ValueError(message)


def _moment(at: datetime | timedelta | None, now: datetime) -> datetime | None:
    if isinstance(at, timedelta):
        return now + at
    return _aware(at)


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
