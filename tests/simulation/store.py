"""A store with faults: the memory store behind slow, failing and dying calls.

A call may fail before or after it took effect, and the host may die at either moment. A dead
host's calls never come back with a result. What takes effect is told to the ledger at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self, TypeVar

from func_host.durable.backend import BackendUnavailableError, StaleCommitError
from func_host.durable.backends.no_dead_letters import NoDeadLetters
from func_host.durable.backends.one_host import OneHost
from func_host.durable.history import EventRaised

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from func_host.clock import Clock
    from func_host.durable.backend import (
        BackendFeatures,
        Commit,
        HubSummary,
        InstancePage,
        InstanceQuery,
        InstanceRecord,
        OutgoingMessage,
        RequestCount,
        StoredInstance,
        WorkItem,
    )
    from func_host.durable.backends.memory import MemoryBackend, MemoryStore
    from func_host.durable.history import ExecutionStarted, HistoryEvent, MessageEvent
    from tests.simulation.chance import Chance
    from tests.simulation.entity_batches import Ran
    from tests.simulation.ledger import Ledger
    from tests.simulation.plans import Plan

T = TypeVar("T")


class HostDiedError(BackendUnavailableError):
    """The host that the call was made to, or by, is gone."""


@dataclass(slots=True)
class Life:
    """Whether a host is alive; `die` is called by what kills it."""

    die: Callable[[str], None]
    is_over: bool = False

    def check(self) -> None:
        """Raise where the host is dead."""
        if self.is_over:
            raise HostDiedError("The host has died.")


class FaultyBackend(NoDeadLetters, OneHost):
    """A `Backend` over an open `MemoryBackend`, with the faults of a plan."""

    def __init__(
        self,
        inner: MemoryBackend,
        store: MemoryStore,
        *,
        plan: Plan,
        chance: Chance,
        clock: Clock,
        ledger: Ledger,
        life: Life,
    ) -> None:
        self._inner = inner
        self._store = store
        self._plan = plan
        self._chance = chance
        self._clock = clock
        self._ledger = ledger
        self._life = life

    @property
    def features(self) -> BackendFeatures:
        return replace(self._inner.features, keeps_order=self._plan.keeps_order)

    def request_counts(self) -> Sequence[RequestCount]:
        return self._inner.request_counts()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the connection to whoever opened it."""

    # Faults

    def _happens(self, rate: float) -> bool:
        if self._clock.monotonic() >= self._plan.faults_until_s:
            return False
        return self._chance.random() < rate

    async def _pause(self) -> None:
        latency_max_s = self._plan.latency_max_s
        if latency_max_s and self._chance.random() < 0.5:
            await self._clock.sleep(round(self._chance.random() * latency_max_s, 6))
        self._life.check()

    def _fault(self, what: str) -> None:
        if self._happens(self._plan.crash_rate):
            self._life.die(what)
        self._life.check()
        if self._happens(self._plan.unavailable_rate):
            self._ledger.trace(f"unavailable {what}")
            raise BackendUnavailableError(f"Planned: unavailable {what}.")

    async def _read(self, what: str, read: Callable[[], Awaitable[T]]) -> T:
        await self._pause()
        self._fault(f"in {what}")
        return await read()

    async def _write(self, what: str, write: Callable[[], Awaitable[T]]) -> T:
        await self._pause()
        self._fault(f"before {what}")
        result = await write()
        self._fault(f"after {what}")
        await self._pause()
        return result

    # Writing

    async def create_instance(
        self, start: ExecutionStarted, *, replace_unfinished: bool = False
    ) -> None:
        async def write() -> None:
            await self._inner.create_instance(start, replace_unfinished=replace_unfinished)
            self._ledger.created(start)

        await self._write("create", write)

    async def send_message(
        self,
        instance_id: str,
        event: MessageEvent,
        *,
        visible_at: datetime | None = None,
        operation_id: str | None = None,
    ) -> None:
        async def write() -> None:
            before = self._store.last_message_id
            await self._inner.send_message(
                instance_id, event, visible_at=visible_at, operation_id=operation_id
            )
            if self._store.last_message_id != before:
                self._ledger.sent(instance_id, event)

        await self._write("send", write)

    async def commit(self, commit: Commit) -> None:
        ran = self._ledger.entities.take_ran(commit.instance_id)
        await self._write("commit", lambda: self._apply(commit, ran))
        if self._happens(self._plan.redelivery_rate):
            await self._inner.abandon(commit.instance_id)

    async def _apply(self, commit: Commit, ran: Ran) -> None:
        is_shuffled = not self._plan.keeps_order
        outbox = tuple(self._shuffled(commit.outbox)) if is_shuffled else commit.outbox
        try:
            await self._inner.commit(replace(commit, outbox=outbox))
        except StaleCommitError as error:
            self._ledger.trace(f"stale {error}")
            raise
        self._ledger.committed(commit, ran)

    def _shuffled(self, outbox: Iterable[OutgoingMessage]) -> Iterator[OutgoingMessage]:
        """Deliver events as queues do: late, and twice; what is due later comes too early."""
        for out in outbox:
            drawn = self._chance.random()
            if not isinstance(out.event, EventRaised) or drawn < 0.6:
                yield out
            elif out.visible_at is not None:
                yield replace(out, visible_at=None)
            else:
                yield self._late(out)
                if drawn < 0.75 and may_come_twice(out.event):
                    yield self._late(out)

    def _late(self, out: OutgoingMessage) -> OutgoingMessage:
        late = timedelta(seconds=round(self._chance.random() * 3, 6))
        return replace(out, visible_at=self._clock.now() + late)

    async def purge_instance(self, instance_id: str) -> bool:
        async def write() -> bool:
            is_purged = await self._inner.purge_instance(instance_id)
            self._ledger.trace(f"purged {instance_id} {is_purged}")
            return is_purged

        return await self._write("purge", write)

    async def purge_entity(self, instance_id: str, execution_id: str) -> bool:
        async def write() -> bool:
            is_purged = await self._inner.purge_entity(instance_id, execution_id)
            self._ledger.trace(f"purged {instance_id} {is_purged}")
            return is_purged

        return await self._write("purge_entity", write)

    async def purge_instances(self, query: InstanceQuery) -> int:
        return await self._write("purge", lambda: self._inner.purge_instances(query))

    # Working

    async def next_work_item(self) -> WorkItem:
        item = await self._inner.next_work_item()
        self._ledger.trace(f"handed out {item.instance_id} {[each.id for each in item.messages]}")
        return item

    async def load(self, instance_id: str) -> StoredInstance | None:
        return await self._read("load", lambda: self._inner.load(instance_id))

    async def abandon(self, instance_id: str) -> None:
        self._life.check()
        await self._inner.abandon(instance_id)

    # Reading

    async def get_instance(
        self, instance_id: str, *, fetch_input: bool = True
    ) -> InstanceRecord | None:
        return await self._read(
            "get_instance", lambda: self._inner.get_instance(instance_id, fetch_input=fetch_input)
        )

    async def get_history(self, instance_id: str) -> Sequence[HistoryEvent]:
        return await self._read("get_history", lambda: self._inner.get_history(instance_id))

    async def query_instances(self, query: InstanceQuery) -> InstancePage:
        return await self._read("query", lambda: self._inner.query_instances(query))

    async def wait_for_completion(self, instance_id: str) -> InstanceRecord:
        return await self._read("wait", lambda: self._inner.wait_for_completion(instance_id))

    async def summary(self) -> HubSummary:
        return await self._read("summary", self._inner.summary)


def may_come_twice(event: EventRaised) -> bool:
    """Tell whether a message is known as a copy: by its stamp, or as an answer that has come.

    Other copies a store has to know by itself.
    """
    return is_stamped(event) or not event.name.startswith(("op", "release"))


def is_stamped(event: EventRaised) -> bool:
    return event.name == "op" and '"pos"' not in (event.input or "")
