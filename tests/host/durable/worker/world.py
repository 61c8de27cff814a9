"""A worker over a store in memory, with a clock and activities that the test moves by hand."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from func_bindings.metadata import ActivityTrigger, OrchestrationTrigger, SourceLocation
from func_host.durable.backend import BackendUnavailableError
from func_host.durable.backends.memory import MemoryBackend, MemoryStore
from func_host.durable.catalog import AppCatalog
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    OrchestrationInstance,
)
from func_host.durable.worker.settings import WorkerSettings
from func_host.durable.worker.worker import DurableWorker
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from func_host.invocation.invoker import Invocation, LoopInvoker
from func_host.testing.clock import SimulatedClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from func_host.clock import Clock
    from func_host.durable.backend import Commit, InstanceRecord, WorkItem
    from func_host.durable.history import HistoryEvent


def index_of(
    orchestrators: Sequence[Callable[..., Any]],
    activities: Sequence[Callable[..., Any]] = (),
    activity_types: Mapping[str, Any] | None = None,
) -> FunctionIndex:
    """Index functions as if they had been decorated: an activity takes `value`."""
    types = activity_types or {}
    common: dict[str, Any] = {
        "client_inputs": (),
        "location": SourceLocation(__file__, 1),
        "app": "app",
        "app_dir": Path(),
        "is_async": False,
    }
    return FunctionIndex(
        [
            *(
                IndexedFunction(
                    name=each.__name__,
                    function=each,
                    trigger=OrchestrationTrigger(parameter="context"),
                    **common,
                )
                for each in orchestrators
            ),
            *(
                IndexedFunction(
                    name=each.__name__,
                    function=each,
                    trigger=ActivityTrigger(parameter="value"),
                    parameter_types={"value": types.get(each.__name__, Any)},
                    parameters=inspect.signature(each).parameters,
                    **common,
                )
                for each in activities
            ),
        ]
    )


NOTHING = "called without a value"


class CountingIds:
    """Ids in order, and no jitter."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new_id(self) -> str:
        return f"id{next(self._numbers)}"

    def jitter(self) -> float:
        return 0.5


@dataclass
class Call:
    """An activity that has been called and ends when the test says so."""

    name: str
    value: object
    invocation: Invocation

    def returns(self, value: object = None) -> None:
        self.invocation.end(value, None)

    def raises(self, error: BaseException) -> None:
        self.invocation.end(None, error)

    def times_out(self) -> None:
        self.invocation.expire(self.name, 1.0)


