"""What orchestrations cost on Azure Storage, in requests, and that another host takes them over."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.clock import SystemClock, SystemIds
from func_host.durable.backends.azure_storage.backend import AzureStorageBackend
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.client_batch import Insert
from func_host.durable.backends.azure_storage.hub import HubSettings
from func_host.durable.catalog import AppCatalog
from func_host.durable.engine.entities import messages
from func_host.durable.engine.entities.scheduler import read_state
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.history import EventRaised, ExecutionStarted, OrchestrationInstance
from func_host.durable.worker.settings import WorkerSettings
from func_host.durable.worker.worker import DurableWorker
from func_host.invocation.invoker import Invocation
from func_host.testing.conformance.programs import index_with

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping

    from func_bindings.durable.context import OrchestrationContext
    from func_host.durable.backend import InstanceRecord
    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.indexing.functions import IndexedFunction
    from func_host.invocation.invoker import Steps

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]

PATIENCE_S = 30.0
POLLS_ARE_RARE_AFTER_S = 65.0


async def chain(context: OrchestrationContext) -> Any:
    """Run activities one after the other."""
    return [await context.call_activity("work", n) for n in range(context.get_input())]


async def fan(context: OrchestrationContext) -> Any:
    """Run activities all at once."""
    calls = [context.call_activity("work", n) for n in range(context.get_input())]
    return await context.task_all(calls)


async def sleeper(context: OrchestrationContext) -> Any:
    """Wait for a timer."""
    await context.create_timer(timedelta(milliseconds=300))
    return "awake"


async def listener(context: OrchestrationContext) -> Any:
    """Wait for events."""
    return [await context.wait_for_external_event("go") for _ in range(context.get_input())]


async def again(context: OrchestrationContext) -> Any:
    """Run an activity, and start over a few times."""
    turn = context.get_input()
    await context.call_activity("work", turn)
    if turn < 3:
        context.continue_as_new(turn + 1)
    return turn


async def parent(context: OrchestrationContext) -> Any:
    """Run a child."""
    return await context.call_sub_orchestrator("chain", 2)


PROGRAMS = {each.__name__: each for each in (chain, fan, sleeper, listener, again, parent)}


class _Invoker:
    """Answers at once, but for what is held."""

    def __init__(self, held: Collection[str]) -> None:
        self.called: list[str] = []
        self.reached = asyncio.Event()
        self._held = held

    def start(self, function: IndexedFunction, values: Mapping[str, object]) -> Invocation:
        invocation = Invocation(asyncio.get_running_loop())
        (value,) = values.values()
        assert not function.is_async
        self.called.append(str(value))
        if str(value) in self._held:
            self.reached.set()
        else:
            invocation.end(value, None)
        return invocation

    def start_steps(self, function: IndexedFunction, steps: Steps) -> Invocation:  # noqa: ARG002 -- a role
        """Run a batch of operations at once."""
        invocation = Invocation(asyncio.get_running_loop())
        invocation.end(steps(), None)
        return invocation

    async def invoke(self, function: IndexedFunction, values: Mapping[str, object]) -> Any:
        return await self.start(function, values).outcome


class _Host:
    """A worker over a hub, with its client."""

    def __init__(
        self,
        connection: StorageConnection,
        names: TaskHubNames,
        *,
        held: Collection[str] = (),
        settings: HubSettings | None = None,
    ) -> None:
        clock, ids = SystemClock(), SystemIds()
        self.clients = StorageClients(connection)
        self.backend = AzureStorageBackend(self.clients, names, clock, ids, settings)
        self.invoker = _Invoker(held)
        catalog = AppCatalog(index_with(PROGRAMS))
        features = self.backend.features
        self.worker = DurableWorker(
            backend=self.backend,
            executor=InProcessExecutor(
                catalog,
                timer_leg_max=features.timer_leg_max,
                records_open_activities=features.records_open_activities,
            ),
            entities=EntityExecutor(catalog, self.invoker, clock, ids),
            catalog=catalog,
            invoker=self.invoker,
            clock=clock,
            ids=ids,
            settings=WorkerSettings(max_concurrent_activities=100, result_commit_delay_s=0.1),
        )

    async def start(self, name: str, given: str | None = None, instance_id: str = "one") -> None:
        """Start an instance."""
        instance = OrchestrationInstance(instance_id, SystemIds().new_id())
        await self.backend.create_instance(
            ExecutionStarted(
                timestamp=SystemClock().now(),
                orchestration_instance=instance,
                name=name,
                input=given,
            )
        )

    async def raised(self, name: str, instance_id: str = "one") -> None:
        """Raise an event."""
        event = EventRaised(timestamp=SystemClock().now(), name=name, input="1")
        await self.backend.send_message(instance_id, event)

    async def signal(self, value: int, operation_id: str | None = None) -> None:
        """Add something to a counter."""
        request = messages.operation(
            id=SystemIds().new_id(), op="add", input=str(value), is_signal=True
        )
        event = messages.request_event(request, SystemClock().now())
        await self.backend.send_message("@counter@one", event, operation_id=operation_id)

    async def counted(self) -> str | None:
        """Give what the counter stands at."""
        record = await self.backend.get_instance("@counter@one")
        return None if record is None else read_state(record.input).state

    async def end(self, instance_id: str = "one") -> InstanceRecord:
        """Wait for the end."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.backend.wait_for_completion(instance_id)

    @property
    def requests(self) -> int:
        """How many requests there were, but for polls."""
        return self.clients.counter.total(with_polls=False)


