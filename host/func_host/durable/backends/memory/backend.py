"""The connection to a memory store: every change is one synchronous step and so is atomic."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from func_bindings.errors import InstanceNotFoundError
from func_host.durable.backend import (
    OPERATION_ID_KEPT,
    BackendFeatures,
    BackendUnavailableError,
    Fence,
    HubSummary,
    InstancePage,
    InstanceRecord,
    Message,
    MessageId,
    OutgoingMessage,
    StoredInstance,
    StoreInUseError,
)
from func_host.durable.backends import rules
from func_host.durable.backends.completion import Completions
from func_host.durable.backends.dispatch import Arrival, Dispatcher
from func_host.durable.backends.memory.store import StoredData, StoreSource
from func_host.durable.backends.no_dead_letters import NoDeadLetters
from func_host.durable.backends.one_host import OneHost
from func_host.durable.codec import to_microseconds
from func_host.durable.engine.entities.messages import is_entity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from func_bindings.durable.status import OrchestrationRuntimeStatus
    from func_host.clock import Clock
    from func_host.durable.backend import Commit, InstanceQuery, RequestCount, WorkItem
    from func_host.durable.backends.memory.store import MemoryStore
    from func_host.durable.history import ExecutionStarted, HistoryEvent, MessageEvent

_FEATURES = BackendFeatures()


class MemoryBackend(NoDeadLetters, OneHost):
    """A `Backend` over a `MemoryStore`; one at a time owns the store."""

    def __init__(self, store: MemoryStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._dispatcher = Dispatcher(clock, StoreSource(store))
        self._completions = Completions()

    @property
    def features(self) -> BackendFeatures:
        """What this store can do."""
        return _FEATURES

    def request_counts(self) -> Sequence[RequestCount]:
        """Give nothing: this store asks nobody."""
        return ()

    async def __aenter__(self) -> Self:
        """Take the store.

        Raises:
            StoreInUseError: Another backend is open on it.
        """
        if self._store.owner is not None:
            raise StoreInUseError("The memory store is open already: close that backend first.")
        self._store.owner = self
        await self._dispatcher.open()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the store back; who waits on this backend gets an error."""
        if self._store.owner is self:
            self._store.owner = None
        self._dispatcher.close()
        self._completions.close()

    async def create_instance(
        self, start: ExecutionStarted, *, replace_unfinished: bool = False
    ) -> None:
        """Store a new instance as `Pending` and its start message."""
        self._check_open()
        instance_id = start.orchestration_instance.instance_id
        stored = self._store.instances.get(instance_id)
        head = None if stored is None else stored.head
        rules.check_creatable(instance_id, head, replace_unfinished=replace_unfinished)
        self._dispatcher.replaced(instance_id)
        self._delete(instance_id)
        self._store.instances[instance_id] = StoredData(rules.new_record(start))
        self._deliver(
            OutgoingMessage(
                instance_id=instance_id, event=start, visible_at=start.scheduled_start_time
            )
        )

    async def send_message(
        self,
        instance_id: str,
        event: MessageEvent,
        *,
        visible_at: datetime | None = None,
        operation_id: str | None = None,
    ) -> None:
        """Store a message to an instance that exists and has not ended, or to an entity."""
        self._check_open()
        stored = self._store.instances.get(instance_id)
        rules.check_reachable(instance_id, None if stored is None else stored.head)
        if operation_id is not None and not self._is_first(instance_id, operation_id):
            return
        self._deliver(OutgoingMessage(instance_id=instance_id, event=event, visible_at=visible_at))

    def _is_first(self, instance_id: str, operation_id: str) -> bool:
        """Note an operation id; tell whether it was not known."""
        known, now = self._store.operation_ids, self._clock.now()
        while known and next(iter(known.values())) < now - OPERATION_ID_KEPT:
            del known[next(iter(known))]
        key = (instance_id, operation_id)
        if key in known:
            return False
        known[key] = now
        return True

    async def next_work_item(self) -> WorkItem:
        """Wait for an instance that has something to do, in order of waiting."""
        return await self._dispatcher.next()

    async def load(self, instance_id: str) -> StoredInstance | None:
        """Give the instance with its whole history, or None where there is none."""
        self._check_open()
        stored = self._store.instances.get(instance_id)
        if stored is None:
            return None
        return StoredInstance(
            instance_id=instance_id,
            fence=Fence(stored.record.execution_id, len(stored.history)),
            runtime_status=stored.record.runtime_status,
            custom_status=stored.record.custom_status,
            history=tuple(stored.history),
            parked=stored.record.parked,
        )

    async def commit(self, commit: Commit) -> None:
        """Write one step, all or nothing."""
        self._check_open()
        stored = self._store.instances.get(commit.instance_id)
        if stored is None:
            raise rules.no_longer_stored(commit.instance_id)
        rules.check_fence(commit, stored.head)
        rules.check_consumed(commit, stored.head, stored.messages.keys)
        if commit.started is not None:
            stored.record = rules.new_record(commit.started)
            stored.history.clear()
            self._drop_messages_of_other_runs(stored)
        stored.record = replace(
            stored.record,
            runtime_status=commit.status.runtime_status,
            last_updated_time=commit.status.last_updated_time,
            custom_status=commit.status.custom_status,
            output=commit.status.output,
            parked=commit.status.parked,
        )
        stored.history.extend(commit.events)
        stored.open_activities = commit.open_activities
        self._remove(stored, commit.consumed)
        self._cancel_timers(stored, commit.cancelled_timers)
        if commit.status.runtime_status.is_terminal:
            self._end(stored)
        for outgoing in commit.outbox:
            self._deliver(outgoing)

    async def abandon(self, instance_id: str) -> None:
        """Forget what was delivered to this instance: what is unconsumed is handed out again."""
        self._check_open()
        self._dispatcher.abandon(instance_id)

    async def get_instance(
        self, instance_id: str, *, fetch_input: bool = True
    ) -> InstanceRecord | None:
        """Give the status row as last committed."""
        self._check_open()
        stored = self._store.instances.get(instance_id)
        if stored is None:
            return None
        return stored.record if fetch_input else replace(stored.record, input=None)

    async def get_history(self, instance_id: str) -> Sequence[HistoryEvent]:
        """Give the committed history of the current execution; empty where there is none."""
        self._check_open()
        stored = self._store.instances.get(instance_id)
        return () if stored is None else tuple(stored.history)

    async def query_instances(self, query: InstanceQuery) -> InstancePage:
        """Give one page of the instances that match, ordered by id."""
        self._check_open()
        after = rules.position_of(query.continuation_token)
        found: list[InstanceRecord] = []
        for record in self._matching(query, after):
            if len(found) == query.page_size:
                return InstancePage(tuple(found), rules.token_after(found[-1].instance_id))
            found.append(record if query.fetch_input else replace(record, input=None))
        return InstancePage(tuple(found))

    async def purge_instance(self, instance_id: str) -> bool:
        """Delete all that is stored of an instance that has ended; False where there is none."""
        self._check_open()
        stored = self._store.instances.get(instance_id)
        if stored is None:
            return False
        rules.check_purgeable(instance_id, stored.record.runtime_status)
        self._delete(instance_id)
        return True

    async def purge_entity(self, instance_id: str, execution_id: str) -> bool:
        """Delete all that is stored of an entity where this is still its execution."""
        self._check_open()
        stored = self._store.instances.get(instance_id)
        if stored is None or stored.messages or stored.record.execution_id != execution_id:
            return False
        self._delete(instance_id)
        return True

    async def purge_instances(self, query: InstanceQuery) -> int:
        """Delete the instances that match and have ended; give how many."""
        self._check_open()
        ended = [
            record.instance_id
            for record in self._matching(query, "")
            if record.runtime_status.is_terminal
        ]
        for instance_id in ended:
            self._delete(instance_id)
        return len(ended)

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
        self._check_open()
        counts: dict[OrchestrationRuntimeStatus, int] = {}
        for instance_id, stored in self._store.instances.items():
            if is_entity(instance_id):
                continue
            status = stored.record.runtime_status
            counts[status] = counts.get(status, 0) + 1
        return HubSummary(instances=counts)

    def _check_open(self) -> None:
        if self._store.owner is not self:
            raise BackendUnavailableError("The memory store is not open.")

    def _deliver(self, outgoing: OutgoingMessage) -> None:
        store = self._store
        stored = store.instances.get(outgoing.instance_id)
        event = outgoing.event
        if stored is None:
            start = rules.creating_start(outgoing.instance_id, event)
            if start is None:
                return
            stored = StoredData(rules.new_record(start))
            store.instances[outgoing.instance_id] = stored
        elif not rules.is_delivered(event, stored.head):
            return
        store.last_message_id += 1
        message = Message(MessageId(store.last_message_id), event, outgoing.execution_id)
        now = to_microseconds(self._clock.now())
        visible_at = now if outgoing.visible_at is None else to_microseconds(outgoing.visible_at)
        arrival = Arrival(max(visible_at, now), outgoing.instance_id, message)
        stored.messages[message.id] = arrival
        if visible_at > now:
            insort(store.delayed, (visible_at, message.id, outgoing.instance_id))
            self._dispatcher.delayed(visible_at, message.id)
        else:
            self._dispatcher.arrived(arrival)

    def _remove(self, stored: StoredData, message_ids: Collection[MessageId]) -> None:
        for message_id in message_ids:
            arrival = stored.messages.pop(message_id, None)
            if arrival is not None:
                self._forget_delay(arrival)
        self._dispatcher.consumed(stored.record.instance_id, message_ids)

    def _forget_delay(self, arrival: Arrival) -> None:
        delayed = self._store.delayed
        entry = (arrival.arrives_at, arrival.message.id, arrival.instance_id)
        index = bisect_left(delayed, entry)
        if delayed[index : index + 1] == [entry]:
            del delayed[index]

    def _cancel_timers(self, stored: StoredData, timer_ids: Collection[int]) -> None:
        if timer_ids:
            cancelled = [
                message_id
                for message_id, arrival in stored.messages.items()
                if rules.timer_of(arrival.message.event) in timer_ids
            ]
            self._remove(stored, cancelled)

    def _drop_messages_of_other_runs(self, stored: StoredData) -> None:
        current = stored.record.execution_id
        self._remove(
            stored,
            [
                message_id
                for message_id, arrival in stored.messages.items()
                if arrival.message.execution_id not in {None, current}
                and rules.started_execution(arrival.message.event) is None
            ],
        )

    def _end(self, stored: StoredData) -> None:
        record = stored.record
        kept = {
            message_id: arrival
            for message_id, arrival in stored.messages.items()
            if rules.survives_end(
                rules.started_execution(arrival.message.event), record.execution_id
            )
        }
        for message_id, arrival in stored.messages.items():
            if message_id not in kept:
                self._forget_delay(arrival)
        stored.messages = kept
        self._dispatcher.forget(record.instance_id, keep=kept.keys())
        self._completions.ended(record.instance_id)

    def _delete(self, instance_id: str) -> None:
        stored = self._store.instances.pop(instance_id, None)
        if stored is None:
            return
        for arrival in stored.messages.values():
            self._forget_delay(arrival)
        self._dispatcher.forget(instance_id)
        self._completions.ended(instance_id)

    def _matching(self, query: InstanceQuery, after: str) -> Iterator[InstanceRecord]:
        for instance_id in sorted(self._store.instances):
            record = self._store.instances[instance_id].record
            if instance_id > after and rules.matches(query, record):
                yield record