class HandInvoker:
    """Calls nothing: notes what it shall call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.fails_with: Exception | None = None

    def start(self, function: IndexedFunction, values: Mapping[str, object]) -> Invocation:
        if self.fails_with is not None:
            raise self.fails_with
        invocation = Invocation(asyncio.get_running_loop())
        self.calls.append(Call(function.name, next(iter(values.values()), NOTHING), invocation))
        return invocation

    async def invoke(self, function: IndexedFunction, values: Mapping[str, object]) -> Any:
        return await self.start(function, values).outcome


class WatchedBackend(MemoryBackend):
    """Notes commits, holds them back, and fails as told."""

    def __init__(self, store: MemoryStore, clock: Clock) -> None:
        super().__init__(store, clock)
        self.commits: list[Commit] = []
        self.gate: asyncio.Event | None = None
        self.waiting = 0
        self.waiting_max = 0
        self.loads = 0
        self.turns_after_abandon = 0
        self.fails_before: list[str] = []
        self.fails_after: list[str] = []

    def _fail(self, plan: list[str], operation: str) -> None:
        if operation in plan:
            plan.remove(operation)
            raise BackendUnavailableError(f"{operation}: the store does not answer")

    async def commit(self, commit: Commit) -> None:
        self._fail(self.fails_before, "commit")
        self.waiting += 1
        self.waiting_max = max(self.waiting, self.waiting_max)
        try:
            if self.gate is not None:
                await self.gate.wait()
            await super().commit(commit)
        finally:
            self.waiting -= 1
        self.commits.append(commit)
        self._fail(self.fails_after, "commit")

    async def load(self, instance_id: str) -> Any:
        self.loads += 1
        self._fail(self.fails_before, "load")
        return await super().load(instance_id)

    async def abandon(self, instance_id: str) -> None:
        self._fail(self.fails_before, "abandon")
        await super().abandon(instance_id)
        for _ in range(self.turns_after_abandon):
            turn = asyncio.Event()
            asyncio.get_running_loop().call_soon(turn.set)
            await turn.wait()
        self._fail(self.fails_after, "abandon")

    async def next_work_item(self) -> WorkItem:
        self._fail(self.fails_before, "next_work_item")
        return await super().next_work_item()


@dataclass
class World:
    """A running worker; `async with` starts it, `settle` lets it do all it can do now."""

    index: FunctionIndex
    settings: WorkerSettings = field(default_factory=WorkerSettings)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    ids: CountingIds = field(default_factory=CountingIds)
    invoker: HandInvoker = field(default_factory=HandInvoker)
    executor_options: dict[str, Any] = field(default_factory=dict[str, Any])

    async def __aenter__(self) -> Self:
        self.backend = self.make_backend()
        await self.backend.__aenter__()
        catalog = AppCatalog(self.index)
        self.worker = DurableWorker(
            backend=self.backend,
            executor=InProcessExecutor(catalog, **self.executor_options),
            entities=EntityExecutor(catalog, LoopInvoker(threads=1), self.clock, self.ids),
            catalog=catalog,
            invoker=self.invoker,
            clock=self.clock,
            ids=self.ids,
            settings=self.settings,
        )
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self.running = self._group.create_task(self.worker.run())
        await self.settle()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop without draining, as a crash does."""
        self.running.cancel()
        await self._group.__aexit__(None, None, None)
        await self.backend.__aexit__(None, None, None)

    def make_backend(self) -> WatchedBackend:
        """Give the store that the worker works on."""
        return WatchedBackend(self.store, self.clock)

    async def settle(self, seconds: float = 0.0) -> None:
        """Let everything happen that can; then move the clock."""
        for _ in range(4):
            await self.clock.advance(0)
        if seconds:
            await self.clock.advance(seconds)
            await self.settle()

    # What clients do

    async def start(
        self,
        function: Callable[..., Any] | str,
        input_: object = None,
        instance_id: str = "i",
        *,
        at: datetime | None = None,
        replace: bool = False,
        settle: bool = True,
    ) -> None:
        await self.backend.create_instance(
            ExecutionStarted(
                timestamp=self.clock.now(),
                orchestration_instance=OrchestrationInstance(instance_id, self.ids.new_id()),
                name=function if isinstance(function, str) else function.__name__,
                input=json.dumps(input_),
                scheduled_start_time=at,
            ),
            replace_unfinished=replace,
        )
        if settle:
            await self.settle()

    async def raise_event(
        self, name: str, data: object = None, instance_id: str = "i", *, settle: bool = True
    ) -> None:
        event = EventRaised(timestamp=self.clock.now(), name=name, input=json.dumps(data))
        await self.backend.send_message(instance_id, event)
        if settle:
            await self.settle()

    async def terminate(self, reason: str = "enough", instance_id: str = "i") -> None:
        event = ExecutionTerminated(timestamp=self.clock.now(), input=reason)
        await self.backend.send_message(instance_id, event)
        await self.settle()

    async def suspend(self, instance_id: str = "i", reason: str = "hold") -> None:
        event = ExecutionSuspended(timestamp=self.clock.now(), reason=reason)
        await self.backend.send_message(instance_id, event)
        await self.settle()

    async def resume(self, instance_id: str = "i", reason: str = "go") -> None:
        event = ExecutionResumed(timestamp=self.clock.now(), reason=reason)
        await self.backend.send_message(instance_id, event)
        await self.settle()

    # What the test sees

    @property
    def calls(self) -> list[Call]:
        return self.invoker.calls

    @property
    def called(self) -> list[tuple[str, object]]:
        return [(call.name, call.value) for call in self.invoker.calls]

    @property
    def commits(self) -> list[Commit]:
        return self.backend.commits

    async def returns(self, number: int, value: object = None) -> None:
        self.calls[number].returns(value)
        await self.settle()

    async def record(self, instance_id: str = "i") -> InstanceRecord:
        record = await self.backend.get_instance(instance_id)
        assert record is not None, f"there is no instance {instance_id}"
        return record

    async def status(self, instance_id: str = "i") -> str:
        return (await self.record(instance_id)).runtime_status.value

    async def output(self, instance_id: str = "i") -> Any:
        record = await self.record(instance_id)
        assert record.runtime_status.value == "Completed", record
        return json.loads(record.output or "null")

    async def history(self, instance_id: str = "i") -> Sequence[HistoryEvent]:
        return await self.backend.get_history(instance_id)

    async def kinds(self, instance_id: str = "i") -> list[str]:
        return kinds(await self.history(instance_id))


def kinds(events: Sequence[object]) -> list[str]:
    """Give short names of events, with the number of a step."""
    return [_kind(event) for event in events]


def _kind(event: Any) -> str:
    name = type(event).__name__
    short = {"OrchestratorStarted": "<", "OrchestratorCompleted": ">"}.get(name)
    if short is not None:
        return short
    number = getattr(event, "task_scheduled_id", getattr(event, "timer_id", event.event_id))
    return name if number == -1 else f"{name} {number}"
