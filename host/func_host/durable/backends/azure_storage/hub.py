"""One hub as its parts see it: the stores, what is held, and what is known of instances."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import StaleCommitError, StatusChange
from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.app_lease import AppLeaseSettings
from func_host.durable.backends.azure_storage.client_order import ClientOrder
from func_host.durable.backends.azure_storage.entity_loading import entity_record, load_memory
from func_host.durable.backends.azure_storage.hot_instances import HotInstance
from func_host.durable.backends.azure_storage.instance_rows import checkpoint_row
from func_host.durable.backends.azure_storage.instance_store import NO_INPUT
from func_host.durable.backends.azure_storage.leases import LeaseSettings
from func_host.durable.backends.azure_storage.messages import CLIENT, Envelope, Party
from func_host.durable.backends.azure_storage.withholding import unanswered
from func_host.durable.codec import to_microseconds
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.history import ExecutionStarted, GenericEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from datetime import datetime

    from func_host.clock import Clock, IdSource
    from func_host.durable.backend import InstanceRecord, MessageId
    from func_host.durable.backends.azure_storage.blobs import LargeValues
    from func_host.durable.backends.azure_storage.history_store import HistoryStore, LoadedHistory
    from func_host.durable.backends.azure_storage.hot_instances import HotInstances
    from func_host.durable.backends.azure_storage.inbox import Inbox
    from func_host.durable.backends.azure_storage.instance_store import InstanceStore, StoredRow
    from func_host.durable.backends.azure_storage.keeping import TicketKeeper
    from func_host.durable.backends.azure_storage.ownership import Ownership
    from func_host.durable.backends.azure_storage.queues import MessageQueues
    from func_host.durable.backends.azure_storage.table_rows import Row
    from func_host.durable.backends.azure_storage.tickets import Ticket
    from func_host.durable.backends.dispatch import Dispatcher
    from func_host.durable.history import MessageEvent

LONGEST_PAUSE_AMONG_HOSTS_S: Final = 5.0
"""Where there are other hosts, a queue is looked into at least this often."""

LONGEST_PAUSE_WHILE_ACTIVE_S: Final = 1.0
"""The same while this host is at work: what it waits for may be another host's turn."""

_ACTIVE_S: Final = 60.0

_MERGE_TRIES: Final = 5
_AT_ONCE: Final = 16
_SETTLING_MARGIN_S: Final = 5.0