@asynccontextmanager
async def _running(host: _Host, *, dies: bool = False) -> AsyncGenerator[_Host]:
    async with host.backend:
        running = asyncio.ensure_future(host.worker.run())
        try:
            yield host
        finally:
            if dies:
                host.backend.abort()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def _a_moment(seconds: float = 0.3) -> None:
    """Let the worker go on: nothing tells when it has."""
    await SystemClock().sleep(seconds)


async def _cost(host: _Host, name: str, given: str | None = None) -> tuple[int, InstanceRecord]:
    before = host.requests
    await host.start(name, given)
    record = await host.end()
    await host.backend.get_instance("one")
    async with host.backend.in_progress():
        cost = host.requests - before
    return cost, record


@pytest.mark.parametrize("count", [0, 1, 5, 20])
async def test_sequential_activities_cost_one_request_each_and_four_more(
    connection: StorageConnection, names: TaskHubNames, count: int
) -> None:
    """With nothing to do it is one more: the history is written once all the same."""
    async with _running(_Host(connection, names)) as host:
        cost, record = await _cost(host, "chain", str(count))
    assert json.loads(record.output or "") == list(range(count))
    assert cost <= max(count, 1) + 4


async def test_a_fan_out_of_a_hundred_costs_at_most_ten(
    connection: StorageConnection, names: TaskHubNames
) -> None:
    """Its results share transactions."""
    async with _running(_Host(connection, names)) as host:
        cost, record = await _cost(host, "fan", "100")
    assert json.loads(record.output or "") == list(range(100))
    assert cost <= 10


async def test_a_timer_costs_at_most_four_more_than_nothing(
    connection: StorageConnection, names: TaskHubNames
) -> None:
    """Its message, the two steps, and the status that says that it waits."""
    async with _running(_Host(connection, names)) as host:
        cost, record = await _cost(host, "sleeper")
    assert record.output == '"awake"'
    assert cost - 5 <= 4


async def test_events_from_this_process_cost_one_each(
    connection: StorageConnection, names: TaskHubNames
) -> None:
    """They are in the history when the call returns."""
    async with _running(_Host(connection, names)) as host:
        await host.start("listener", "4")
        async with asyncio.timeout(PATIENCE_S):
            while not await host.backend.get_history("one"):
                await _a_moment(0.01)
        await host.raised("go")
        await _a_moment()
        before = host.requests
        for _ in range(2):
            await host.raised("go")
            await _a_moment()
        cost = host.requests - before
        await host.raised("go")
        assert (await host.end()).output == "[1,1,1,1]"
    assert cost <= 2


@pytest.mark.parametrize(("name", "given"), [("again", "0"), ("parent", None)])
async def test_other_programs_end_right(
    connection: StorageConnection, names: TaskHubNames, name: str, given: str | None
) -> None:
    """Continue-as-new, and a child."""
    async with _running(_Host(connection, names)) as host:
        _, record = await _cost(host, name, given)
    assert record.runtime_status is OrchestrationRuntimeStatus.Completed
    assert record.output == {"again": "3", "parent": "[0,1]"}[name]


@pytest.mark.parametrize(("name", "given"), [("chain", "4"), ("fan", "4"), ("again", "0")])
async def test_another_host_goes_on_where_one_has_died(
    connection: StorageConnection, names: TaskHubNames, name: str, given: str
) -> None:
    """Once the claim shows; what was recorded does not run again."""
    settings = HubSettings(visibility_s=2, polling_interval_max_s=0.2)
    async with _running(_Host(connection, names, held={"2"}, settings=settings), dies=True) as host:
        await host.start(name, given)
        async with asyncio.timeout(PATIENCE_S):
            await host.invoker.reached.wait()
            await _a_moment()

    async with _running(_Host(connection, names, settings=settings)) as other:
        record = await other.end()
        history = await other.backend.get_history("one")
    assert record.output == ("3" if name == "again" else "[0,1,2,3]")
    assert "2" in other.invoker.called
    assert "0" not in other.invoker.called or name == "again"
    assert history


