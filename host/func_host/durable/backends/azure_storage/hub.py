"""One hub as its parts see it: the stores, what is held, and what is known of instances."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from func_host.durable.backend import StatusChange
from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.hot_instances import HotInstance
from func_host.durable.backends.azure_storage.instance_rows import checkpoint_row
from func_host.durable.backends.azure_storage.instance_store import NO_INPUT
from func_host.durable.backends.azure_storage.messages import CLIENT, Envelope, Party
from func_host.durable.codec import to_microseconds
from func_host.durable.history import ExecutionStarted, GenericEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from func_host.clock import Clock, IdSource
    from func_host.durable.backend import InstanceRecord, MessageId
    from func_host.durable.backends.azure_storage.blobs import LargeValues
    from func_host.durable.backends.azure_storage.control_queues import ControlQueues
    from func_host.durable.backends.azure_storage.history_store import HistoryStore
    from func_host.durable.backends.azure_storage.hot_instances import HotInstances
    from func_host.durable.backends.azure_storage.inbox import Inbox
    from func_host.durable.backends.azure_storage.instance_store import InstanceStore, StoredRow
    from func_host.durable.backends.azure_storage.tickets import Ticket
    from func_host.durable.backends.dispatch import Dispatcher
    from func_host.durable.history import MessageEvent

TIMER_GRACE_S: Final = 10
"""A timer that is fired from memory shows up in its queue this much later, if nobody took it."""

_MERGE_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """How a host uses a hub.

    Args:
        partition_count: Control queues of the hub.
        visibility_s: For how long a claim hides a message; it is renewed in time.
        polling_interval_max_s: Longest wait between two looks into an idle queue.
        buffer_max: With so many messages held, no more are taken.
        cache_size: How many idle instances stay in memory.
        status_delay_s: How long a status that nobody waits for may stay unwritten.
    """

    partition_count: int = 4
    visibility_s: int = 60
    polling_interval_max_s: float = 30.0
    buffer_max: int = 256
    cache_size: int = 1_000
    status_delay_s: float = 1.0


class Hub:
    """What the parts of the backend share."""

    def __init__(
        self,
        *,
        settings: HubSettings,
        clock: Clock,
        ids: IdSource,
        queues: ControlQueues,
        histories: HistoryStore,
        instances: InstanceStore,
        blobs: LargeValues,
        inbox: Inbox,
        dispatcher: Dispatcher,
        known: HotInstances,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.ids = ids
        self.queues = queues
        self.histories = histories
        self.instances = instances
        self.blobs = blobs
        self.inbox = inbox
        self.dispatcher = dispatcher
        self.known = known
        self.has_unwritten = asyncio.Event()
        self._stopping = asyncio.Event()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._sequence = 0

    # Life

    @property
    def is_stopping(self) -> bool:
        """Tell whether what runs in the background is to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Let what runs in the background end after the request it is waiting for."""
        self._stopping.set()
        self.has_unwritten.set()

    async def pause(self, seconds: float) -> None:
        """Sleep, but not beyond `stop`."""
        asleep = asyncio.ensure_future(self.clock.sleep(seconds))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((asleep, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            asleep.cancel()
            stopping.cancel()

    @asynccontextmanager
    async def alone(self, instance_id: str) -> AsyncGenerator[None]:
        """Let one task at a time change an instance."""
        lock, users = self._locks.get(instance_id) or (asyncio.Lock(), 0)
        self._locks[instance_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[instance_id]
            if users == 1:
                del self._locks[instance_id]
            else:
                self._locks[instance_id] = (lock, users - 1)

    # Instances

    def known_row(self, instance_id: str, stored: StoredRow) -> HotInstance:
        """Remember a status row that was read."""
        record = stored.record
        hot = HotInstance(record, record, stored.etag, self.clock.monotonic())
        self.known.put(instance_id, hot)
        return hot

    async def instance(self, instance_id: str) -> HotInstance | None:
        """Give what is known of an instance; its row is read where nothing is."""
        hot = self.known.get(instance_id, self.clock.monotonic())
        if hot is not None:
            return hot
        stored = await self.instances.get(instance_id)
        return None if stored is None else self.known_row(instance_id, stored)

    async def with_history(self, instance_id: str, hot: HotInstance) -> None:
        """Read the history, where it is not known; mend a status that a crash left behind."""
        if hot.is_loaded:
            return
        loaded = await self.histories.load(instance_id, hot.record.execution_id)
        hot.stored = list(loaded.stored.events)
        hot.next_ordinal = loaded.stored.next_ordinal
        hot.fence_etag = loaded.etag
        hot.consumed_ids = set(loaded.consumed_ids)
        hot.is_loaded = True
        hot.is_left_open = loaded.is_left_open
        completion = hot.completion
        if completion is not None and not hot.is_ended:
            hot.record = replace(
                hot.record,
                runtime_status=completion.orchestration_status,
                last_updated_time=completion.timestamp,
                output=completion.result,
            )
            await self.write_status(instance_id, hot)

    async def write_status(
        self, instance_id: str, hot: HotInstance, *, start: ExecutionStarted | None = None
    ) -> None:
        """Write the status row, if nobody else has a newer one.

        With `start` the columns of a new execution are written, too.
        """
        record, before = hot.record, hot.row
        if start is None and record.execution_id != before.execution_id:
            start = hot.start
        row = checkpoint_row(
            instance_id,
            record.execution_id,
            StatusChange(
                runtime_status=record.runtime_status,
                last_updated_time=record.last_updated_time,
                custom_status=record.custom_status,
                output=record.output,
                parked=record.parked,
            ),
            start=start,
            completed_time=record.last_updated_time if hot.is_ended else None,
            had_output=before.output is not None,
            was_parked=before.parked is not None,
        )
        if start is not None and start.input is None and before.input is not None:
            row["Input"] = NO_INPUT
        for _ in range(_MERGE_TRIES):
            etag = await self.instances.merge(row, hot.row_etag)
            if etag is not None:
                hot.row_etag, hot.row = etag, record
                return
            stored = await self.instances.get(instance_id, fetch_input=False)
            ours = {before.execution_id, record.execution_id}
            if stored is None or stored.record.execution_id not in ours:
                self.known.drop(instance_id)  # purged or replaced: the row says something newer
                return
            hot.row_etag = stored.etag

    # Messages

    def envelope(
        self,
        instance_id: str,
        event: MessageEvent,
        execution_id: str | None,
        *,
        sender: Party = CLIENT,
        episode: int | None = None,
    ) -> Envelope:
        """Address a message."""
        self._sequence += 1
        tags = None
        if isinstance(event, ExecutionStarted):
            execution_id = event.orchestration_instance.execution_id
            tags = event.tags
        return Envelope(
            event=event,
            target=Party(instance_id, execution_id),
            activity_id=self.ids.new_id(),
            sender=sender,
            sequence_number=self._sequence,
            episode=episode,
            tags=tags,
        )

    def wake_up(self, instance_id: str) -> Envelope:
        """Give the message that only wakes whatever run is current."""
        event = GenericEvent(timestamp=self.clock.now())
        return self.envelope(instance_id, event, None)

    def hidden_s(self, visible_at: datetime | None) -> float:
        """Tell for how long a message is put invisible that is delivered from memory."""
        delay_s = 0.0
        if visible_at is not None:
            delay_s = (visible_at - self.clock.now()).total_seconds()
        if delay_s <= 0:
            return self.settings.visibility_s
        return min(delay_s + TIMER_GRACE_S, timedelta(days=7).total_seconds())

    def deliver(
        self,
        instance_id: str,
        event: MessageEvent,
        execution_id: str | None,
        ticket: Ticket | None,
        *,
        visible_at: datetime | None = None,
    ) -> MessageId:
        """Hand a message over to its instance, now or when it is due; it has a ticket, or a sender.

        One without a ticket is in no queue, and its sender waits for it to be consumed.
        """
        now = to_microseconds(self.clock.now())
        due = now if visible_at is None else to_microseconds(visible_at)
        arrival, is_delayed = self.inbox.add(
            instance_id, event, execution_id, ticket, arrives_at=due, now=now
        )
        if is_delayed:
            self.dispatcher.delayed(due, arrival.message.id)
        else:
            self.dispatcher.arrived(arrival)
        return arrival.message.id

    async def drop_messages(self, instance_id: str, *, but_starts_of_others: bool) -> None:
        """Delete all that is held of an instance that has ended, or is gone."""
        hot = self.known.get(instance_id, self.clock.monotonic())
        ended = None if hot is None else hot.record.execution_id
        gone = [
            message.id
            for message in self.inbox.of(instance_id)
            if not (
                but_starts_of_others
                and ended is not None
                and rules.survives_end(rules.started_execution(message.event), ended)
            )
        ]
        removed = self.inbox.remove(instance_id, gone)
        claim = self.inbox.unclaim(instance_id)
        self.inbox.set_open(instance_id, is_open=False)
        tickets = [each.ticket for each in removed if each.ticket is not None]
        if claim is not None:
            tickets.append(claim.ticket)
        await self.delete(tickets)

    async def delete(self, tickets: list[Ticket]) -> None:
        """Delete messages."""
        for first in range(0, len(tickets), _AT_ONCE):
            await asyncio.gather(
                *(self.queues.delete(ticket) for ticket in tickets[first : first + _AT_ONCE])
            )


_AT_ONCE: Final = 16


def shown(record: InstanceRecord, *, fetch_input: bool) -> InstanceRecord:
    """Give a status as it was asked for."""
    return record if fetch_input else replace(record, input=None)
