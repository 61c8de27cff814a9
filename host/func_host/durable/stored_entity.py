"""Entities as their status rows tell of them: state, lock, and who waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from func_bindings.durable.entities import EntityId, EntityMetadata, LockWaiter
from func_host.durable.backend import BackendError
from func_host.durable.engine.entities import scheduler
from func_host.invocation.values import load_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from func_host.durable.backend import InstanceRecord
    from func_host.durable.engine.entities.scheduler import SchedulerState


@dataclass(frozen=True, slots=True)
class StoredEntity:
    """The row of an entity, and what it says; `scheduler` is None where that was not read."""

    record: InstanceRecord
    scheduler: SchedulerState | None

    @property
    def entity_id(self) -> EntityId:
        """Which one."""
        return EntityId.parse(self.record.instance_id)

    @property
    def exists(self) -> bool:
        """Whether it has a state."""
        return scheduler.read_status(self.record.custom_status).entity_exists

    @property
    def is_busy(self) -> bool:
        """Whether it is locked, or something waits for it."""
        status = scheduler.read_status(self.record.custom_status)
        return status.locked_by is not None or status.queue_size > 0

    @property
    def state(self) -> str | None:
        """The state as JSON text; None where there is none, or it is JSON's null."""
        text = None if self.scheduler is None else self.scheduler.state
        return None if text == "null" else text

    def metadata(self, *, include_state: bool) -> EntityMetadata:
        """Give what clients are shown."""
        state, record = self.scheduler, self.record
        text = self.state if include_state else None
        queue = [] if state is None else state.queue
        return EntityMetadata(
            entity_id=self.entity_id,
            last_operation_time=record.created_time,
            exists=self.exists,
            state=None if text is None else load_json(text),
            locked_by=None if state is None else state.locked_by,
            locked_since=None if state is None else scheduler.locked_since(state),
            waiters=tuple(LockWaiter(one.parent, one.op) for one in queue),
            parked=record.parked,
        )


def read_entity(record: InstanceRecord) -> StoredEntity:
    """Read the row of an entity.

    Raises:
        BackendError: It holds what no host has written.
    """
    if record.input is None:
        return StoredEntity(record, None)
    try:
        return StoredEntity(record, scheduler.read_state(record.input))
    except ValueError as error:
        message = f"What is stored of the entity '{record.instance_id}' cannot be read: {error}."
        raise BackendError(message) from error


def entities_in(records: Iterable[InstanceRecord]) -> Iterator[StoredEntity]:
    """Give those of the instances that are entities; one that cannot be read, without its state."""
    for record in records:
        if _is_id(record.instance_id):
            yield _readable(record)


def _is_id(instance_id: str) -> bool:
    try:
        EntityId.parse(instance_id)
    except ValueError:
        return False
    return True


def _readable(record: InstanceRecord) -> StoredEntity:
    try:
        return read_entity(record)
    except BackendError:
        return StoredEntity(record, None)
