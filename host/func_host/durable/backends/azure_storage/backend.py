"""A task hub on Azure Storage, in the layout of DurableTask.AzureStorage."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, Self

from func_bindings.errors import InstanceNotFoundError
from func_host.clock import SystemClock
from func_host.durable.backend import (
    BackendError,
    BackendFeatures,
    BackendUnavailableError,
    Fence,
    StaleCommitError,
    StoredInstance,
)
from func_host.durable.backends.azure_storage.arrivals import Arrivals
from func_host.durable.backends.azure_storage.blobs import LargeValues
from func_host.durable.backends.azure_storage.catching_up import LongActivities, StatusWriter
from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS, explain
from func_host.durable.backends.azure_storage.committing import Committer
from func_host.durable.backends.azure_storage.creating import Creation
from func_host.durable.backends.azure_storage.dead_letters import DeadLetters
from func_host.durable.backends.azure_storage.direct_delivery import DirectDelivery
from func_host.durable.backends.azure_storage.history_store import HistoryStore
from func_host.durable.backends.azure_storage.hot_instances import HotInstances
from func_host.durable.backends.azure_storage.hub import Hub, HubSettings, shown
from func_host.durable.backends.azure_storage.hub_resources import create_hub
from func_host.durable.backends.azure_storage.inbox import Inbox
from func_host.durable.backends.azure_storage.instance_store import InstanceStore
from func_host.durable.backends.azure_storage.keeping import TicketKeeper
from func_host.durable.backends.azure_storage.listing import Listing
from func_host.durable.backends.azure_storage.ownership import Ownership
from func_host.durable.backends.azure_storage.partition_manager import (
    PartitionManager,
    PartitionSettings,
)
from func_host.durable.backends.azure_storage.purging import Purging
from func_host.durable.backends.azure_storage.queues import MessageQueues
from func_host.durable.backends.azure_storage.sending import Sending
from func_host.durable.backends.azure_storage.serving import Serving
from func_host.durable.backends.azure_storage.shared_activities import SharedActivities
from func_host.durable.backends.azure_storage.sharing import Sharing
from func_host.durable.backends.azure_storage.worker_id import WorkerSlot
from func_host.durable.backends.completion import Completions
from func_host.durable.backends.dispatch import Dispatcher
from func_host.log import REASON

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime
    from types import TracebackType

    from func_bindings.durable.dead_letters import DeadLetter
    from func_host.clock import Clock, IdSource
    from func_host.durable.actions import ScheduleTask
    from func_host.durable.backend import (
        Commit,
        HubSummary,
        InstancePage,
        InstanceQuery,
        InstanceRecord,
        RequestCount,
        SharedActivity,
        WorkItem,
    )
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.hot_instances import HotInstance
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.tickets import Ticket
    from func_host.durable.history import (
        ExecutionStarted,
        HistoryEvent,
        MessageEvent,
        TaskCompleted,
        TaskFailed,
    )

logger = logging.getLogger(__name__)

_FEATURES: Final = BackendFeatures(
    timer_leg_max=timedelta(days=3),
    records_open_activities=False,
    sorts_by_utf16=True,
    has_one_owner=False,
    dead_letters=True,
    shares_activities=True,
    keeps_order=False,
)
_LOOK_AGAIN_FIRST_S: Final = 0.1
_LOOK_AGAIN_MAX_S: Final = 1.0


class AzureStorageBackend:
    """A `Backend` on queues, tables and blobs that any number of hosts share.

    It works on the instances of the partitions that it owns. Whatever else it is asked for it does
    as any client of the hub does: it puts messages and reads rows.

    Args:
        clients: Of the storage account; opened and closed with the backend.
        names: What the resources are called.
        clock: The time of messages; leases and what is hidden go by the machine's.
        ids: Ids and chance.
        settings: How to use the hub.
        worker_id: Unique among all that work on the hub; by default that of a slot of this machine.
    """

    def __init__(
        self,
        clients: StorageClients,
        names: TaskHubNames,
        clock: Clock,
        ids: IdSource,
        settings: HubSettings | None = None,
        *,
        worker_id: str | None = None,
    ) -> None:
        settings = settings or HubSettings()
        pacing = SystemClock()
        self.connection = clients.connection
        self._clients = clients
        self._names = names
        self._clock = clock
        self._pacing = pacing
        self._settings = settings
        self._worker_id = worker_id
        self._slot: WorkerSlot | None = None
        self._manager: PartitionManager | None = None
        self._ownership = Ownership(settings.partition_count, self._holds)
        self._keeper = TicketKeeper(
            self._holds,
            control_s=settings.visibility_s,
            work_item_s=settings.work_item_visibility_s,
            clock=pacing,
        )
        inbox = Inbox(self._keeper)
        blobs = LargeValues(clients, names)
        self._completions = Completions()
        self._direct = DirectDelivery()
        self._dead_letters = DeadLetters(clients, names)
        self._hub = Hub(
            settings=settings,
            clock=clock,
            pacing=pacing,
            ids=ids,
            ownership=self._ownership,
            queues=self._queues_of(clients),
            histories=HistoryStore(clients, names, blobs, ids),
            instances=InstanceStore(clients, names, blobs, ids),
            blobs=blobs,
            inbox=inbox,
            dispatcher=Dispatcher(clock, inbox),
            known=HotInstances(inbox.is_busy, size=settings.cache_size),
            keeper=self._keeper,
            has_peers=lambda: self.has_peers,
        )
        self._creation = Creation(self._hub)
        self._purging = Purging(self._hub)
        self._committer = Committer(self._hub)
        self._sharing = Sharing(self._hub)
        self._arrivals = Arrivals(self._hub, self._dead_letters, names, self._committer.batches)
        self._sending = Sending(self._hub, self._direct, self._arrivals.ring)
        self._activities = SharedActivities(self._hub, self._dead_letters, names)
        self._serving = Serving(self._hub, self._arrivals, self._sharing, self._completions)
        self._statuses = StatusWriter(self._hub)
        self._listing = Listing(self._hub, self._statuses)
        self._background: list[asyncio.Task[None]] = []
        self._failure: BackendError | None = None
        self._is_open = False
        self._calls = 0
        self._no_calls = asyncio.Event()
        self._is_entered = False

    def _queues_of(self, clients: StorageClients) -> MessageQueues:
        """Give the queues through clients of some loop."""
        return MessageQueues(
            clients,
            self._names,
            LargeValues(clients, self._names),
            self._pacing,
            partition_count=self._settings.partition_count,
            batch=self._settings.batch,
        )

    def _holds(self, partition: int) -> bool:
        manager = self._manager
        return manager is not None and manager.owns(partition)

    def _is_given_back(self, partition: int) -> bool:
        manager, held_s = self._manager, self._settings.hidden_by_others_s
        return manager is not None and manager.is_given_back(partition, held_s=held_s)

    @property
    def features(self) -> BackendFeatures:
        """What this store can do."""
        return _FEATURES

    def request_counts(self) -> Sequence[RequestCount]:
        """Give what the storage account was asked so far, by kind."""
        return self._clients.counter.counts()

    async def __aenter__(self) -> Self:
        """Create the hub where there is none, take partitions, and begin to look for work.

        Raises:
            BackendError: The account or the hub cannot be used; the message says why.
        """
        await self._clients.__aenter__()
        self._is_entered = True
        try:
            await create_hub(self._clients, self._names, self._settings.partition_count)
            if self._settings.works:
                await self._start_to_work()
        except STORAGE_ERRORS as error:
            await self._leave()
            raise explain(error, self.connection) from error
        except BaseException:
            await self._leave()
            raise
        self._is_open = True
        return self

    async def _start_to_work(self) -> None:
        """Take partitions and what waits in them; go on with it in the background."""
        self._manager = self._make_manager()
        await self._manager.__aenter__()
        self._serving.on_drained(self._manager.finish_drain)
        self._serving.on_taking(self._is_given_back)
        await self._serving.start_reading()
        await self._hub.dispatcher.open()
        runs = [
            self._statuses.run(),
            LongActivities(self._hub).run(),
            self._watch_manager(self._manager),
        ]
        self._background = [asyncio.ensure_future(run) for run in runs]

    def _make_manager(self) -> PartitionManager:
        settings = self._settings
        worker_id = self._worker_id
        if worker_id is None:
            self._slot = WorkerSlot(self._names.hub)
            worker_id = self._slot.__enter__()
        return PartitionManager(
            self.connection,
            self._names,
            worker_id=worker_id,
            listener=self._serving,
            settings=PartitionSettings(
                partition_count=settings.partition_count,
                app_name=settings.app_name,
                use_app_lease=settings.use_app_lease,
                app_lease=settings.app_lease,
                leases=settings.leases,
            ),
            counter=self._clients.counter,
            companions=(lambda clients: self._keeper.run(self._queues_of(clients)),),
        )

    async def _watch_manager(self, manager: PartitionManager) -> None:
        """Stop to work where partitions cannot be kept: whoever waits for work is told."""
        try:
            await manager.run()
        except BackendError as error:
            self._failure = error
            self._hub.dispatcher.close()

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish calls in progress, give everything back, and close the clients."""
        was_open = self._is_open
        self._close()
        while self._calls:
            self._no_calls.clear()
            await self._no_calls.wait()
        if was_open and self._manager is not None:
            try:
                await self._statuses.flush()
                await self._serving.close()
                await self._activities.give_back()
            except (BackendError, *STORAGE_ERRORS) as fault:
                # What is held shows up again by itself.
                logger.warning("not everything could be given back", extra={REASON: str(fault)})
            await self._manager.drain()
        await self._leave()

    def abort(self) -> None:
        """Stop at once and give nothing back, as a process that is killed."""
        self._close()
        if self._manager is not None:
            self._manager.abandon()

    async def aborted(self) -> list[Ticket]:
        """Wait until the last request is over; give what stays hidden for its time."""
        await self._serving.aborted()
        while self._calls:
            self._no_calls.clear()
            await self._no_calls.wait()
        tickets = list(self._hub.inbox.tickets())
        await self._leave()
        return tickets

    def _close(self) -> None:
        self._is_open = False
        self._hub.stop()
        self._hub.dispatcher.close()
        self._completions.close()
        self._direct.close()

    async def _leave(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._manager is not None:
            await self._manager.__aexit__(None, None, None)
            self._manager = None
        if self._slot is not None:
            self._slot.__exit__(None, None, None)
            self._slot = None
        if self._is_entered:
            self._is_entered = False
            await self._clients.__aexit__(None, None, None)

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
            await self._creation.create(start, replace_unfinished=replace_unfinished)
            self._completions.ended(start.orchestration_instance.instance_id)

    async def send_message(
        self,
        instance_id: str,
        event: MessageEvent,
        *,
        visible_at: datetime | None = None,
        operation_id: str | None = None,
    ) -> None:
        """Store a message to an instance that exists and has not ended, or to an entity."""
        async with self.in_progress():
            await self._sending.send(
                instance_id, event, visible_at=visible_at, operation_id=operation_id
            )

    async def get_instance(
        self, instance_id: str, *, fetch_input: bool = True
    ) -> InstanceRecord | None:
        """Give the status row as last committed."""
        async with self.in_progress():
            hot = await self._hub.instance(instance_id)
            if hot is None or hot.is_unborn:
                return None
            return shown(hot.record, fetch_input=fetch_input)

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

    async def purge_entity(self, instance_id: str, execution_id: str) -> bool:
        """Delete all that is stored of an entity where this is still its execution."""
        async with self.in_progress():
            return await self._purging.purge_entity(instance_id, execution_id)

    async def _purge(self, instance_id: str) -> bool:
        is_purged = await self._purging.purge(instance_id)
        self._completions.ended(instance_id)
        return is_purged

    async def purge_instances(self, query: InstanceQuery) -> int:
        """Delete the instances that match and have ended; give how many."""
        async with self.in_progress():
            ended = await self._listing.ended(query)
            return sum([await self._purge(instance_id) for instance_id in ended])

    async def wait_for_completion(self, instance_id: str) -> InstanceRecord:
        """Wait until the instance has ended; where another host owns it, look again and again."""
        for looks in count():
            with self._completions.watch(instance_id) as ended:
                record = await self.get_instance(instance_id)
                if record is None:
                    raise InstanceNotFoundError(instance_id)
                if record.runtime_status.is_terminal:
                    return record
                await self._wait_for_news(instance_id, ended, looks)

        raise AssertionError("counting never ends")

    async def _wait_for_news(self, instance_id: str, ended: asyncio.Event, looks: int) -> None:
        if self._ownership.serves(instance_id):
            await ended.wait()
        else:
            pause_s = min(_LOOK_AGAIN_FIRST_S * 1.5 ** min(looks, 20), _LOOK_AGAIN_MAX_S)
            await self._hub.pause(pause_s, ended)

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
        """Wait for an instance that has something to do, in order of waiting.

        Raises:
            BackendError: The hub cannot be worked on any more.
        """
        with self._direct.idle_worker():
            try:
                return await self._hub.dispatcher.next()
            except BackendUnavailableError:
                if self._failure is not None:
                    raise self._failure from None
                raise

    async def load(self, instance_id: str) -> StoredInstance | None:
        """Give the instance with its whole history, or None where there is none."""
        async with self.in_progress(), self._hub.alone(instance_id):
            hot = await self._known_or_waiting(instance_id)
            if hot is None:
                return None
            await self._hub.with_history(instance_id, hot)
            if hot.is_unborn and not self._hub.inbox.of(instance_id):
                return None
            return StoredInstance(
                instance_id=instance_id,
                fence=Fence(
                    hot.record.execution_id,
                    hot.head.history_length,
                    self._ownership.epoch(instance_id),
                ),
                runtime_status=hot.record.runtime_status,
                custom_status=hot.record.custom_status,
                history=hot.history,
                parked=hot.record.parked,
                carried=frozenset(hot.carried),
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
            if not self._ownership.owns(instance_id):
                self._hub.forget(instance_id)
                return
            try:
                await self._settle(instance_id)
            except StaleCommitError:  # lost at this moment
                self._hub.forget(instance_id)
                return
            self._hub.dispatcher.abandon(instance_id)

    async def _known_or_waiting(self, instance_id: str) -> HotInstance | None:
        """Give what is known of an instance, or of an entity without a row that is waited for."""
        waiting = self._hub.inbox.of(instance_id)
        if waiting:
            return await self._hub.recipient(instance_id, waiting[0].event)
        return await self._hub.instance(instance_id)

    async def _settle(self, instance_id: str) -> None:
        """Tell whoever waits of what is stored, though its commit seemed to fail."""
        hot = await self._known_or_waiting(instance_id)
        if hot is None:
            return
        await self._hub.with_history(instance_id, hot)
        self._direct.consumed(await self._arrivals.settle(instance_id, hot))
        if hot.is_ended:
            self._completions.ended(instance_id)

    # What hosts share

    def owns(self, instance_id: str) -> bool:
        """Tell whether this process may act for the instance at this very moment."""
        return self._ownership.owns(instance_id)

    @property
    def has_peers(self) -> bool:
        """Whether other hosts own partitions of the hub."""
        manager = self._manager
        return manager is not None and bool(manager.peers)

    async def share_activities(
        self,
        instance_id: str,
        *,
        waiting: Sequence[ScheduleTask] = (),
        running: Sequence[ScheduleTask] = (),
    ) -> Sequence[SharedActivity]:
        """Let other hosts run committed activities; give those that run here, which stay here."""
        async with self.in_progress(), self._hub.alone(instance_id):
            held = await self._sharing.share(instance_id, waiting, running)
        for activity in held:
            self._activities.hold(activity)
        if waiting:
            self._activities.ring()
        return held

    async def release_instance(self, instance_id: str) -> None:
        """Note that nothing of an instance is in flight here any more, as was asked for."""
        async with self.in_progress():
            await self._serving.release(instance_id)

    async def next_activity(self) -> SharedActivity:
        """Wait for an activity that another host, or this one, has shared."""
        return await self._activities.next()

    async def complete_activity(
        self, activity: SharedActivity, result: TaskCompleted | TaskFailed
    ) -> None:
        """Send the result of a shared activity to its instance; repeat it after a fault."""
        async with self.in_progress():
            await self._activities.complete(activity, result)
