"""Whose turn it is at one entity: its queue, its lock, and its state, as one stored value.

Requests are taken in order of arrival. A lock request that is reached is granted, ends the batch,
and lets only its owner's requests through until the lock is given back. The JSON is that of the
extension's entity scheduler, with some members of ours behind it: whoever does not know them keeps
the entity all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from func_host.durable.engine.entities import messages
from func_host.durable.engine.entities.messages import Request, read_stamp, stamp_of, stamp_text
from func_host.durable.engine.entities.sorter import SorterState, in_order, next_stamp

if TYPE_CHECKING:
    from datetime import datetime

    from func_host.durable.backend import InstanceRecord
    from func_host.durable.engine.entities.messages import Release, Stamp
    from func_host.durable.history import EventRaised

WITHDRAWN_KEPT: Final = timedelta(minutes=30)
"""For how long it is remembered that a lock was given back which has not been granted yet."""


class SchedulerState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An entity as it is stored.

    Args:
        exists: There is a state; the extension writes it, DTFx does not.
        state: The state as JSON text.
        queue: What waits for the lock to be given back, or for an app that can run it.
        locked_by: Instance id of the orchestration that holds the lock.
        suspended: Written by the extension after a batch of full size; means nothing here.
        sorter: The order of each sender.
        locked_since: When the lock was granted.
        lock_id: Id of the request that was granted.
        lock_execution: Execution id of the orchestration that holds the lock.
        withdrawn: Ids of lock requests that were given back before they came, with the time.
    """

    exists: bool = False
    state: str | None = None
    queue: list[Request] = []
    locked_by: str | None = msgspec.field(default=None, name="lockedBy")
    suspended: bool = False
    sorter: SorterState
    locked_since: str | None = msgspec.field(default=None, name="lockedSince")
    lock_id: str | None = msgspec.field(default=None, name="lockId")
    lock_execution: str | None = msgspec.field(default=None, name="lockExecution")
    withdrawn: dict[str, str] = {}


