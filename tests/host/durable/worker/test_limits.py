"""Limits of the worker: instances at a time, orchestrators in memory; and how it stops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from func_host.clock import SystemClock
from func_host.durable.backends.memory import MemoryStore
from func_host.durable.catalog import AppCatalog
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.history import ExecutionStarted, OrchestrationInstance
from func_host.durable.worker.settings import WorkerSettings
from func_host.durable.worker.worker import DurableWorker
from func_host.invocation.invoker import Invocation, LoopInvoker
from tests.host.durable.worker.world import CountingIds, WatchedBackend, World, index_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from func_bindings import OrchestrationContext
    from func_host.indexing import IndexedFunction

pytestmark = pytest.mark.anyio


def a(value: Any) -> Any: ...


runs: list[str] = []


async def chain(context: OrchestrationContext) -> list[Any]:
    runs.append(context.instance_id)
    return [await context.call_activity("a", n) for n in range(3)]


async def two_events(context: OrchestrationContext) -> list[Any]:
    runs.append(context.instance_id)
    return [await context.wait_for_external_event("go") for _ in range(2)]


async def guarded(context: OrchestrationContext) -> list[Any]:
    results: list[Any] = []
    try:
        results.append(await context.call_activity("a", "try"))
    finally:
        results.append(await context.call_activity("a", "finally"))
    return results


@pytest.fixture(autouse=True)
def no_runs() -> None:
    runs.clear()


def world(**settings: Any) -> World:
    return World(index_of([chain, two_events, guarded], [a]), WorkerSettings(**settings))


async def test_no_more_instances_are_advanced_at_a_time_than_the_setting_says() -> None:
    async with world(max_concurrent_orchestrators=2) as w:
        w.backend.gate = asyncio.Event()
        for number in range(5):
            await w.start(two_events, instance_id=f"i{number}", settle=False)
        await w.settle(1)
        assert w.backend.waiting == 2
        w.backend.gate.set()
        await w.settle(1)

        assert w.backend.waiting_max == 2
        assert [await w.status(f"i{number}") for number in range(5)] == ["Running"] * 5


async def test_an_instance_that_always_has_work_does_not_keep_others_waiting() -> None:
    async with world(max_concurrent_orchestrators=1, max_concurrent_activities=1) as w:
        for number in range(3):
            await w.start(chain, instance_id=f"i{number}")
        for number in range(9):
            await w.returns(number)

        assert [value for _, value in w.called] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


async def test_an_orchestrator_in_memory_is_not_replayed() -> None:
    async with world(session_cache_size=10) as w:
        await w.start(chain)
        for number in range(3):
            await w.returns(number)

        assert runs == ["i"]
        assert w.backend.loads == 1


@pytest.mark.parametrize(("cache", "expected"), [(0, 3), (1, 1)])
async def test_an_orchestrator_beyond_the_cache_is_replayed(cache: int, expected: int) -> None:
    async with world(session_cache_size=cache) as w:
        await w.start(two_events)
        await w.settle(1)
        for number in range(2):
            await w.raise_event("go", number)
            await w.settle(1)

        assert await w.output() == [0, 1]
        assert len(runs) == expected


async def test_the_orchestrator_that_was_not_fed_for_longest_is_dropped() -> None:
    async with world(session_cache_size=2) as w:
        for name in ("x", "y"):
            await w.start(two_events, instance_id=name)
            await w.settle(1)
        await w.raise_event("go", 1, "x")
        await w.start(two_events, instance_id="z")
        await w.settle(1)
        runs.clear()
        await w.raise_event("go", 2, "x")
        await w.raise_event("go", 1, "y")

        assert runs == ["y"]
        assert await w.output("x") == [1, 2]


async def test_dropping_inside_finally_changes_no_result() -> None:
    async with world(session_cache_size=0) as w:
        await w.start(guarded)
        await w.settle(1)
        await w.returns(0, 1)
        await w.settle(1)
        await w.returns(1, 2)
        await w.settle(1)

        assert await w.output() == [1, 2]
        assert w.called == [("a", "try"), ("a", "finally")]


async def test_draining_waits_for_running_activities_and_commits_their_results() -> None:
    async with world() as w:
        await w.start(chain)
        await w.settle(1)
        draining = asyncio.ensure_future(w.worker.drain())
        await w.settle(1)
        assert not draining.done()

        await w.returns(0, "A")
        await w.settle(1)
        await draining

        assert "TaskCompleted 0" in await w.kinds()
        assert len(w.calls) == 1


async def test_draining_takes_no_new_work() -> None:
    async with world() as w:
        await w.worker.drain()
        await w.start(chain)
        await w.settle(1)

        assert w.calls == []
        assert await w.status() == "Pending"


async def test_draining_commits_what_lingers() -> None:
    async with world(result_commit_delay_s=30) as w:
        await w.start(two_events)
        draining = asyncio.ensure_future(w.worker.drain())
        await w.settle(31)
        await draining

        assert await w.status() == "Running"


async def test_draining_twice_is_as_draining_once() -> None:
    async with world() as w:
        await w.worker.drain()
        await w.worker.drain()


async def test_an_activity_over_its_time_limit_is_waited_for_when_draining() -> None:
    async with world() as w:
        await w.start(chain)
        w.calls[0].times_out()
        await w.settle(1)
        draining = asyncio.ensure_future(w.worker.drain())
        await w.settle(1)
        assert not draining.done()
        w.calls[0].returns()
        await w.settle()

        await draining


async def test_what_was_in_memory_when_the_worker_stopped_goes_on_at_the_next_start() -> None:
    first = world()
    async with first as w:
        await w.start(chain)
        await w.settle(1)
        await w.returns(0, 1)
    async with World(first.index, store=first.store, clock=first.clock, ids=first.ids) as w:
        await w.returns(0, 2)
        await w.returns(1, 3)

        assert await w.output() == [1, 2, 3]


class EndsOneEachTurn:
    """Ends an activity in each turn of the loop, so that a session is always just being fed."""

    def start(self, function: IndexedFunction, values: Mapping[str, object]) -> Invocation:  # noqa: ARG002 -- the role's
        loop = asyncio.get_running_loop()
        invocation = Invocation(loop)
        loop.call_soon(loop.call_soon, invocation.end, 1, None)
        return invocation

    async def invoke(self, function: IndexedFunction, values: Mapping[str, object]) -> Any:
        return await self.start(function, values).outcome


async def test_results_that_keep_coming_do_not_put_their_commit_off() -> None:
    """Each waits for the delay at most, however many more arrive in the meantime."""

    async def gathers(context: OrchestrationContext) -> int:
        return len(await context.task_all([context.call_activity("a") for _ in range(5000)]))

    clock, catalog = SystemClock(), AppCatalog(index_of([gathers], [a]))
    async with WatchedBackend(MemoryStore(), clock) as backend, asyncio.TaskGroup() as tasks:
        worker = DurableWorker(
            backend=backend,
            executor=InProcessExecutor(catalog),
            entities=EntityExecutor(catalog, LoopInvoker(threads=1), clock, CountingIds()),
            catalog=catalog,
            invoker=EndsOneEachTurn(),
            clock=clock,
            ids=CountingIds(),
            settings=WorkerSettings(result_commit_delay_s=0.001),
        )
        running = tasks.create_task(worker.run())
        await backend.create_instance(
            ExecutionStarted(
                timestamp=clock.now(),
                orchestration_instance=OrchestrationInstance("i", "first"),
                name="gathers",
            )
        )
        await backend.wait_for_completion("i")
        running.cancel()

    assert len(backend.commits) >= 10