HIDDEN_MAX: Final = timedelta(days=6)
"""For how long a message is put invisible at most, as by the provider; a queue holds it for 7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """How a host uses a hub.

    Args:
        partition_count: Control queues of the hub.
        works: Whether it works on instances; else it is a client only, and takes no partitions.
        batch: How many messages are taken from a control queue at a time.
        visibility_s: For how long a claim hides a message; it is renewed in time.
        work_item_visibility_s: For how long an activity that was taken is hidden from others.
        polling_interval_max_s: Longest wait between two looks into an idle queue.
        buffer_max: With so many messages held, no more are taken.
        cache_size: How many idle instances stay in memory.
        settling_s: After so long all that a dead host has hidden is visible; None for as long as a
            claim hides a message, and some seconds.
        status_delay_s: How long a status that nobody waits for may stay unwritten.
        carrying_after_s: Activities that last longer are shown to other hosts in the history.
        app_name: Name of the app, for the app lease; empty where it has none.
        use_app_lease: `useAppLease`.
        app_lease: `appLeaseOptions`.
        leases: The times of the partition leases.
    """

    partition_count: int = 4
    works: bool = True
    batch: int = 32
    visibility_s: float = 60
    work_item_visibility_s: float = 60
    polling_interval_max_s: float = 30.0
    buffer_max: int = 256
    cache_size: int = 1_000
    settling_s: float | None = None
    status_delay_s: float = 1.0
    carrying_after_s: float = 22.0
    app_name: str = ""
    use_app_lease: bool = True
    app_lease: AppLeaseSettings = field(default_factory=AppLeaseSettings)
    leases: LeaseSettings = field(default_factory=LeaseSettings)

    @property
    def hidden_by_others_s(self) -> float:
        """For how long messages that a dead host has taken may stay hidden."""
        if self.settling_s is not None:
            return self.settling_s
        return self.visibility_s + _SETTLING_MARGIN_S


class Hub:
    """What the parts of the backend share.

    Args:
        settings: How the hub is used.
        clock: The time of messages; tests may simulate it.
        pacing: The machine's time, which leases and visibility go by.
        ids: Ids and chance.
        ownership: Which instances are this process's.
        queues: The messages.
        histories: The histories.
        instances: The status rows.
        blobs: Large values.
        inbox: What is held.
        dispatcher: Hands it out.
        known: What is known of instances.
        keeper: Keeps hidden what is held.
        has_peers: Whether other hosts work on the hub.
    """

    def __init__(
        self,
        *,
        settings: HubSettings,
        clock: Clock,
        pacing: Clock,
        ids: IdSource,
        ownership: Ownership,
        queues: MessageQueues,
        histories: HistoryStore,
        instances: InstanceStore,
        blobs: LargeValues,
        inbox: Inbox,
        dispatcher: Dispatcher,
        known: HotInstances,
        keeper: TicketKeeper,
        has_peers: Callable[[], bool],
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.pacing = pacing
        self.ids = ids
        self.ownership = ownership
        self.queues = queues
        self.histories = histories
        self.instances = instances
        self.blobs = blobs
        self.inbox = inbox
        self.dispatcher = dispatcher
        self.known = known
        self.keeper = keeper
        self._has_peers = has_peers
        self.order = ClientOrder(
            pacing, keeper, settling_s=settings.hidden_by_others_s, has_peers=has_peers
        )
        self._active_at = float("-inf")
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

    async def pause(self, seconds: float, *until: asyncio.Event) -> None:
        """Sleep, but not beyond `stop` or any of these events."""
        waits = [
            asyncio.ensure_future(self.pacing.sleep(seconds)),
            *(asyncio.ensure_future(event.wait()) for event in (self._stopping, *until)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

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

    def longest_pause_s(self, *, of_activities: bool = False) -> float:
        """Give the longest pause between two looks into a queue, as things are.

        A host that is alone shares no activities: for those of others it looks half as often.
        """
        longest_s = self.settings.polling_interval_max_s
        if not self._has_peers():
            return 2 * longest_s if of_activities else longest_s
        is_active = self.pacing.monotonic() - self._active_at < _ACTIVE_S
        among_hosts_s = LONGEST_PAUSE_AMONG_HOSTS_S
        return min(longest_s, LONGEST_PAUSE_WHILE_ACTIVE_S if is_active else among_hosts_s)

    # Ownership

    def check_owned(self, instance_id: str) -> None:
        """Let only the owner of an instance change anything outside of this process.

        Raises:
            StaleCommitError: This process does not own it any more.
        """
        if not self.ownership.owns(instance_id):
            raise StaleCommitError(f"The instance '{instance_id}' is another host's by now.")

    def is_sure(self, instance_id: str) -> bool:
        """Tell whether no message to an instance lies hidden by a host that died."""
        return self.order.is_settled(self.ownership.partition_of(instance_id))

    # Instances

    def known_instance(self, instance_id: str) -> HotInstance | None:
        """Give what is known of an instance that this process serves, without asking."""
        if not self.ownership.owns(instance_id):
            return None
        return self.known.get(instance_id, self.clock.monotonic())

    def remember(self, instance_id: str, hot: HotInstance, *, epoch: int) -> None:
        """Know an instance from now on, if it has been this process's all the while."""
        if self.ownership.serves(instance_id) and self.ownership.epoch(instance_id) == epoch:
            self.known.put(instance_id, hot)

    def new_instance(self, record: InstanceRecord, etag: str, *, is_loaded: bool) -> HotInstance:
        """Make what is known of an instance whose row says this."""
        hot = HotInstance(record, record, etag, self.clock.monotonic(), is_loaded=is_loaded)
        if is_entity(record.instance_id) and record.runtime_status.is_terminal:
            # Others may have terminated it; it is an entity all the same, and goes on.
            hot.record = replace(record, runtime_status=OrchestrationRuntimeStatus.Running)
        return hot

    def known_row(self, instance_id: str, stored: StoredRow) -> HotInstance:
        """Give what a status row says, and remember it."""
        hot = self.new_instance(stored.record, stored.etag, is_loaded=False)
        self.remember(instance_id, hot, epoch=self.ownership.epoch(instance_id))
        return hot

    async def instance(self, instance_id: str) -> HotInstance | None:
        """Give what is known of an instance; its row is read where nothing is."""
        hot = self.known_instance(instance_id)
        if hot is not None:
            return hot
        epoch = self.ownership.epoch(instance_id)
        stored = await self.instances.get(instance_id)
        if stored is None:
            return None
        hot = self.new_instance(stored.record, stored.etag, is_loaded=False)
        self.remember(instance_id, hot, epoch=epoch)
        return hot

    async def recipient(self, instance_id: str, event: MessageEvent) -> HotInstance | None:
        """Give what is known of the instance that gets a message; an entity begins with its first.

        It has no row before its first commit.
        """
        hot = await self.instance(instance_id)
        if hot is None and is_entity(instance_id):
            epoch = self.ownership.epoch(instance_id)
            record = rules.new_record(rules.entity_start(instance_id, event.timestamp))
            hot = HotInstance(record, record, None, self.clock.monotonic())
            self.remember(instance_id, hot, epoch=epoch)
        return hot

    async def with_history(self, instance_id: str, hot: HotInstance) -> None:
        """Read the history, where it is not known; mend a status that a crash left behind."""
        if hot.is_loaded:
            return
        if is_entity(instance_id):
            loaded = await self.histories.load(instance_id, None)
            hot.entity = await load_memory(loaded, self.blobs)
            hot.record = entity_record(loaded.stored, hot.record)
        else:
            loaded = await self._load_current(instance_id, hot)
        hot.stored = list(loaded.stored.events)
        hot.next_ordinal = loaded.stored.next_ordinal
        hot.fence_etag = loaded.etag
        hot.is_loaded = True
        hot.is_left_open = loaded.is_left_open
        hot.carried = unanswered(hot.stored)
        if hot.entity is None:
            hot.consumed_ids = set(loaded.consumed_ids)
            hot.unconfirmed = loaded.unconfirmed
            hot.tells_consumed = bool(loaded.unconfirmed)
        completion = None if hot.entity is not None else hot.completion
        if completion is not None and not hot.is_ended:
            hot.record = replace(
                hot.record,
                runtime_status=completion.orchestration_status,
                last_updated_time=completion.timestamp,
                output=completion.result,
            )
        if hot.record is not hot.row and self.ownership.owns(instance_id):
            await self.write_status(instance_id, hot, start=None if hot.row_etag else hot.start)

    async def _load_current(self, instance_id: str, hot: HotInstance) -> LoadedHistory:
        """Read the history of the current run: where the row is behind, the run that it is behind.

        A continue-as-new writes the history, then the row. A crash in between leaves a row of the
        run before. A row that a client has put in its place says `Pending`, or of a later start.
        """
        loaded = await self.histories.load(instance_id, hot.record.execution_id)
        fence, record = loaded.stored.sentinel, hot.record
        if fence is None or fence.execution_id == record.execution_id:
            return loaded
        is_behind = loaded.follows == record.execution_id  # our own hosts say so
        if not is_behind and record.runtime_status is OrchestrationRuntimeStatus.Pending:
            return loaded
        later = await self.histories.load(instance_id, fence.execution_id)
        starts = (one for one in later.stored.events if isinstance(one, ExecutionStarted))
        start = next(starts, None)
        if start is None or not (is_behind or start.timestamp > record.created_time):
            return loaded
        hot.record = replace(
            rules.new_record(start),
            runtime_status=OrchestrationRuntimeStatus.Running,
            last_updated_time=fence.checkpoint_completed or start.timestamp,
        )
        return later

    async def write_status(
        self, instance_id: str, hot: HotInstance, *, start: ExecutionStarted | None = None
    ) -> None:
        """Write the status row, if nobody else has a newer one.

        With `start` the columns of a new execution are written, too.
        """
        record, before = hot.record, hot.row
        if start is None and record.execution_id != before.execution_id:
            start = hot.start
        for _ in range(_MERGE_TRIES):
            self.check_owned(instance_id)
            etag = await self.instances.merge(self._status_row(hot, record, start), hot.row_etag)
            if etag is not None:
                hot.row_etag, hot.row = etag, record
                return
            stored = await self.instances.get(instance_id, fetch_input=False)
            ours = {before.execution_id, record.execution_id}
            if is_entity(instance_id):
                # The history is there, and is what it is: the row is of a batch before, where the
                # answer to its writing was lost, or its empty predecessor has been purged.
                start, hot.row_etag = start or hot.start, None if stored is None else stored.etag
                continue
            if stored is None or stored.record.execution_id not in ours:
                self.known.drop(instance_id)  # purged or replaced: the row says something newer
                return
            hot.row_etag = stored.etag

    def _status_row(
        self, hot: HotInstance, record: InstanceRecord, start: ExecutionStarted | None
    ) -> Row:
        before = hot.row
        if start is not None and hot.entity is not None and hot.entity.state_blobs:
            # One blob for both tables, as by the provider.
            start = msgspec.structs.replace(start, input=self.blobs.url(hot.entity.state_blobs[0]))
        row = checkpoint_row(
            record.instance_id,
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
        return row

    # Messages

    def envelope(
        self,
        instance_id: str,
        event: MessageEvent,
        execution_id: str | None,
        *,
        sender: Party = CLIENT,
        episode: int | None = None,
        activity_id: str | None = None,
    ) -> Envelope:
        """Address a message; one that may be sent again is given its id."""
        tags = None
        if isinstance(event, ExecutionStarted):
            execution_id = event.orchestration_instance.execution_id
            tags = event.tags
        return Envelope(
            event=event,
            target=Party(instance_id, execution_id),
            activity_id=activity_id or self.ids.new_id(),
            sender=sender,
            sequence_number=self.next_sequence(),
            episode=episode,
            tags=tags,
        )

    def next_sequence(self) -> int:
        """Count what this process sends."""
        self._sequence += 1
        return self._sequence

    def wake_up(self, instance_id: str) -> Envelope:
        """Give the message that only wakes whatever run is current."""
        event = GenericEvent(timestamp=self.clock.now())
        return self.envelope(instance_id, event, None)

    def delay_s(self, visible_at: datetime | None) -> float:
        """Tell for how long a message is put invisible that its queue shall deliver."""
        if visible_at is None:
            return 0.0
        delay_s = (visible_at - self.clock.now()).total_seconds()
        return min(max(0.0, delay_s), HIDDEN_MAX.total_seconds())

    def hidden_s(self, visible_at: datetime | None) -> float:
        """Tell for how long a message is put invisible that is delivered from memory."""
        return self.delay_s(visible_at) or self.settings.visibility_s

    @property
    def has_peers(self) -> bool:
        """Whether other hosts work on the hub."""
        return self._has_peers()

    async def put(
        self, envelope: Envelope, visible_at: datetime | None = None
    ) -> tuple[Ticket, bool]:
        """Put a message; give its ticket, and whether it is to be delivered from memory."""
        is_served = self.ownership.serves(envelope.target.instance_id)
        invisible_s = self.hidden_s(visible_at) if is_served else self.delay_s(visible_at)
        return await self.queues.put(envelope, invisible_s=invisible_s), is_served

    def deliver(
        self,
        instance_id: str,
        event: MessageEvent,
        execution_id: str | None,
        ticket: Ticket | None,
        *,
        visible_at: datetime | None = None,
        identity: str | None = None,
    ) -> MessageId | None:
        """Hand a message over to its instance, now or when it is due; it has a ticket, or a sender.

        One without a ticket is in no queue, and its sender, who gives its identity, waits for it to
        be consumed. Where the instance is not this process's any more, None is given: its queue
        delivers the message.
        """
        if not self.ownership.serves(instance_id):
            return None
        self._active_at = self.pacing.monotonic()
        now = to_microseconds(self.clock.now())
        if visible_at is not None and is_entity(instance_id):  # it sends on what comes too early
            visible_at = min(visible_at, self.clock.now() + HIDDEN_MAX)
        due = now if visible_at is None else to_microseconds(visible_at)
        if ticket is not None:
            ticket.due = self.pacing.monotonic() + max(0, due - now) / 1_000_000
        arrival, is_delayed = self.inbox.add(
            instance_id,
            event,
            execution_id,
            ticket,
            arrives_at=due,
            now=now,
            identity=identity,
        )
        if is_delayed:
            self.dispatcher.delayed(due, arrival.message.id)
        else:
            self.dispatcher.arrived(arrival)
        return arrival.message.id

    async def drop_messages(self, instance_id: str, *, but_starts_of_others: bool) -> None:
        """Delete all that is held of an instance that has ended, or is gone."""
        hot = self.known_instance(instance_id)
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

    async def delete(self, tickets: Iterable[Ticket]) -> None:
        """Delete messages."""
        left = list(tickets)
        for first in range(0, len(left), _AT_ONCE):
            await asyncio.gather(
                *(self.queues.delete(ticket) for ticket in left[first : first + _AT_ONCE])
            )

    def forget(self, instance_id: str) -> None:
        """Hold and know nothing of an instance any more: it is not this process's."""
        self.inbox.drop(instance_id)
        self.known.drop(instance_id)
        self.dispatcher.leave(instance_id)


def shown(record: InstanceRecord, *, fetch_input: bool) -> InstanceRecord:
    """Give a status as it was asked for."""
    return record if fetch_input else replace(record, input=None)