class EntityStatus(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the custom status of an entity shows, as the extension does."""

    entity_exists: bool = msgspec.field(default=False, name="entityExists")
    queue_size: int = msgspec.field(default=0, name="queueSize")
    locked_by: str | None = msgspec.field(default=None, name="lockedBy")


_encoder = msgspec.json.Encoder()
_status_decoder = msgspec.json.Decoder(EntityStatus)
_state_decoder = msgspec.json.Decoder(SchedulerState)


def read_state(text: str | None) -> SchedulerState:
    """Read a stored entity; a new one where nothing is stored.

    Raises:
        ValueError: The text is not one.
    """
    if text is None or text == "null":
        return SchedulerState(sorter=SorterState())
    return _state_decoder.decode(text)


@dataclass(slots=True)
class Batch:
    """What is to be done in one go.

    Args:
        operations: Operations to run, in order.
        lock: A lock to be granted after them.
        refused: Operations that no function of the app can run; their callers are told.
    """

    operations: list[Request] = field(default_factory=list[Any])
    lock: Request | None = None
    refused: list[Request] = field(default_factory=list[Any])

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.operations or self.lock or self.refused)


class EntityScheduler:
    """One entity in memory, between its batches.

    Args:
        state: What is stored; it is changed.
        window: The reorder window in stamps; 0 where the store keeps order by itself.
    """

    def __init__(self, state: SchedulerState, *, window: Stamp) -> None:
        self.state = state
        self._window = window

    # What arrives

    def receive(self, request: Request) -> None:
        """Queue a request, and what it lets through."""
        self.state.queue.extend(in_order(self.state.sorter, request, self._window))

    def release(self, release: Release, now: datetime) -> None:
        """Give a lock back, or withdraw the request for it, whether it has come or not."""
        state = self.state
        if state.locked_by == release.parent and state.lock_id in {None, release.id}:
            self._unlock()
            return
        left = [one for one in state.queue if not (one.is_lock and one.id == release.id)]
        if len(left) < len(state.queue):
            state.queue = left
        else:
            state.withdrawn[release.id] = stamp_text(stamp_of(now))

    def _unlock(self) -> None:
        state = self.state
        state.locked_by = state.locked_since = state.lock_id = state.lock_execution = None

    # Whose turn it is

    def take_batch(self, limit: int, now: datetime, *, can_run: bool = True) -> Batch:
        """Take from the queue what may be done now.

        Where no function can run the operations, calls are refused, locks granted, and signals
        wait in the queue for one that can.
        """
        self._forget_withdrawn(now)
        batch = Batch()
        left: list[Request] = []
        is_open = True
        for request in self.state.queue:
            if request.is_lock and self.state.withdrawn.pop(request.id, None) is not None:
                continue
            is_done = is_open and self._is_admitted(request)
            if is_done and request.is_lock:
                batch.lock = request
                is_open = False
            elif is_done and not can_run and request.signal:
                is_done = False
            elif is_done:
                (batch.operations if can_run else batch.refused).append(request)
                is_open = len(batch.operations) < limit
            if not is_done:
                left.append(request)
        self.state.queue = left
        return batch

    def has_turn(self, *, can_run: bool = True) -> bool:
        """Tell whether something in the queue may be done without anything arriving."""
        return any(
            self._is_admitted(one) and (can_run or one.is_lock or not one.signal)
            for one in self.state.queue
        )

    def _is_admitted(self, request: Request) -> bool:
        owner = self.state.locked_by
        return owner is None or (request.parent == owner and not request.is_lock)

    def _forget_withdrawn(self, now: datetime) -> None:
        withdrawn = self.state.withdrawn
        if withdrawn:
            oldest = stamp_of(now - WITHDRAWN_KEPT)
            for one in [one for one, then in withdrawn.items() if read_stamp(then) < oldest]:
                del withdrawn[one]

    # What is done

    def grant(self, request: Request, now: datetime) -> tuple[str, Request | None]:
        """Lock the entity; give the next instance that is to be locked and the request for it.

        Where this was the last of them, the instance is the orchestration, and there is no request.
        """
        state = self.state
        assert request.lockset is not None
        assert request.parent is not None
        state.locked_by = request.parent
        state.locked_since = stamp_text(stamp_of(now))
        state.lock_id = request.id
        state.lock_execution = request.parent_execution
        position = request.pos + 1
        if position == len(request.lockset):
            return request.parent, None
        forwarded = msgspec.structs.replace(request, pos=position)
        return request.lockset[position].instance_id, forwarded

    def stamp(self, destination: str, now: datetime) -> tuple[Stamp, Stamp]:
        """Give the stamp of the next signal to an entity, and that of its predecessor."""
        return next_stamp(self.state.sorter, destination, stamp_of(now), self._window)

    def set_state(self, state: str | None) -> None:
        """Replace the state; None deletes it."""
        self.state.state = state
        self.state.exists = state is not None

    # How it is stored

    def text(self) -> str:
        """Write what is to be stored."""
        return _encoder.encode(self.state).decode()

    def status_text(self) -> str:
        """Write the custom status."""
        state = self.state
        status = EntityStatus(
            entity_exists=state.exists,
            queue_size=len(state.queue),
            locked_by=state.locked_by,
        )
        return _encoder.encode(status).decode()


def is_orphaned(state: SchedulerState, owner: InstanceRecord | None) -> bool:
    """Tell whether nobody will give the lock back: its owner is gone, or is another execution."""
    if owner is None or owner.runtime_status.is_terminal:
        return True
    return state.lock_execution is not None and owner.execution_id != state.lock_execution


def forced_release(state: SchedulerState, now: datetime) -> EventRaised:
    """Give the event that takes the lock from its owner."""
    assert state.locked_by is not None
    return messages.release_event(state.locked_by, state.lock_id or "", now)


def read_status(text: str | None) -> EntityStatus:
    """Read a custom status; nothing where it is not that of an entity."""
    try:
        return _status_decoder.decode(text or "{}")
    except ValueError:
        return EntityStatus()


def locked_since(state: SchedulerState) -> datetime | None:
    """Give when the lock was granted, where that is known."""
    return None if state.locked_since is None else messages.moment_of(state.locked_since)