async def _stored_history(host: _Host, names: TaskHubNames) -> list[str]:
    rows = [row async for row in host.clients.table(names.history_table).query_entities("")]
    return [str(row.get("EventType")) for row in rows]


async def test_a_run_takes_the_place_of_a_longer_one_that_had_its_id(
    connection: StorageConnection, names: TaskHubNames
) -> None:
    """Rows are inserted where none can be, and replaced where an earlier run has left its own."""
    async with _running(_Host(connection, names)) as host:
        await host.start("chain", "5")
        assert (await host.end()).output == "[0,1,2,3,4]"
        longer = len(await host.backend.get_history("one"))
        await host.start("chain", "2")
        assert (await host.end()).output == "[0,1]"
        history = await host.backend.get_history("one")
        rows = await _stored_history(host, names)
    assert len(history) == 12
    assert rows[: len(history)] == [type(event).__name__ for event in history]
    assert len(rows) == longer + 1

    async with _running(_Host(connection, names)) as other:
        assert await other.backend.get_history("one") == history


async def test_rows_that_should_not_be_there_are_replaced_at_the_second_try(
    connection: StorageConnection, names: TaskHubNames
) -> None:
    """A purge that was cut off may leave rows without their fence."""
    async with _running(_Host(connection, names)) as host:
        stray = {"PartitionKey": "one", "RowKey": f"{2:016X}", "EventType": "Stray"}
        await host.clients.table(names.history_table).write(Insert(stray))
        await host.start("chain", "3")
        record = await host.end()
        rows = await _stored_history(host, names)
    assert record.output == "[0,1,2]"
    assert "Stray" not in rows


async def test_an_idle_host_asks_seldom(connection: StorageConnection, names: TaskHubNames) -> None:
    """Nine looks into five queues in a minute, six renewals of partitions, and the app's lease.

    On average that is 17.4; what of it falls into this very minute differs by chance.
    """
    async with _running(_Host(connection, names)) as host:
        await host.start("chain", "1")
        await host.end()
        await _a_moment(POLLS_ARE_RARE_AFTER_S)
        before = host.clients.counter.total()
        await _a_moment(60)
        cost = host.clients.counter.total() - before
    assert cost <= 22


async def test_rows_are_those_that_the_provider_writes(
    connection: StorageConnection, names: TaskHubNames
) -> None:
    """Event for event, with the columns of the status row; one column of the fence is ours."""
    async with _running(_Host(connection, names)) as host:
        await host.start("chain", "1")
        await host.end()
        rows = [row async for row in host.clients.table(names.history_table).query_entities("")]
        (status,) = [
            row async for row in host.clients.table(names.instances_table).query_entities("")
        ]
        left = [
            one
            for partition in range(4)
            for one in await host.clients.queue(names.control_queue(partition)).peek_messages(32)
        ]
    assert [row["RowKey"] for row in rows] == [*(f"{n:016X}" for n in range(8)), "sentinel"]
    assert [row.get("EventType") for row in rows] == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "TaskScheduled",
        "OrchestratorCompleted",
        "OrchestratorStarted",
        "TaskCompleted",
        "ExecutionCompleted",
        "OrchestratorCompleted",
        None,
    ]
    assert rows[1]["Generation"] == 0
    assert set(rows[-1]) == {
        *("PartitionKey", "RowKey", "ExecutionId", "IsCheckpointComplete"),
        *("CheckpointCompletedTimestamp", "CheckpointToken"),
    }
    assert (status["RuntimeStatus"], status["Output"], status["CustomStatus"]) == (
        "Completed",
        "[0]",
        "null",
    )
    assert {"CreatedTime", "LastUpdatedTime", "CompletedTime", "TaskHubName"} <= set(status)
    assert not left


async def test_signals_that_arrive_together_cost_two_requests(
    connection: StorageConnection, names: TaskHubNames
) -> None:
    """One transaction and one status row, however many they are."""
    async with _running(_Host(connection, names)) as host:
        await host.signal(1)
        before = host.requests
        await asyncio.gather(*(host.signal(1) for _ in range(50)))

        assert host.requests - before == 2
        assert await host.counted() == "51"


async def test_a_repeated_operation_id_costs_nothing_and_does_nothing(
    connection: StorageConnection, names: TaskHubNames
) -> None:
    """Also on the host that comes after: it reads the entity, and writes nothing."""
    async with _running(_Host(connection, names)) as host:
        await asyncio.gather(host.signal(1, "o-1"), host.signal(1, "o-1"))
        before = host.requests
        await host.signal(1, "o-1")
        assert host.requests == before
    async with _running(_Host(connection, names)) as host:
        await host.signal(1, "o-1")
        await host.signal(1, "o-2")

        assert await host.counted() == "2"
