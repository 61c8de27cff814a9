"""What a worker hands over to other hosts: excess activities, whole instances, all that is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.actions import ScheduleTask
from func_host.durable.backend import Release, SharedActivity
from func_host.durable.backends.memory import MemoryStore
from func_host.durable.history import OrchestrationInstance
from func_host.durable.worker.settings import WorkerSettings
from tests.host.durable.worker.sharing_world import SharingWorld
from tests.host.durable.worker.world import index_of

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext

pytestmark = pytest.mark.anyio


def a(value: Any) -> Any: ...


async def fan_out(context: OrchestrationContext) -> list[Any]:
    return await context.task_all(
        [context.call_activity("a", number) for number in range(context.get_input())]
    )


async def after_event(context: OrchestrationContext) -> Any:
    await context.wait_for_external_event("go")
    return await context.call_activity("a", "late")


def world(slots: int = 2) -> SharingWorld:
    settings = WorkerSettings(max_concurrent_activities=slots, result_commit_delay_s=0.01)
    return SharingWorld(index_of([fan_out, after_event], [a]), settings)


def neighbour_of(w: SharingWorld) -> SharingWorld:
    return SharingWorld(
        w.index, w.settings, store=MemoryStore(), clock=w.clock, ids=w.ids, pool=w.pool
    )


def held(number: int, instance: OrchestrationInstance) -> SharedActivity:
    return SharedActivity(instance, ScheduleTask(number, "a", str(number)), f"ticket {number}")


async def test_what_waits_behind_one_for_each_slot_is_shared_with_others() -> None:
    async with world() as w:
        await w.start(fan_out, 7)

        assert w.hub.shared == [("i", [4, 5, 6], [])]
        assert [value for _, value in w.called] == [0, 1]


async def test_nothing_is_shared_where_there_are_no_others() -> None:
    async with world() as w:
        w.hub.peers = False
        await w.start(fan_out, 7)

        assert w.hub.shared == []


async def test_two_hosts_do_the_work_of_one() -> None:
    first = world()
    async with first as w, neighbour_of(first) as other:
        w.worker._activity_receiver.cancel()  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess] -- only the other takes what is shared
        await w.start(fan_out, 6)
        await other.settle()
        assert [value for _, value in other.called] == [4, 5]

        for call in (0, 1, 2, 3):
            await w.returns(call, f"here {call}")
        for call in (0, 1):
            await other.returns(call, f"there {call}")
        await w.settle(1)

        assert other.hub.completed == [4, 5]
        assert await w.output() == ["here 0", "here 1", "here 2", "here 3", "there 0", "there 1"]


async def test_a_host_takes_back_what_nobody_else_has_taken() -> None:
    async with world() as w:
        await w.start(fan_out, 5)
        for call in range(5):
            await w.returns(call, call)
            await w.settle(1)

        assert w.hub.completed == [4]
        assert await w.output() == [0, 1, 2, 3, 4]


async def test_a_host_without_a_free_slot_asks_for_no_activity() -> None:
    async with world(slots=1) as w:
        instance = OrchestrationInstance("elsewhere", "x")
        await w.offer(held(0, instance))
        await w.offer(held(1, instance))

        assert len(w.calls) == 1
        # One that was asked for while the slot was free waits; no further one is taken.
        await w.offer(held(2, instance))
        assert w.pool.waiting.qsize() >= 1


async def test_an_activity_that_is_shown_to_others_goes_on_here() -> None:
    async with world() as w:
        await w.start(fan_out, 2)
        w.hub.ask_release("i", Release.ACTIVITIES)
        await w.settle()
        assert w.hub.shared == [("i", [], [0, 1])]
        assert len(w.calls) == 2

        for call in (0, 1):
            await w.returns(call, call)
        await w.settle(1)

        assert w.hub.completed == [0, 1]
        assert await w.output() == [0, 1]


async def test_a_result_that_arrives_while_its_activity_is_being_shared_goes_the_shared_way() -> (
    None
):
    async with world() as w:
        await w.start(fan_out, 2)
        w.hub.share_gate = asyncio.Event()
        w.hub.ask_release("i", Release.ACTIVITIES)
        await w.settle()
        await w.returns(0, "while sharing")
        w.hub.share_gate.set()
        await w.settle()
        assert w.hub.completed == [0]
        await w.returns(1, "after")
        await w.settle(1)

        assert await w.output() == ["while sharing", "after"]


async def test_an_instance_that_is_released_leaves_nothing_in_memory() -> None:
    async with world(slots=1) as w:
        await w.start(fan_out, 2)
        w.hub.ask_release("i", Release.INSTANCE)
        await w.settle()

        assert w.hub.shared == [("i", [1], [0])]
        assert w.hub.released == ["i"]
        assert not w.worker._sessions


async def test_the_release_of_an_instance_is_not_lost_behind_that_of_its_activities() -> None:
    async with world() as w:
        await w.start(after_event)
        w.backend.gate = asyncio.Event()
        await w.raise_event("go")
        w.hub.ask_release("i", Release.ACTIVITIES)
        await w.settle()
        w.hub.ask_release("i", Release.INSTANCE)
        await w.settle()
        w.backend.gate.set()
        await w.settle(1)

        assert w.hub.released == ["i"]


async def test_a_result_that_came_with_the_last_commit_before_a_handover_is_committed() -> None:
    async with world() as w:
        await w.start(fan_out, 2)
        await w.returns(0, "first")  # it waits for others a moment
        w.backend.gate = asyncio.Event()
        w.hub.ask_release("i", Release.INSTANCE)
        await w.settle()
        await w.returns(1, "second")
        w.backend.gate.set()
        await w.settle(1)

        assert w.hub.released == ["i"]
        assert "TaskCompleted 1" in await w.kinds()


async def test_activities_that_could_not_be_shared_run_here() -> None:
    async with world() as w:
        w.hub.fails_before = ["share"]
        await w.start(fan_out, 5)
        await w.settle(60)
        for call in range(5):
            await w.returns(call, call)
            await w.settle(1)

        assert await w.output() == [0, 1, 2, 3, 4]


async def test_an_activity_that_may_not_start_is_asked_for_again() -> None:
    """The host did not surely own its instance just then, and owns it again."""
    async with world(slots=1) as w:
        await w.start(fan_out, 1, "busy")
        await w.start(fan_out, 1, "waits")
        w.hub.disowned.add("waits")
        await w.returns(0, "done")
        w.hub.disowned.clear()
        await w.settle(60)

        assert set(w.hub.abandoned) == {"waits"}
        assert len(w.calls) == 2
        await w.returns(1, "done too")
        await w.settle(1)
        assert (await w.record("waits")).runtime_status.value == "Completed"


async def test_a_result_that_cannot_be_sent_is_sent_again() -> None:
    async with world() as w:
        await w.start(fan_out, 1)
        w.hub.ask_release("i", Release.ACTIVITIES)
        await w.settle()
        w.hub.fails_before = ["complete"]
        await w.returns(0, "once")
        await w.settle(60)

        assert w.hub.completed == [0]
        assert await w.output() == ["once"]


async def test_a_worker_that_ends_lets_others_run_what_waits_and_what_runs() -> None:
    async with world(slots=1) as w:
        w.hub.peers = False
        await w.start(fan_out, 3)
        draining = asyncio.ensure_future(w.worker.drain())
        await w.settle()
        assert not draining.done()
        draining.cancel()
        await w.worker.release()

        assert w.hub.shared == [("i", [1, 2, 0], [])]


async def test_a_worker_that_ends_keeps_what_it_runs_for_others() -> None:
    async with world(slots=1) as w:
        await w.offer(held(0, OrchestrationInstance("elsewhere", "x")))
        draining = asyncio.ensure_future(w.worker.drain())
        await w.settle()
        draining.cancel()
        await w.worker.release()

        assert w.hub.shared == []  # the store gives those back that it has taken
