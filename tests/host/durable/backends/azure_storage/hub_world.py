"""A hub whose queues and tables lie in memory: requests can be held back, fail, or lose answers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from azure.core.exceptions import ServiceRequestError

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import Commit, Fence, StaleCommitError, StatusChange
from func_host.durable.backends.azure_storage.arrivals import Arrivals
from func_host.durable.backends.azure_storage.blobs import LargeValues
from func_host.durable.backends.azure_storage.committing import Committer
from func_host.durable.backends.azure_storage.dead_letters import DeadLetters
from func_host.durable.backends.azure_storage.history_store import (
    Append,
    Appended,
    HistoryStore,
    LoadedHistory,
)
from func_host.durable.backends.azure_storage.hot_instances import HotInstances
from func_host.durable.backends.azure_storage.hub import Hub, HubSettings
from func_host.durable.backends.azure_storage.inbox import Inbox
from func_host.durable.backends.azure_storage.instance_rows import creation_row, read_instance_row
from func_host.durable.backends.azure_storage.instance_store import InstanceStore, StoredRow
from func_host.durable.backends.azure_storage.keeping import TicketKeeper
from func_host.durable.backends.azure_storage.keys import unescape_key
from func_host.durable.backends.azure_storage.messages import Envelope, Party
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.ownership import Ownership
from func_host.durable.backends.azure_storage.partitions import partition_of
from func_host.durable.backends.azure_storage.queues import MessageQueues, Received
from func_host.durable.backends.azure_storage.serving import Serving
from func_host.durable.backends.azure_storage.shared_activities import SharedActivities
from func_host.durable.backends.azure_storage.sharing import Sharing
from func_host.durable.backends.azure_storage.stored_history import StoredHistory, read_sentinel
from func_host.durable.backends.azure_storage.table_rows import PARTITION_KEY
from func_host.durable.backends.azure_storage.tickets import Ticket
from func_host.durable.backends.completion import Completions
from func_host.durable.backends.dispatch import Dispatcher
from func_host.durable.history import (
    EventRaised,
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
)
from func_host.testing.clock import START, SimulatedClock
from tests.host.durable.worker.world import CountingIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from func_host.durable.backend import MessageId, OutgoingMessage
    from func_host.durable.backends.azure_storage.table_rows import Row
    from func_host.durable.backends.azure_storage.wire_events import UnreadableError
    from func_host.durable.history import HistoryEvent, MessageEvent

PARTITIONS = 4
Status = OrchestrationRuntimeStatus


@dataclass
class Gate:
    """A request that waits: `reached` once it is made, over once the gate is open."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)


