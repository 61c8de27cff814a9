"""Mistakes once made with entities."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from func_bindings.durable.entities import EntityContext, EntityId
from func_bindings.metadata import EntityTrigger, SourceLocation
from func_host.clock import SystemClock, SystemIds
from func_host.durable.backends.memory import MemoryBackend, MemoryStore
from func_host.durable.catalog import AppCatalog
from func_host.durable.client import TaskHubClient
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.links import ManagementLinks
from func_host.durable.worker.settings import WorkerSettings
from func_host.durable.worker.worker import DurableWorker
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from func_host.invocation.invoker import LoopInvoker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

pytestmark = pytest.mark.anyio

DEADLINE_S = 10.0


@asynccontextmanager
async def working(
    entity: Callable[[EntityContext], Any],
) -> AsyncGenerator[tuple[DurableWorker, TaskHubClient]]:
    """Run a worker whose app is this one entity."""
    index = FunctionIndex(
        [
            IndexedFunction(
                name=entity.__name__,
                function=entity,
                trigger=EntityTrigger(parameter="context"),
                client_inputs=(),
                location=SourceLocation(__file__, 1),
                app="app",
                app_dir=Path(),
                is_async=inspect.iscoroutinefunction(entity),
                parameters=inspect.signature(entity).parameters,
            )
        ]
    )
    clock, ids, catalog = SystemClock(), SystemIds(), AppCatalog(index)
    async with (
        MemoryBackend(MemoryStore(), clock) as backend,
        LoopInvoker(threads=1) as invoker,
        asyncio.TaskGroup() as tasks,
    ):
        worker = DurableWorker(
            backend=backend,
            executor=InProcessExecutor(catalog),
            entities=EntityExecutor(catalog, invoker, clock, ids),
            catalog=catalog,
            invoker=invoker,
            clock=clock,
            ids=ids,
            settings=WorkerSettings(),
        )
        running = tasks.create_task(worker.run())
        yield (
            worker,
            TaskHubClient(
                backend=backend,
                clock=clock,
                ids=ids,
                orchestrators=index,
                entities=index,
                links=ManagementLinks(origin="http://localhost", task_hub="hub"),
            ),
        )
        running.cancel()


async def test_a_drain_ends_though_messages_to_an_entity_have_arrived() -> None:
    """The worker took the entity up again and again, and did nothing with it."""
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(context: EntityContext) -> None:
        has_begun.set()
        await may_end.wait()
        context.set_state(context.get_state(int, int) + 1)

    me = EntityId("slow", "k")
    async with working(slow) as (worker, client):
        await client.signal_entity(me, "add")
        await has_begun.wait()
        await client.signal_entity(me, "add")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(DEADLINE_S):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(worker.drain())
                await anyio.wait_all_tasks_blocked()
                may_end.set()
        state = await client.read_entity_state(me)

    assert state.entity_state == 1
