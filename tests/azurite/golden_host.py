"""A real worker on a hub of Azure Storage, with the functions of the recordings."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from func_bindings.durable.entities import EntityId
from func_bindings.metadata import (
    ActivityTrigger,
    EntityTrigger,
    OrchestrationTrigger,
    SourceLocation,
)
from func_host.clock import SystemClock, SystemIds
from func_host.durable.backends.azure_storage.backend import AzureStorageBackend
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.hub import HubSettings
from func_host.durable.catalog import AppCatalog
from func_host.durable.client import TaskHubClient
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.links import ManagementLinks
from func_host.durable.worker.settings import WorkerSettings
from func_host.durable.worker.worker import DurableWorker
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from func_host.invocation.invoker import Invocation
from tests.golden.histories.orchestrators import ACTIVITIES, ORCHESTRATORS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping

    from func_bindings.durable.context import OrchestrationContext
    from func_bindings.durable.entities import EntityContext
    from func_bindings.metadata import Trigger
    from func_host.durable.backend import InstanceRecord
    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.invocation.invoker import Steps

PATIENCE_S = 30.0
DRAIN_S = 0.3
_SETTINGS = HubSettings(polling_interval_max_s=0.3)


def length(value: str) -> int:
    return len(value)


def make_big(value: int) -> str:
    return "y" * value


async def large(context: OrchestrationContext) -> str:
    """Pass much text to an activity, and back."""
    count = await context.call_activity("Len", context.get_input(), int)
    return await context.call_activity("MakeBig", count, str)


async def large_event(context: OrchestrationContext) -> int:
    """Wait for an event with much text."""
    return len(await context.wait_for_external_event("Big"))


async def fan_out_many(context: OrchestrationContext) -> int:
    """Run 120 activities at once."""
    return sum(await context.task_all([context.call_activity("Double", n) for n in range(1, 121)]))


async def entity_call_big(context: OrchestrationContext) -> int:
    """Have an entity answer with much text."""
    return len(await context.call_entity(EntityId("Counter", context.instance_id), "big", 70_000))


def counter(context: EntityContext) -> None:
    """Count, hold much text, fail, signal counters, or start an orchestration."""
    match context.operation_name:
        case "setbig":
            context.set_state("x" * context.get_input(int))
        case "big":
            context.set_result("y" * context.get_input(int))
        case "fail":
            raise ValueError("entity says no")
        case "later":
            context.signal_entity(context.entity_id, "add", 7, at=timedelta(seconds=2))
        case _:
            _count(context)


def _count(context: EntityContext) -> None:
    value = context.get_state(int, expected_type=int)
    match context.operation_name:
        case "get":
            context.set_result(value)
        case "add":
            context.set_state(value + context.get_input(int))
            context.set_result(value + context.get_input(int))
        case "forward":
            context.set_state(value + 1)
            context.signal_entity(EntityId("counter", context.get_input(str)), "add", 100)
        case "start":
            context.start_new("Child", context.get_input(str), "from entity")
        case _:
            context.destruct_on_exit()


def index() -> FunctionIndex:
    """Index the functions of the recordings."""
    orchestrators: dict[str, Callable[..., Any]] = {
        **ORCHESTRATORS,
        "Large": large,
        "LargeEvent": large_event,
        "FanOutMany": fan_out_many,
        "EntityCallBig": entity_call_big,
    }
    activities = {**ACTIVITIES, "Len": length, "MakeBig": make_big}
    return FunctionIndex(
        [
            *(
                _indexed(name, each, OrchestrationTrigger(parameter="context"))
                for name, each in orchestrators.items()
            ),
            *(
                _indexed(f"{name}Activity", each, ActivityTrigger(parameter="value", activity=name))
                for name, each in activities.items()
            ),
            _indexed("counter", counter, EntityTrigger(parameter="context")),
        ]
    )


def _indexed(name: str, function: Callable[..., Any], trigger: Trigger) -> IndexedFunction:
    return IndexedFunction(
        name=name,
        function=function,
        trigger=trigger,
        client_inputs=(),
        location=SourceLocation(__file__, 1),
        app="recorded",
        app_dir=Path(),
        is_async=False,
    )


class CallingInvoker:
    """Calls each activity at once, but for what is held: that goes on and on."""

    def __init__(self, held: Collection[str]) -> None:
        self.called: list[str] = []
        self.running: list[Invocation] = []
        self.held = held

    def start(self, function: IndexedFunction, values: Mapping[str, object]) -> Invocation:
        invocation = Invocation(asyncio.get_running_loop())
        value = str(next(iter(values.values()), None))
        self.called.append(value)
        if value in self.held:
            self.running.append(invocation)
            return invocation
        try:
            invocation.end(function.call(values), None)
        except ValueError as error:
            invocation.end(None, error)
        return invocation

    def start_steps(self, function: IndexedFunction, steps: Steps) -> Invocation:  # noqa: ARG002 -- a role
        """Run a batch of operations at once."""
        invocation = Invocation(asyncio.get_running_loop())
        invocation.end(steps(), None)
        return invocation

    async def invoke(self, function: IndexedFunction, values: Mapping[str, object]) -> Any:
        return await self.start(function, values).outcome


class GoldenHost:
    """A worker over a hub, with its client.

    Args:
        connection: Of the account.
        names: The hub.
        held: Inputs of activities that do not end.
        works: Whether it works; else it is a client only.
    """

    def __init__(
        self,
        connection: StorageConnection,
        names: TaskHubNames,
        *,
        held: Collection[str] = (),
        works: bool = True,
    ) -> None:
        clock, ids, functions = SystemClock(), SystemIds(), index()
        settings = _SETTINGS if works else HubSettings(works=False)
        self.clients = StorageClients(connection)
        self.backend = AzureStorageBackend(self.clients, names, clock, ids, settings)
        self.invoker = CallingInvoker(held)
        self.works = works
        self.client = TaskHubClient(
            backend=self.backend,
            clock=clock,
            ids=ids,
            orchestrators=functions,
            entities=functions,
            links=ManagementLinks(origin="http://localhost", task_hub=names.hub, key=None),
        )
        features = self.backend.features
        catalog = AppCatalog(functions)
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
            settings=WorkerSettings(max_concurrent_activities=200),
        )

    async def end(self, instance_id: str) -> InstanceRecord:
        """Wait for the end of an instance."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.backend.wait_for_completion(instance_id)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await pause()

    async def until_soon(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something that has to be asked for is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not await condition():
                await pause()


async def pause(seconds: float = 0.02) -> None:
    """Let the host go on."""
    await SystemClock().sleep(seconds)


@asynccontextmanager
async def running(host: GoldenHost) -> AsyncGenerator[GoldenHost]:
    """Run a host; at the end it is stopped as by a signal: what runs is let go of."""
    async with host.backend:
        if not host.works:
            yield host
            return
        work = asyncio.ensure_future(host.worker.run())
        try:
            yield host
            try:
                async with asyncio.timeout(DRAIN_S):
                    await host.worker.drain()
            except TimeoutError:
                pass
            await host.worker.release()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
