"""Crashes, lost answers and replaced instances, at the worst moments that the simulation found."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.catalog import AppCatalog
from func_host.durable.executor import InProcessExecutor
from func_host.durable.history import ExecutionStarted
from func_host.durable.worker.settings import WorkerSettings
from tests.host.durable.worker.world import World, index_of

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext

pytestmark = pytest.mark.anyio


def a(value: Any) -> Any: ...
def b(value: Any) -> Any: ...


async def chain(context: OrchestrationContext) -> list[Any]:
    return [await context.call_activity("a", 1), await context.call_activity("b", 2)]


async def fan_out(context: OrchestrationContext) -> list[Any]:
    return await context.task_all([context.call_activity("b", n) for n in range(4)])


async def waits(context: OrchestrationContext) -> Any:
    return await context.wait_for_external_event("go")


async def starts_over_once(context: OrchestrationContext) -> Any:
    if context.get_input() == "first":
        return context.continue_as_new("second")
    return await context.call_activity("a", 1)


async def starts_over_for_ever(context: OrchestrationContext) -> None:
    context.call_activity("a", 1)
    context.continue_as_new()


ORCHESTRATORS = [chain, fan_out, waits, starts_over_once, starts_over_for_ever]


def world(**settings: Any) -> World:
    return World(index_of(ORCHESTRATORS, [a, b]), WorkerSettings(**settings))


class SlowLoad:
    """Holds back each load of a store until it is told to go on."""

    def __init__(self, w: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = asyncio.Event()
        self._load = w.backend.load
        monkeypatch.setattr(w.backend, "load", self)

    async def __call__(self, instance_id: str) -> Any:
        await self.go_on.wait()
        return await self._load(instance_id)


# The opening of an execution


async def test_a_crash_right_behind_continue_as_new_does_not_strand_the_instance() -> None:
    first = world()
    async with first as w:
        await w.start(starts_over_once, "first")
        assert len(w.commits) == 1
    async with World(first.index, store=first.store, clock=first.clock, ids=first.ids) as w:
        assert w.called == [("a", 1)]
        await w.returns(0, "done")

        assert await w.output() == "done"


async def test_activities_of_an_opening_that_could_not_be_committed_run_once() -> None:
    async with world(max_concurrent_activities=1) as w:
        await w.start(chain, instance_id="busy")
        w.backend.fails_before += ["commit"] * 2
        await w.start(fan_out)
        await w.settle(1)
        for number in range(6):
            await w.returns(number, number)
            await w.settle(1)

        assert [name for name, _ in w.called] == ["a", "b", "b", "b", "b", "b"]


async def test_a_result_that_came_while_an_opening_was_given_up_is_taken() -> None:
    async with world(retry_delay_s=1) as w:
        await w.start(starts_over_once, "first")
        w.backend.fails_before += ["commit"]
        await w.settle(0.1)
        await w.returns(0, "done")
        await w.settle(10)

        assert w.called == [("a", 1)]
        assert await w.output() == "done"


async def test_a_termination_that_overtakes_continue_as_new_leaves_a_history_that_replays() -> None:
    async with world() as w:
        w.backend.gate = asyncio.Event()
        await w.start(starts_over_for_ever)
        await w.terminate()
        w.backend.gate.set()
        await w.settle(1)
        history = await w.history()
        started = next(event for event in history if isinstance(event, ExecutionStarted))
        _, reason = InProcessExecutor(AppCatalog(w.index)).replay(started, history)

        assert await w.status() == "Terminated"
        assert reason is None


# Messages that belong to nobody any more


async def test_an_event_to_an_instance_that_was_replaced_does_not_reach_the_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(session_cache_size=0) as w:
        await w.start(waits)
        await w.settle(1)
        load = SlowLoad(w, monkeypatch)
        await w.raise_event("go", "to the old one")
        await w.start(waits, replace=True)
        load.go_on.set()
        await w.settle(1)
        assert await w.status() == "Running"

        await w.raise_event("go", "to the new one")

        assert await w.output() == "to the new one"


@pytest.mark.parametrize("slots", [1, 100])
async def test_a_termination_of_an_instance_that_was_replaced_does_not_end_the_new_one(
    slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is but one slot, the worker is told too late that it was replaced."""
    async with world(session_cache_size=0, max_concurrent_orchestrators=slots) as w:
        await w.start(chain)
        await w.settle(1)
        load = SlowLoad(w, monkeypatch)
        await w.terminate()
        await w.start(chain, replace=True)
        load.go_on.set()
        await w.settle(1)

        assert await w.status() == "Running"
        assert w.called == [("a", 1), ("a", 1)]


async def test_the_start_of_an_instance_that_was_terminated_before_is_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as w:
        load = SlowLoad(w, monkeypatch)
        await w.start(chain, at=w.clock.now() + timedelta(seconds=1))
        await w.terminate()
        await w.settle(2)
        load.go_on.set()
        await w.settle(1)

        assert await w.status() == "Terminated"
        assert w.calls == []


async def test_what_comes_behind_an_end_whose_answer_was_lost_is_dropped() -> None:
    async with world(retry_delay_s=1) as w:
        await w.start(waits)
        await w.settle(1)
        w.backend.fails_after += ["commit"]
        w.backend.gate = asyncio.Event()
        await w.raise_event("go", 1)
        await w.raise_event("go", 2)
        w.backend.gate.set()
        async with asyncio.timeout(5):
            await w.settle(60)

        assert await w.output() == 1


# Instances that wait for their turn


async def test_an_instance_that_waits_for_its_turn_is_not_dropped_from_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(max_concurrent_orchestrators=1, session_cache_size=0) as w:
        await w.start(chain, instance_id="busy")
        await w.settle(1)
        await w.start(chain)
        await w.settle(1)
        w.backend.gate = gate = asyncio.Event()
        await w.returns(0)
        await w.backend.abandon("i")
        await w.settle()
        load = SlowLoad(w, monkeypatch)
        w.backend.gate = None
        gate.set()
        await w.settle()
        await w.returns(1)
        load.go_on.set()
        await w.settle(1)

        assert [name for name, _ in w.called] == ["a", "a", "b", "b"]


async def test_a_worker_stops_quietly_while_instances_wait_for_their_turn() -> None:
    async with world(max_concurrent_orchestrators=1) as w:
        await w.start(chain, instance_id="busy")
        await w.start(chain)
        await w.settle(1)
        w.backend.gate = asyncio.Event()
        await w.returns(0)
        await w.returns(1)
        w.running.cancel()
        await w.settle()

        assert w.running.cancelled()


async def test_an_instance_that_is_looked_at_again_is_loaded_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process may have gone on with it; what runs here is not begun a second time."""
    async with world() as w:
        loaded: list[str] = []
        load = w.backend.load

        async def noted(instance_id: str) -> Any:
            loaded.append(instance_id)
            return await load(instance_id)

        monkeypatch.setattr(w.backend, "load", noted)
        await w.start("chain")
        await w.settle(1)
        await w.backend.abandon("i")
        await w.settle()
        assert loaded == ["i", "i"]

        await w.returns(0, "x")
        await w.returns(1, "y")
        assert await w.output() == ["x", "y"]
        assert w.called == [("a", 1), ("b", 2)]