class Line:
    """The way to the storage: notes each request, holds it back, breaks before or after it."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.fails: list[str] = []
        self.loses_answers: list[str] = []
        self._gates: dict[str, Gate] = {}

    def hold(self, request: str) -> Gate:
        """Hold the next request of this kind back."""
        gate = self._gates[request] = Gate()
        return gate

    async def ask(self, request: str) -> None:
        self.requests.append(request)
        gate = self._gates.pop(request, None)
        if gate is not None:
            gate.reached.set()
            await gate.open.wait()
        _break(self.fails, request)

    def answer(self, request: str) -> None:
        _break(self.loses_answers, request)


def _break(plan: list[str], request: str) -> None:
    if request in plan:
        plan.remove(request)
        raise ServiceRequestError(f"{request}: no answer")


@dataclass
class Stored:
    """A message as a queue has it."""

    partition: int | None
    envelope: Envelope | UnreadableError
    receipt: int
    visible_at: float
    inserted: datetime
    dequeue_count: int = 0


class FakeQueues(MessageQueues):
    """Queues in memory, under the rules of the service: a receipt is good until the next one."""

    def __init__(self, line: Line, clock: SimulatedClock) -> None:
        self.partition_count = PARTITIONS
        self.line = line
        self.messages: dict[str, Stored] = {}
        self._clock = clock
        self._receipts = 0

    def message_blob(self, envelope: Envelope) -> str | None:  # noqa: ARG002 -- the base's name
        return None

    async def put(self, envelope: Envelope, *, invisible_s: float = 0) -> Ticket:
        await self.line.ask("put")
        is_activity = isinstance(envelope.event, TaskScheduled)
        partition = None if is_activity else self.partition_of(envelope.target.instance_id)
        ticket = self.add(envelope, partition, invisible_s=invisible_s)
        self.line.answer("put")
        return ticket

    def add(
        self,
        envelope: Envelope | UnreadableError,
        partition: int | None,
        *,
        invisible_s: float = 0,
        dequeue_count: int = 0,
    ) -> Ticket:
        """Put as another host does."""
        queue_id = f"m{len(self.messages) + 1}"
        now = self._clock.monotonic()
        self.messages[queue_id] = Stored(
            partition, envelope, 0, now + invisible_s, self._clock.now(), dequeue_count
        )
        return self._renewed(queue_id, invisible_s)

    async def count(self, partition: int) -> int:
        return sum(message.partition == partition for message in self.messages.values())

    async def take(self, partition: int, *, invisible_s: float) -> list[Received]:
        await self.line.ask("take")
        return self._visible(partition, invisible_s)

    async def take_activity(self, *, invisible_s: float) -> Received | None:
        await self.line.ask("take activity")
        return next(iter(self._visible(None, invisible_s)[:1]), None)

    async def hide(
        self, ticket: Ticket, *, invisible_s: float, content: Envelope | None = None
    ) -> bool:
        await self._wait_for_renewal(ticket)
        ticket.is_renewing, receipt = True, ticket.receipt
        try:
            await self.line.ask("hide")
            message = self._mine(ticket.queue_id, receipt)
            if message is None:
                return False
            if content is not None:
                message.envelope = content
            renewed = self._renewed(ticket.queue_id, invisible_s)
            self.line.answer("hide")
            ticket.receipt, ticket.until = renewed.receipt, renewed.until
        finally:
            ticket.is_renewing = False
        return True

    async def delete(self, ticket: Ticket) -> None:
        await self._wait_for_renewal(ticket)
        receipt = ticket.receipt
        await self.line.ask("delete")
        message = self._mine(ticket.queue_id, receipt)
        if message is not None:
            message.partition = -1

    def _mine(self, queue_id: str, receipt: str) -> Stored | None:
        message = self.messages.get(queue_id)
        if message is None or message.partition == -1 or str(message.receipt) != receipt:
            return None
        return message

    def _renewed(self, queue_id: str, invisible_s: float) -> Ticket:
        self._receipts += 1
        message, until = self.messages[queue_id], self._clock.monotonic() + invisible_s
        message.receipt, message.visible_at = self._receipts, until
        envelope = message.envelope
        return Ticket(
            partition=message.partition,
            queue_id=queue_id,
            receipt=str(self._receipts),
            until=until,
            key=envelope.activity_id if isinstance(envelope, Envelope) else "",
        )

    def _visible(self, partition: int | None, invisible_s: float) -> list[Received]:
        now = self._clock.monotonic()
        found: list[Received] = []
        for queue_id, message in self.messages.items():
            if message.partition != partition or message.visible_at > now:
                continue
            message.dequeue_count += 1
            found.append(
                Received(
                    ticket=self._renewed(queue_id, invisible_s),
                    envelope=message.envelope,
                    text="text",
                    inserted=message.inserted,
                    dequeue_count=message.dequeue_count,
                )
            )
        return found

    # What a test sees

    def left(self) -> dict[str, float]:
        """The messages that are there, with the seconds until they show up."""
        now = self._clock.monotonic()
        return {
            queue_id: max(0.0, message.visible_at - now)
            for queue_id, message in self.messages.items()
            if message.partition != -1
        }

    def kinds(self) -> list[str]:
        """The kinds of the messages that are there."""
        return [_kind_of(self.messages[queue_id].envelope) for queue_id in self.left()]


def _kind_of(envelope: Envelope | UnreadableError) -> str:
    return type(envelope.event if isinstance(envelope, Envelope) else envelope).__name__


@dataclass
class Written:
    """An event as the history table has it."""

    execution_id: str
    event: HistoryEvent
    message_id: str | None


class FakeHistories(HistoryStore):
    """Histories in memory, each under its fence."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.rows: dict[str, list[Written]] = defaultdict(list)
        self.etags: dict[str, int] = {}
        self.left_open: set[str] = set()
        self.fences: dict[str, Row] = {}

    async def load(self, instance_id: str, execution_id: str | None) -> LoadedHistory:
        await self.line.ask("load")
        fence = self.fences.get(instance_id, {})
        wanted = execution_id or fence.get("ExecutionId")
        rows = [one for one in self.rows[instance_id] if one.execution_id == wanted]
        etag = self.etags.get(instance_id)
        return LoadedHistory(
            stored=StoredHistory(
                events=tuple(one.event for one in rows),
                next_ordinal=len(rows),
                sentinel=read_sentinel(fence) if fence and execution_id is None else None,
            ),
            fence_row=fence,
            etag=None if etag is None else str(etag),
            consumed_ids=frozenset(one.message_id for one in rows if one.message_id),
            is_left_open=instance_id in self.left_open,
        )

    async def append(self, append: Append) -> Appended:
        await self.line.ask("append")
        instance_id = append.instance_id
        etag = self.etags.get(instance_id)
        if append.etag != (None if etag is None else str(etag)):
            raise StaleCommitError(f"The instance '{instance_id}' changed under a commit.")
        if append.are_rows_new:
            assert len(self.rows[instance_id]) == append.first_ordinal, "a row to insert is there"
        before = self.rows[instance_id] if append.first_ordinal else []
        self.rows[instance_id] = before + [
            Written(append.execution_id, event, append.message_ids.get(place))
            for place, event in enumerate(append.events)
        ]
        if append.is_left_open is not None:
            change = self.left_open.add if append.is_left_open else self.left_open.discard
            change(instance_id)
        fence = self.fences.get(instance_id, {})
        self.fences[instance_id] = {**fence, "ExecutionId": append.execution_id, **append.more}
        self.etags[instance_id] = (etag or 0) + 1
        self.line.answer("append")
        return Appended(str(self.etags[instance_id]), append.events)

    async def delete(self, instance_id: str) -> None:
        self.rows.pop(instance_id, None)

    def kinds(self, instance_id: str) -> list[str]:
        """What is stored of an instance, by kind."""
        return [type(one.event).__name__ for one in self.rows[instance_id]]


