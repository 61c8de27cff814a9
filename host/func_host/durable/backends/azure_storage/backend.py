"""A task hub on Azure Storage, in the layout of DurableTask.AzureStorage."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

import msgspec

from func_bindings.errors import InstanceNotFoundError
from func_host.durable.backend import (
    BackendFeatures,
    BackendUnavailableError,
    Fence,
    StoredInstance,
)
from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.arrivals import Arrivals
from func_host.durable.backends.azure_storage.blobs import LargeValues
from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS, explain
from func_host.durable.backends.azure_storage.committing import Committer
from func_host.durable.backends.azure_storage.control_queues import ControlQueues
from func_host.durable.backends.azure_storage.dead_letters import DeadLetters
from func_host.durable.backends.azure_storage.direct_delivery import DirectDelivery
from func_host.durable.backends.azure_storage.history_store import HistoryStore
from func_host.durable.backends.azure_storage.hot_instances import HotInstance, HotInstances
from func_host.durable.backends.azure_storage.hub import Hub, HubSettings, shown
from func_host.durable.backends.azure_storage.hub_resources import create_hub
from func_host.durable.backends.azure_storage.inbox import Inbox
from func_host.durable.backends.azure_storage.instance_store import InstanceStore
from func_host.durable.backends.azure_storage.keeping import Keeper, StatusWriter
from func_host.durable.backends.azure_storage.listing import Listing
from func_host.durable.backends.completion import Completions
from func_host.durable.backends.dispatch import Dispatcher
from func_host.durable.codec import to_microseconds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from types import TracebackType

    from func_bindings.durable.dead_letters import DeadLetter
    from func_host.clock import Clock, IdSource
    from func_host.durable.backend import (
        Commit,
        HubSummary,
        InstancePage,
        InstanceQuery,
        InstanceRecord,
        MessageId,
        RequestCount,
        WorkItem,
    )
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.tickets import Ticket
    from func_host.durable.history import ExecutionStarted, HistoryEvent, MessageEvent

_FEATURES: Final = BackendFeatures(
    timer_leg_max=timedelta(days=3),
    records_open_activities=False,
    sorts_by_utf16=True,
    has_one_owner=False,
)
_REPLACE_TRIES: Final = 5
_AT_ONCE: Final = 16


class AzureStorageBackend:
    """A `Backend` on queues, tables and blobs; it owns all partitions of its hub.

    Args:
        clients: Of the storage account; opened and closed with the backend.
        names: What the resources are called.
        clock: Time.
        ids: Ids and chance.
        settings: How to use the hub.
    """

    def __init__(
        self,
        clients: StorageClients,
        names: TaskHubNames,
        clock: Clock,
        ids: IdSource,
        settings: HubSettings | None = None,
    ) -> None:
        settings = settings or HubSettings()
        self.connection = clients.connection
        self._clients = clients
        self._names = names
        self._clock = clock
        self._settings = settings
        inbox = Inbox()
        blobs = LargeValues(clients, names)
        self._completions = Completions()
        self._direct = DirectDelivery()
        self._dead_letters = DeadLetters(clients, names)
        self._hub = Hub(
            settings=settings,
            clock=clock,
            ids=ids,
            queues=ControlQueues(
                clients, names, blobs, clock, partition_count=settings.partition_count
            ),
            histories=HistoryStore(clients, names, blobs, ids),
            instances=InstanceStore(clients, names, blobs, ids),
            blobs=blobs,
            inbox=inbox,
            dispatcher=Dispatcher(clock, inbox),
            known=HotInstances(inbox.is_busy, size=settings.cache_size),
        )
        self._committer = Committer(self._hub)
        self._arrivals = Arrivals(self._hub)
        self._statuses = StatusWriter(self._hub)
        self._listing = Listing(self._hub, self._statuses)
        self._background: list[asyncio.Task[None]] = []
        self._is_open = False
        self._calls = 0
        self._no_calls = asyncio.Event()
        self._is_entered = False

    @property
    def features(self) -> BackendFeatures:
        """What this store can do."""
        return _FEATURES

    def request_counts(self) -> Sequence[RequestCount]:
        """Give what the storage account was asked so far, by kind."""
        return self._clients.counter.counts()

    async def __aenter__(self) -> Self:
        """Create the hub where there is none, take what waits, and begin to look for more.

        Raises:
            BackendError: The account cannot be used; the message says why and what to do.
        """
        await self._clients.__aenter__()
        self._is_entered = True
        partitions = range(self._settings.partition_count)
        try:
            await create_hub(self._clients, self._names, self._settings.partition_count)
            await asyncio.gather(*map(self._take_all, partitions))
        except STORAGE_ERRORS as error:
            await self._leave()
            raise explain(error, self.connection) from error
        except BaseException:
            await self._leave()
            raise
        await self._hub.dispatcher.open()
        self._is_open = True
        runs = [self._arrivals.poll(partition) for partition in partitions]
        runs += [Keeper(self._hub).run(), self._statuses.run()]
        self._background = [asyncio.ensure_future(run) for run in runs]
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish calls in progress, give back what is held, and close the clients."""
        was_open = self._is_open
        self._close()
        while self._calls:
            self._no_calls.clear()
            await self._no_calls.wait()
        await asyncio.gather(*self._background, return_exceptions=True)
        if was_open:
            try:
                await self._statuses.flush()
                await self._give_back()
            except STORAGE_ERRORS:
                pass  # what is held shows up again by itself
        await self._leave()

    def abort(self) -> None:
        """Stop at once and give nothing back, as a process that is killed."""
        self._close()

    async def aborted(self) -> list[Ticket]:
        """Wait until the last request is over; give what stays hidden for its time."""
        await asyncio.gather(*self._background, return_exceptions=True)
        while self._calls:
            self._no_calls.clear()
            await self._no_calls.wait()
        return list(self._hub.inbox.tickets())

    def _close(self) -> None:
        self._is_open = False
        self._hub.stop()
        self._hub.dispatcher.close()
        self._completions.close()
        self._direct.close()

    async def _leave(self) -> None:
        if self._is_entered:
            self._is_entered = False
            await self._clients.__aexit__(None, None, None)

    async def _take_all(self, partition: int) -> None:
        while await self._arrivals.take(partition):
            if self._hub.inbox.held_count() > self._settings.buffer_max * 16:
                return

    async def _give_back(self) -> None:
        """Let others see what was to be done now; what is due later comes by itself."""
        queues = self._hub.queues
        now = to_microseconds(self._clock.now())
        tickets = self._hub.inbox.prompt_tickets(now)
        for first in range(0, len(tickets), _AT_ONCE):
            some = tickets[first : first + _AT_ONCE]
            await asyncio.gather(*(queues.hide(ticket, invisible_s=0) for ticket in some))

    @asynccontextmanager
    async def in_progress(self) -> AsyncGenerator[None]:
        """Hold closing up until a call is over, and say what went wrong in our own words.

        Raises:
            BackendUnavailableError: The backend is not open, or the storage does not answer.
        """
        if not self._is_open:
            raise BackendUnavailableError("The task hub on Azure Storage is not open.")
        self._calls += 1
        try:
            yield
        except STORAGE_ERRORS as error:
            raise explain(error, self.connection) from error
        finally:
            self._calls -= 1
            if not self._calls:
                self._no_calls.set()

    # Clients

    async def create_instance(
        self, start: ExecutionStarted, *, replace_unfinished: bool = False
    ) -> None:
        """Store a new instance as `Pending` and its start message."""
        async with self.in_progress():
            hub, instance_id = self._hub, start.orchestration_instance.instance_id
            async with hub.alone(instance_id):
                known = hub.known.get(instance_id, self._clock.monotonic())
                if known is not None:
                    rules.check_creatable(
                        instance_id, known.head, replace_unfinished=replace_unfinished
                    )
                numbered = msgspec.structs.replace(start, generation=start.generation or 0)
                envelope = hub.envelope(instance_id, numbered, None)
                visible_at = start.scheduled_start_time
                ticket = await hub.queues.put(envelope, invisible_s=hub.hidden_s(visible_at))
                blob = hub.queues.message_blob(envelope)
                try:
                    hot = await self._write_row(start, blob, replace_unfinished=replace_unfinished)
                except BaseException:
                    await hub.queues.delete(ticket)
                    raise
                if hot.row is not hot.record:  # it has taken the place of another
                    hot.row = hot.record
                    hub.dispatcher.replaced(instance_id)
                    await hub.drop_messages(instance_id, but_starts_of_others=False)
                hub.known.put(instance_id, hot)
                execution_id = start.orchestration_instance.execution_id
                hub.deliver(instance_id, start, execution_id, ticket, visible_at=visible_at)
                self._completions.ended(instance_id)

    async def _write_row(
        self, start: ExecutionStarted, blob: str | None, *, replace_unfinished: bool
    ) -> HotInstance:
        """Insert the status row, or replace that of an instance that may be replaced."""
        hub, instance_id = self._hub, start.orchestration_instance.instance_id
        record, now = rules.new_record(start), self._clock.monotonic()
        etag = await hub.instances.insert(start, start.timestamp, message_blob=blob)
        if etag is not None:
            return HotInstance(record, record, etag, now, is_loaded=True)
        for _ in range(_REPLACE_TRIES):
            stored = await hub.instances.get(instance_id, fetch_input=False)
            if stored is None:
                etag = await hub.instances.insert(start, start.timestamp, message_blob=blob)
                if etag is not None:
                    return HotInstance(record, record, etag, now)
                continue
            old = stored.record
            if old.execution_id == record.execution_id:  # ours: only the answer was lost
                return HotInstance(record, record, stored.etag, now)
            head = rules.Head(old.execution_id, 0, old.runtime_status)
            rules.check_creatable(instance_id, head, replace_unfinished=replace_unfinished)
            again = msgspec.structs.replace(start, generation=(stored.row.generation or 0) + 1)
            etag = await hub.instances.replace(
                again, start.timestamp, message_blob=blob, etag=stored.etag
            )
            if etag is not None:
                return HotInstance(record, old, etag, now)
        raise BackendUnavailableError(f"The instance '{instance_id}' changes all the time.")

    async def send_message(self, instance_id: str, event: MessageEvent) -> None:
        """Store a message to an instance that exists and has not ended."""
        async with self.in_progress():
            hub = self._hub
            direct: MessageId | None = None
            async with hub.alone(instance_id):
                hot = await hub.instance(instance_id)
                rules.check_reachable(instance_id, None if hot is None else hot.head)
                if self._direct.is_possible and not hub.inbox.of(instance_id):
                    direct = hub.deliver(instance_id, event, None, None)
            if direct is not None and await self._direct.is_consumed(direct):
                return
            async with hub.alone(instance_id):
                if direct is not None and hub.inbox.is_held(instance_id, direct):
                    hub.inbox.attach(direct, await self._put(instance_id, event))
                    return
                hot = await hub.instance(instance_id)
                rules.check_reachable(instance_id, None if hot is None else hot.head)
                hub.deliver(instance_id, event, None, await self._put(instance_id, event))

    async def _put(self, instance_id: str, event: MessageEvent) -> Ticket:
        hub = self._hub
        envelope = hub.envelope(instance_id, event, None)
        return await hub.queues.put(envelope, invisible_s=hub.settings.visibility_s)

    async def get_instance(
        self, instance_id: str, *, fetch_input: bool = True
    ) -> InstanceRecord | None:
        """Give the status row as last committed."""
        async with self.in_progress():
            hot = await self._hub.instance(instance_id)
            return None if hot is None else shown(hot.record, fetch_input=fetch_input)

    async def get_history(self, instance_id: str) -> Sequence[HistoryEvent]:
        """Give the committed history of the current execution; empty where there is none."""
        async with self.in_progress(), self._hub.alone(instance_id):
            hot = await self._hub.instance(instance_id)
            if hot is None:
                return ()
            await self._hub.with_history(instance_id, hot)
            return hot.history

    async def query_instances(self, query: InstanceQuery) -> InstancePage:
        """Give one page of the instances that match, in the order of the table."""
        async with self.in_progress():
            return await self._listing.page(query)

    async def purge_instance(self, instance_id: str) -> bool:
        """Delete all that is stored of an instance that has ended; False where there is none."""
        async with self.in_progress():
            return await self._purge(instance_id)

    async def _purge(self, instance_id: str) -> bool:
        hub = self._hub
        async with hub.alone(instance_id):
            hot = hub.known.get(instance_id, self._clock.monotonic())
            if hot is None or hot.is_ended:
                stored = await hub.instances.get(instance_id, fetch_input=False)
                if stored is None:
                    hub.known.drop(instance_id)
                    return False
                status = stored.record.runtime_status
            else:
                status = hot.record.runtime_status
            rules.check_purgeable(instance_id, status)
            await hub.drop_messages(instance_id, but_starts_of_others=False)
            hub.dispatcher.forget(instance_id)
            await hub.histories.delete(instance_id)
            await hub.blobs.delete_of(instance_id)
            await hub.instances.delete(instance_id)
            hub.known.drop(instance_id)
            self._completions.ended(instance_id)
            return True

    async def purge_instances(self, query: InstanceQuery) -> int:
        """Delete the instances that match and have ended; give how many."""
        async with self.in_progress():
            ended = await self._listing.ended(query)
            return sum([await self._purge(instance_id) for instance_id in ended])

    async def wait_for_completion(self, instance_id: str) -> InstanceRecord:
        """Wait until the instance has ended."""
        while True:
            with self._completions.watch(instance_id) as ended:
                record = await self.get_instance(instance_id)
                if record is None:
                    raise InstanceNotFoundError(instance_id)
                if record.runtime_status.is_terminal:
                    return record
                await ended.wait()

    async def summary(self) -> HubSummary:
        """Count the instances by status."""
        async with self.in_progress():
            return await self._listing.summary()

    async def dead_letters(self) -> Sequence[DeadLetter]:
        """Give the messages that were set aside, oldest first."""
        async with self.in_progress():
            return await self._dead_letters.all()

    async def retry_dead_letter(self, letter_id: str) -> bool:
        """Put a message back into its queue; False where there is no such letter."""
        async with self.in_progress():
            return await self._dead_letters.retry(letter_id)

    async def drop_dead_letter(self, letter_id: str) -> bool:
        """Delete a message that was set aside; False where there is no such letter."""
        async with self.in_progress():
            return await self._dead_letters.drop(letter_id)

    # The worker

    async def next_work_item(self) -> WorkItem:
        """Wait for an instance that has something to do, in order of waiting."""
        with self._direct.idle_worker():
            return await self._hub.dispatcher.next()

    async def load(self, instance_id: str) -> StoredInstance | None:
        """Give the instance with its whole history, or None where there is none."""
        async with self.in_progress(), self._hub.alone(instance_id):
            hot = await self._hub.instance(instance_id)
            if hot is None:
                return None
            await self._hub.with_history(instance_id, hot)
            return StoredInstance(
                instance_id=instance_id,
                fence=Fence(hot.record.execution_id, hot.head.history_length),
                runtime_status=hot.record.runtime_status,
                custom_status=hot.record.custom_status,
                history=hot.history,
                parked=hot.record.parked,
            )

    async def commit(self, commit: Commit) -> None:
        """Write one step; what is in memory of an instance changes only with what is stored."""
        async with self.in_progress():
            async with self._hub.alone(commit.instance_id):
                await self._committer.commit(commit)
            self._direct.consumed(commit.consumed)
            if commit.status.runtime_status.is_terminal:
                self._completions.ended(commit.instance_id)

    async def abandon(self, instance_id: str) -> None:
        """Forget what was delivered to this instance: what is unconsumed is handed out again."""
        async with self.in_progress(), self._hub.alone(instance_id):
            hot = await self._hub.instance(instance_id)
            if hot is not None:
                await self._hub.with_history(instance_id, hot)
                await self._arrivals.settle(instance_id, hot)
            self._hub.dispatcher.abandon(instance_id)
