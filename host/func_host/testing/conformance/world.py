"""What the suite is written with: a store, a clock, and steps of made-up instances."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import Commit, Fence, InstanceQuery, OutgoingMessage, StatusChange
from func_host.durable.history import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    TimerFired,
)

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from func_host.durable.backend import Backend, InstanceRecord, Message, MessageId, WorkItem
    from func_host.durable.history import HistoryEvent
    from func_host.testing.clock import SimulatedClock

Status = OrchestrationRuntimeStatus
PATIENCE_S = 10.0
"""Nothing in the suite waits for time to pass; a store that hangs is given up after this long."""


class StoreUnderTest(Protocol):
    """What an implementation hands to the suite: one task hub, empty at first."""

    def connect(self) -> Backend:
        """Give a new backend over what is stored, not opened yet."""
        ...

    def crash(self) -> None:
        """Do as `kill -9` does: what the backend has not made durable is lost.

        It changes nothing any more from now on; the next `connect` finds what it left.
        """
        ...


@dataclass(slots=True)
class Run:
    """One execution of an instance, as its worker sees it."""

    world: World
    start: ExecutionStarted
    fence: Fence
    events: list[HistoryEvent] = field(default_factory=list["HistoryEvent"])

    @property
    def instance_id(self) -> str:
        """Its instance."""
        return self.start.orchestration_instance.instance_id

    def plan(
        self,
        *events: HistoryEvent,
        status: OrchestrationRuntimeStatus = Status.Running,
        output: str | None = None,
        custom_status: str | None = None,
        parked: str | None = None,
        started: ExecutionStarted | None = None,
        outbox: tuple[OutgoingMessage, ...] = (),
        cancelled_timers: tuple[int, ...] = (),
        consumed: tuple[MessageId, ...] = (),
        open_activities: int = 0,
    ) -> Commit:
        """Make the commit of a step; without events given it holds an empty episode."""
        now = self.world.clock.now()
        return Commit(
            instance_id=self.instance_id,
            fence=self.fence,
            events=events
            or (OrchestratorStarted(timestamp=now), OrchestratorCompleted(timestamp=now)),
            status=StatusChange(
                runtime_status=status,
                last_updated_time=now,
                custom_status=custom_status,
                output=output,
                parked=parked,
            ),
            started=started,
            outbox=outbox,
            cancelled_timers=cancelled_timers,
            consumed=consumed,
            open_activities=open_activities,
        )

    async def commit(self, commit: Commit) -> None:
        """Write a step, and know it afterwards."""
        await self.world.backend.commit(commit)
        if commit.started is not None:
            self.start = commit.started
            self.events = []
        self.events += commit.events
        self.fence = Fence(self.start.orchestration_instance.execution_id, len(self.events))

    async def send(self, *outbox: OutgoingMessage) -> None:
        """Write a step that sends these messages."""
        await self.commit(self.plan(outbox=outbox))

    async def end(
        self, status: OrchestrationRuntimeStatus = Status.Completed, output: str | None = None
    ) -> None:
        """Write the last step."""
        done = ExecutionCompleted(
            timestamp=self.world.clock.now(), orchestration_status=status, result=output
        )
        await self.commit(self.plan(done, status=status, output=output))

    def timer(self, timer_id: int, after: timedelta) -> OutgoingMessage:
        """Make the message of a timer of this run."""
        now = self.world.clock.now()
        return OutgoingMessage(
            instance_id=self.instance_id,
            event=TimerFired(timestamp=now, timer_id=timer_id, fire_at=now + after),
            execution_id=self.fence.execution_id,
            visible_at=now + after,
        )


class World:
    """One opened backend under a simulated clock; see `StoreUnderTest` for how it dies."""

    def __init__(self, store: StoreUnderTest, clock: SimulatedClock) -> None:
        self.store = store
        self.clock = clock
        self.backend: Backend = store.connect()
        self._opened = AsyncExitStack()
        self._crashed = AsyncExitStack()

    async def open(self) -> None:
        """Open the backend."""
        await self._opened.enter_async_context(self.backend)

    async def close(self) -> None:
        """Close it, and what is left of those that crashed."""
        await self._opened.aclose()
        await self._crashed.aclose()

    async def reopen(self) -> None:
        """Close it as a host does that stops, and open a new one."""
        await self._opened.aclose()
        self.backend = self.store.connect()
        await self.open()

    async def crash(self) -> None:
        """Kill it, and open a new one over what it left."""
        self.store.crash()
        self._crashed.push_async_exit(self._opened.pop_all())
        self.backend = self.store.connect()
        await self.open()

    def start_of(
        self,
        instance_id: str,
        *,
        execution_id: str = "first",
        name: str = "orchestrator",
        input: str | None = None,  # noqa: A002  # the field's name
        scheduled: datetime | None = None,
    ) -> ExecutionStarted:
        """Make the start event of an instance."""
        return ExecutionStarted(
            timestamp=self.clock.now(),
            orchestration_instance=OrchestrationInstance(instance_id, execution_id),
            name=name,
            version="1.0",
            input=input,
            scheduled_start_time=scheduled,
        )

    async def create(
        self,
        instance_id: str,
        *,
        execution_id: str = "first",
        input: str | None = None,  # noqa: A002  # the field's name
        replace: bool = False,
    ) -> ExecutionStarted:
        """Create an instance as a client does."""
        start = self.start_of(instance_id, execution_id=execution_id, input=input)
        await self.backend.create_instance(start, replace_unfinished=replace)
        return start

    async def take(self) -> WorkItem:
        """Take the next work item, which must be there."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.backend.next_work_item()

    async def begin(
        self, instance_id: str, *, execution_id: str = "first", open_activities: int = 0
    ) -> Run:
        """Create an instance and write its first step."""
        start = await self.create(instance_id, execution_id=execution_id)
        item = await self.take()
        assert item.instance_id == instance_id
        run = Run(self, start, Fence(execution_id, 0))
        now = self.clock.now()
        await run.commit(
            run.plan(
                OrchestratorStarted(timestamp=now),
                start,
                OrchestratorCompleted(timestamp=now),
                started=start,
                consumed=ids_of(item),
                open_activities=open_activities,
            )
        )
        return run

    async def expect_idle(self) -> None:
        """Check that no instance has anything to do: a new one is the very next."""
        await self.begin_and_end("zz-after-everything")
        await self.backend.purge_instance("zz-after-everything")

    async def begin_and_end(self, instance_id: str, output: str | None = None) -> Run:
        """Create an instance, run it to its end."""
        run = await self.begin(instance_id)
        await run.end(output=output)
        return run

    async def status_of(self, instance_id: str) -> InstanceRecord:
        """Give the status row of an instance that must be there, and the same in a list."""
        record = await self.backend.get_instance(instance_id)
        assert record is not None
        query = InstanceQuery(instance_id_prefix=instance_id, page_size=1)
        assert (await self.backend.query_instances(query)).instances == (record,)
        return record

    async def all_ids(self, query: InstanceQuery | None = None) -> list[str]:
        """Give the ids on the first page of a query."""
        page = await self.backend.query_instances(query or InstanceQuery())
        return [record.instance_id for record in page.instances]

    def raised(self, name: str, input: str | None = None) -> EventRaised:  # noqa: A002
        """Make an external event."""
        return EventRaised(timestamp=self.clock.now(), name=name, input=input)

    def to(
        self,
        instance_id: str,
        name: str,
        *,
        execution_id: str | None = None,
        visible_at: datetime | None = None,
    ) -> OutgoingMessage:
        """Make a message that carries an external event."""
        return OutgoingMessage(
            instance_id=instance_id,
            event=self.raised(name),
            execution_id=execution_id,
            visible_at=visible_at,
        )


def ids_of(*items: WorkItem) -> tuple[MessageId, ...]:
    """Give the ids of the messages of some work items."""
    return tuple(message.id for item in items for message in item.messages)


def names_of(*items: WorkItem) -> list[str]:
    """Tell what arrived: names of external events, ids of timers, execution ids of starts."""
    return [_name_of(message) for item in items for message in item.messages]


def _name_of(message: Message) -> str:
    match message.event:
        case EventRaised(name=name):
            return name
        case TimerFired(timer_id=timer_id):
            return f"timer {timer_id}"
        case ExecutionStarted(orchestration_instance=instance):
            return f"start {instance.execution_id}"
        case event:
            return type(event).__name__