class FakeInstances(InstanceStore):
    """Status rows in memory, as the table has them."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.rows: dict[str, tuple[Row, int]] = {}

    async def get(self, instance_id: str, *, fetch_input: bool = True) -> StoredRow | None:  # noqa: ARG002 -- the base's name
        await self.line.ask("get row")
        found = self.rows.get(instance_id)
        if found is None:
            return None
        return StoredRow(read_instance_row(found[0], container="large"), str(found[1]))

    async def insert(
        self,
        start: ExecutionStarted,
        now: datetime,
        *,
        message_blob: str | None,  # noqa: ARG002 -- the base's name
    ) -> str | None:
        await self.line.ask("insert row")
        if start.orchestration_instance.instance_id in self.rows:
            return None
        etag = self.write(start, now)
        self.line.answer("insert row")
        return etag

    async def insert_child(self, start: ExecutionStarted) -> str | None:
        return await self.insert(start, start.timestamp, message_blob=None)

    def write(self, start: ExecutionStarted, now: datetime) -> str:
        """Write the row of a new instance, as a client of another host does."""
        instance_id = start.orchestration_instance.instance_id
        _, etag = self.rows.get(instance_id, ({}, 0))
        self.rows[instance_id] = (creation_row(start, hub="hub", now=now), etag + 1)
        return str(etag + 1)

    async def replace(
        self,
        start: ExecutionStarted,
        now: datetime,
        *,
        message_blob: str | None,  # noqa: ARG002 -- the base's name
        etag: str,
    ) -> str | None:
        await self.line.ask("replace row")
        _, stored = self.rows.get(start.orchestration_instance.instance_id, ({}, 0))
        return self.write(start, now) if str(stored) == etag else None

    async def merge(self, row: Row, etag: str | None) -> str | None:
        await self.line.ask("merge row")
        instance_id = unescape_key(str(row[PARTITION_KEY]))
        stored, number = self.rows.get(instance_id, ({}, 0))
        if etag is not None and str(number) != etag:
            return None
        self.rows[instance_id] = (stored | row, number + 1)
        self.line.answer("merge row")
        return str(number + 1)

    async def delete(self, instance_id: str, etag: str | None = None) -> None:  # noqa: ARG002 -- the base's name
        self.rows.pop(instance_id, None)

    async def statuses(self) -> AsyncIterator[tuple[str, str]]:
        for instance_id, (row, _) in self.rows.items():
            yield instance_id, str(row["RuntimeStatus"])

    def status(self, instance_id: str) -> str:
        """The status that a row says."""
        return str(self.rows[instance_id][0]["RuntimeStatus"])


class FakeBlobs(LargeValues):
    """No value is large."""

    def __init__(self) -> None:
        self.container_name = "large"


class FakeLetters(DeadLetters):
    """Dead letters in memory: their queues, reasons and attempts."""

    def __init__(self) -> None:
        self.buried: list[tuple[str, str | None, str, int]] = []

    async def bury(
        self,
        queue: str,
        message_id: str,  # noqa: ARG002 -- the base's name
        text: str,  # noqa: ARG002 -- the base's name
        *,
        instance_id: str | None,
        reason: str,
        attempts: int,
        now: datetime,  # noqa: ARG002 -- the base's name
    ) -> None:
        self.buried.append((queue, instance_id, reason, attempts))


class HubWorld:
    """A host of a hub in memory; a test says which partitions it holds."""

    def __init__(self, settings: HubSettings | None = None) -> None:
        self.clock = SimulatedClock()
        self.line = Line()
        self.held: set[int] = set()
        self.has_peers = False
        self.queues = FakeQueues(self.line, self.clock)
        self.histories = FakeHistories(self.line)
        self.rows = FakeInstances(self.line)
        self.letters = FakeLetters()
        self.ids = CountingIds()
        self.names = TaskHubNames("hub")
        self.completions = Completions()
        settings = settings or HubSettings(partition_count=PARTITIONS)
        self.keeper = TicketKeeper(
            self.held.__contains__,
            control_s=settings.visibility_s,
            work_item_s=settings.work_item_visibility_s,
            clock=self.clock,
        )
        inbox = Inbox(self.keeper)
        self.hub = Hub(
            settings=settings,
            clock=self.clock,
            pacing=self.clock,
            ids=self.ids,
            ownership=Ownership(PARTITIONS, self.held.__contains__),
            queues=self.queues,
            histories=self.histories,
            instances=self.rows,
            blobs=FakeBlobs(),
            inbox=inbox,
            dispatcher=Dispatcher(self.clock, inbox),
            known=HotInstances(inbox.is_busy, size=settings.cache_size),
            keeper=self.keeper,
            has_peers=lambda: self.has_peers,
        )
        self.committer = Committer(self.hub)
        self.sharing = Sharing(self.hub)
        self.arrivals = Arrivals(self.hub, self.letters, self.names, self.committer.batches)
        self.activities = SharedActivities(self.hub, self.letters, self.names)
        self.serving = Serving(self.hub, self.arrivals, self.sharing, self.completions)
        self.drained: list[int] = []
        self.serving.on_drained(self.drained.append)

    # Partitions

    def serve(self, *partitions: int) -> None:
        """Hold partitions, and be told so; all of them where none is named."""
        for partition in partitions or range(PARTITIONS):
            self.held.add(partition)
            self.serving.partition_acquired(partition)

    def lose(self, partition: int) -> None:
        """Hold a partition no more, and be told so."""
        self.held.discard(partition)
        self.serving.partition_lost(partition)

    async def settle(self, seconds: float = 0.0) -> None:
        """Let everything happen that can; then move the clock."""
        await self.clock.advance(0)
        await self.clock.advance(seconds)

    # What clients and other hosts do

    def send(
        self,
        event: MessageEvent,
        instance_id: str = "one",
        execution_id: str | None = None,
        *,
        sender: Party | None = None,
        dequeue_count: int = 0,
    ) -> Ticket:
        """Put a message as another host does: visible now."""
        envelope = self.hub.envelope(instance_id, event, execution_id)
        if sender is not None:
            envelope = replace(envelope, sender=sender)
        partition = partition_of(instance_id, PARTITIONS)
        return self.queues.add(envelope, partition, dequeue_count=dequeue_count)

    def create(self, instance_id: str = "one", execution_id: str = "first") -> Ticket:
        """Start an instance as a client of another host does: its message, then its row."""
        start = start_of(instance_id, execution_id, self.clock.now())
        ticket = self.send(start, instance_id)
        self.rows.write(start, start.timestamp)
        return ticket

    async def take(self, instance_id: str = "one") -> int:
        """Look once into the queue of an instance."""
        return await self.arrivals.take(partition_of(instance_id, PARTITIONS))

    # What a worker does

    async def next(self) -> tuple[str, list[MessageId]]:
        """Take the next work item: of which instance, with which messages."""
        item = await self.hub.dispatcher.next()
        return item.instance_id, [message.id for message in item.messages]

    async def commit(self, commit: Commit) -> None:
        async with self.hub.alone(commit.instance_id):
            await self.committer.commit(commit)

    async def begin(self, instance_id: str = "one", *, activities: int = 0) -> Fence:
        """Create an instance, take it up, and commit its first episode; give the next fence."""
        self.create(instance_id)
        await self.take(instance_id)
        _, consumed = await self.next()
        start = start_of(instance_id, "first", self.clock.now())
        for message in self.hub.inbox.of(instance_id):
            if isinstance(message.event, ExecutionStarted):
                start = message.event
        asked = [asks(number) for number in range(activities)]
        events = (OrchestratorStarted(timestamp=START), start, *asked, FINISH)
        await self.commit(
            step(
                events,
                instance_id,
                fence=Fence("first", 0, self.epoch(instance_id)),
                started=start,
                consumed=tuple(consumed),
                open_activities=activities,
            )
        )
        return Fence("first", len(events), self.epoch(instance_id))

    def epoch(self, instance_id: str = "one") -> int:
        return self.hub.ownership.epoch(instance_id)


FINISH = OrchestratorCompleted(timestamp=START)
BEGIN = OrchestratorStarted(timestamp=START)
EVENT = EventRaised(timestamp=START, name="go")
ONE = OrchestrationInstance("one", "first")


def start_of(
    instance_id: str = "one", execution_id: str = "first", now: datetime = START
) -> ExecutionStarted:
    instance = OrchestrationInstance(instance_id, execution_id)
    return ExecutionStarted(timestamp=now, orchestration_instance=instance, name="f")


def asks(number: int = 0) -> TaskScheduled:
    return TaskScheduled(timestamp=START, event_id=number, name="work")


def result(number: int = 0) -> TaskCompleted:
    return TaskCompleted(timestamp=START, task_scheduled_id=number, result='"done"')


def step(
    events: tuple[HistoryEvent, ...],
    instance_id: str = "one",
    *,
    fence: Fence,
    started: ExecutionStarted | None = None,
    consumed: tuple[MessageId, ...] = (),
    outbox: tuple[OutgoingMessage, ...] = (),
    open_activities: int = 0,
    status: Status = Status.Running,
) -> Commit:
    return Commit(
        instance_id=instance_id,
        fence=fence,
        events=events,
        status=StatusChange(runtime_status=status, last_updated_time=START),
        started=started,
        outbox=outbox,
        consumed=consumed,
        open_activities=open_activities,
    )
