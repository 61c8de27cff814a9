"""Writes batches of entities: what is sent is stored with the batch, and put after it.

A batch is not asked for again by a replay, as the step of an orchestration is, and its operations
must not run twice. So nothing may leave before the batch is stored, and nothing may be lost after:

1. one transaction: the history, which is the entity; what was consumed; what is to be sent,
2. each message is put,
3. the status row,
4. what was consumed is deleted.

A crash before 1 leaves nothing. After it, what was consumed comes again: that is known, and says
that 2 may not have been done: all is put once more, under the same names, before it is deleted.
Where a batch sends something and nothing that it has consumed lies in a queue, a message is put
before it that comes again instead. Nothing says afterwards that a message has been put: that what
was consumed is gone says so.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from func_host.durable.backend import OutgoingMessage
from func_host.durable.backends.azure_storage.entity_memory import (
    OUTBOX,
    OUTBOX_BLOB,
    Taken,
    Unsent,
    is_outbox_large,
    note_batch,
)
from func_host.durable.backends.azure_storage.messages import Party
from func_host.durable.backends.azure_storage.outbox import Sent
from func_host.durable.engine.entities.scheduler import read_status
from func_host.durable.history import ExecutionRewound, TaskScheduled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.durable.backend import Commit
    from func_host.durable.backends.azure_storage.appending import HistoryWriting
    from func_host.durable.backends.azure_storage.hot_instances import HotInstance
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.outbox import Outbox

_PUTS_AT_ONCE: Final = 16
_NAMESPACE: Final = uuid.UUID("6b1c8d3e-0f4a-4e55-9a7d-2f1f6f0c7b90")


class EntityBatches:
    """Writes what is particular to entities in a commit.

    Args:
        hub: The hub.
        outbox: Tells what can be received, and makes the rows of new children.
    """

    def __init__(self, hub: Hub, outbox: Outbox) -> None:
        self._hub = hub
        self._outbox = outbox

    async def prepare(self, commit: Commit, hot: HotInstance) -> tuple[Unsent, ...]:
        """Give what a batch sends, each message under a name that follows from the batch."""
        assert commit.started is not None
        hub, instance_id = self._hub, commit.instance_id
        before = None if hot.is_unborn else commit.fence.execution_id
        batch = commit.started.orchestration_instance.execution_id
        return tuple(
            Unsent(
                # The context of a start has the tags of who sends it: an entity has none.
                replace(
                    hub.envelope(
                        message.instance_id,
                        message.event,
                        message.execution_id,
                        sender=Party(instance_id, before),
                        episode=1 if before is None else 2,  # as the provider counts
                        activity_id=uuid.uuid5(_NAMESPACE, f"{batch} {place}").hex,
                    ),
                    tags=None,
                ),
                message.visible_at,
            )
            for place, message in enumerate(await self._outbox.deliverable(commit))
        )

    async def write(
        self, commit: Commit, hot: HotInstance, writing: HistoryWriting, sends: Sequence[Unsent]
    ) -> None:
        """Write the transaction.

        Raises:
            StaleCommitError: Somebody else has written.
        """
        hub, memory = self._hub, hot.entity
        assert memory is not None
        assert commit.started is not None
        is_sure = hub.is_sure(commit.instance_id)
        # What a dead host has not deleted may come yet, and be the only sign that this is unsent.
        earlier = () if is_sure else memory.unsent
        row = note_batch(
            memory,
            self._taken(commit),
            (*earlier, *sends),
            execution_id=commit.started.orchestration_instance.execution_id,
            now=hub.clock.now(),
            keep=not is_sure,
        )
        blob = None
        if is_outbox_large(row):
            text = str(row[OUTBOX])
            blob = await hub.histories.put_blob(commit.instance_id, OUTBOX, text)
            row |= {OUTBOX: "", OUTBOX_BLOB: blob}
        writing.more = row
        await writing.append(hub, hot, commit.events, is_left_open=is_left_open(commit))
        memory.note_blobs(writing.blobs, blob)

    def _taken(self, commit: Commit) -> list[Taken]:
        inbox = self._hub.inbox
        return [
            Taken(identity=identity, is_in_queue=inbox.ticket_of(one) is not None)
            for one in commit.consumed
            if (identity := inbox.identity_of(one)) is not None
        ]

    async def send(self, hot: HotInstance, sends: Sequence[Unsent], instance_id: str) -> list[Sent]:
        """Put what a batch sends, once it is stored."""
        hub = self._hub
        sent: list[Sent] = []
        for first in range(0, len(sends), _PUTS_AT_ONCE):
            hub.check_owned(instance_id)
            some = sends[first : first + _PUTS_AT_ONCE]
            sent += await asyncio.gather(*map(self._put, some))
        await self._outbox.insert_children([one.message for one in sent])
        if hot.entity is not None and sends:
            names = {one.envelope.activity_id for one in sends}
            hot.entity.unsent = tuple(
                one for one in hot.entity.unsent if one.envelope.activity_id not in names
            )
        return sent

    async def _put(self, unsent: Unsent) -> Sent:
        ticket, is_served = await self._hub.put(unsent.envelope, unsent.visible_at)
        return Sent(_outgoing(unsent), ticket, is_served)

    async def send_again(self, instance_id: str, hot: HotInstance) -> None:
        """Put what may not have been put before the process that wrote it ended.

        It is not delivered in memory: a copy of it may be there, and whoever reads the queue knows.
        """
        hub, memory = self._hub, hot.entity
        if memory is None or not memory.unsent:
            return
        for unsent in memory.unsent:
            hub.check_owned(instance_id)
            invisible_s = hub.delay_s(unsent.visible_at)
            await hub.queues.put(unsent.envelope, invisible_s=invisible_s)
        memory.unsent = ()

    async def forget_before(self, hot: HotInstance) -> None:
        """Delete the blobs of the batch before, once nothing names them any more."""
        memory = hot.entity
        assert memory is not None
        stale, memory.stale_blobs = memory.stale_blobs, ()
        for blob in stale:
            await self._hub.blobs.delete(blob)


def is_left_open(commit: Commit) -> bool:
    """Tell whether an entity is to be looked at again though nothing arrives.

    One that is locked is not: its queue waits for the lock to be given back, and that arrives.
    """
    is_locked = read_status(commit.status.custom_status).locked_by is not None
    return commit.open_activities > 0 and not is_locked


def _outgoing(unsent: Unsent) -> OutgoingMessage:
    target, event = unsent.envelope.target, unsent.envelope.event
    assert not isinstance(event, TaskScheduled | ExecutionRewound)
    return OutgoingMessage(
        instance_id=target.instance_id,
        execution_id=target.execution_id,
        event=event,
        visible_at=unsent.visible_at,
    )
