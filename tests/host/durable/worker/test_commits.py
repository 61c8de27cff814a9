"""What is in which commit, and what starts before and after it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.history import (
    ExecutionStarted,
    SubOrchestrationInstanceCompleted,
    TimerFired,
)
from func_host.durable.worker.settings import WorkerSettings
from func_host.testing.clock import START
from tests.host.durable.worker.world import World, index_of, kinds

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext

pytestmark = pytest.mark.anyio

OPENING = ["<", "ExecutionStarted"]


def a(value: Any) -> Any: ...
def b(value: Any) -> Any: ...


async def chain(context: OrchestrationContext) -> list[Any]:
    return [await context.call_activity("a", 1), await context.call_activity("b", 2)]


async def fan_out(context: OrchestrationContext) -> list[Any]:
    return await context.task_all([context.call_activity("a", n) for n in range(3)])


async def waits(context: OrchestrationContext) -> Any:
    return await context.wait_for_external_event("go")


async def sleeps(context: OrchestrationContext) -> str:
    await context.create_timer(timedelta(days=2))
    return context.current_utc_datetime.isoformat()


async def cancels(context: OrchestrationContext) -> Any:
    timer = context.create_timer(timedelta(days=1))
    await context.wait_for_external_event("go")
    timer.cancel()
    return await context.wait_for_external_event("end")


async def gives_up_at_once(context: OrchestrationContext) -> Any:
    context.create_timer(timedelta(days=1)).cancel()
    await context.wait_for_external_event("go")


async def calls_child(context: OrchestrationContext) -> Any:
    return await context.call_sub_orchestrator(chain, None, "child")


async def again(context: OrchestrationContext) -> Any:
    number = context.get_input()
    context.set_custom_status(f"round {number}")
    if number == 3:
        return [number, await context.wait_for_external_event("kept")]
    await context.call_activity("a", number)
    context.create_timer(timedelta(days=1))
    context.continue_as_new(number + 1)
    return None


async def shows_status(context: OrchestrationContext) -> None:
    context.set_custom_status({"at": 1})
    await context.wait_for_external_event("go")
    context.set_custom_status(None)
    await context.wait_for_external_event("go")


ORCHESTRATORS = [
    chain,
    fan_out,
    waits,
    sleeps,
    cancels,
    gives_up_at_once,
    calls_child,
    again,
    shows_status,
]


def world(**settings: Any) -> World:
    return World(index_of(ORCHESTRATORS, [a, b]), WorkerSettings(**settings))


async def test_the_activities_of_the_opening_episode_start_before_any_commit() -> None:
    async with world() as w:
        await w.start(chain)

        assert w.called == [("a", 1)]
        assert w.commits == []


async def test_a_result_and_what_follows_from_it_are_one_commit() -> None:
    async with world() as w:
        await w.start(chain)
        await w.returns(0, "A")

        (first,) = w.commits
        assert kinds(first.events) == [
            *OPENING,
            "TaskScheduled 0",
            ">",
            "<",
            "TaskCompleted 0",
            "TaskScheduled 1",
            ">",
        ]
        assert first.started is not None
        assert len(first.consumed) == 1
        assert first.open_activities == 1

        await w.returns(1, "B")

        assert kinds(w.commits[1].events) == ["<", "TaskCompleted 1", "ExecutionCompleted 2", ">"]
        assert w.commits[1].open_activities == 0
        assert await w.output() == ["A", "B"]
        assert len(w.commits) == 2


async def test_what_follows_from_a_result_starts_only_when_the_result_is_durable() -> None:
    async with world() as w:
        await w.start(chain)
        w.backend.gate = asyncio.Event()
        await w.returns(0)
        await w.settle(60)
        assert w.called == [("a", 1)]

        w.backend.gate.set()
        await w.settle()

        assert w.called == [("a", 1), ("b", 2)]


async def test_what_follows_from_an_event_starts_only_when_the_event_is_consumed() -> None:
    async def orchestrator(context: OrchestrationContext) -> None:
        await context.wait_for_external_event("go")
        await context.call_activity("a", context.new_uuid())

    async with World(index_of([orchestrator], [a])) as w:
        await w.start(orchestrator)
        w.backend.gate = asyncio.Event()
        await w.raise_event("go")
        await w.settle(60)
        assert w.calls == []

        w.backend.gate.set()
        await w.settle()

        assert len(w.calls) == 1


async def test_an_event_behind_the_start_does_not_let_its_activity_start_early() -> None:
    async def orchestrator(context: OrchestrationContext) -> None:
        await context.call_activity("a", "opening")
        await context.wait_for_external_event("go")
        await context.call_activity("a", "later")

    async def both(context: OrchestrationContext) -> None:
        event = context.wait_for_external_event("go")
        context.call_activity("a", "opening")
        await event
        await context.call_activity("a", "later")

    async with World(index_of([orchestrator, both], [a])) as w:
        w.backend.gate = asyncio.Event()
        await w.start(both, settle=False)
        await w.raise_event("go")

        assert w.called == [("a", "opening")]

        w.backend.gate.set()
        await w.settle()
        assert w.called == [("a", "opening"), ("a", "later")]


async def test_a_result_that_lets_nothing_go_on_waits_for_the_others_a_moment() -> None:
    async with world(result_commit_delay_s=0.2) as w:
        await w.start(fan_out)
        await w.settle(0.1)
        await w.returns(0)
        await w.returns(2)
        assert w.commits == []

        await w.settle(0.1)  # the moment began with the start

        (first,) = w.commits
        assert kinds(first.events)[-4:] == ["<", "TaskCompleted 0", "TaskCompleted 2", ">"]
        assert first.open_activities == 1


async def test_no_result_waits_longer_than_the_setting() -> None:
    async with world(result_commit_delay_s=0.2) as w:
        await w.start(fan_out)
        await w.settle(5)
        assert len(w.commits) == 1  # the opening

        await w.returns(0)
        await w.settle(0.19)
        assert len(w.commits) == 1

        await w.settle(0.01)

        assert kinds(w.commits[1].events) == ["<", "TaskCompleted 0", ">"]


async def test_an_instance_that_only_waits_is_committed_after_a_moment() -> None:
    async with world(result_commit_delay_s=0.2) as w:
        await w.start(waits)
        assert await w.status() == "Pending"

        await w.settle(0.2)

        assert await w.status() == "Running"
        assert await w.kinds() == [*OPENING, ">"]


async def test_a_timer_is_committed_at_once_and_fires_at_its_time() -> None:
    async with world() as w:
        await w.start(sleeps)

        (first,) = w.commits
        (message,) = first.outbox
        due = START + timedelta(days=2)
        assert isinstance(message.event, TimerFired)
        assert (message.visible_at, message.event.fire_at) == (due, due)

        await w.settle(2 * 86400 - 1)
        assert await w.status() == "Running"
        await w.settle(1)

        assert await w.output() == due.isoformat()


async def test_a_cancelled_timer_is_taken_back_with_the_commit_that_gives_it_up() -> None:
    async with world() as w:
        await w.start(cancels)
        await w.raise_event("go")

        assert w.commits[1].cancelled_timers == (0,)
        await w.settle(2 * 86400)
        assert "TimerFired 0" not in await w.kinds()


async def test_a_timer_given_up_in_its_own_episode_is_never_sent() -> None:
    async with world() as w:
        await w.start(gives_up_at_once)
        await w.settle(1)

        (first,) = w.commits
        assert "TimerCreated 0" in kinds(first.events)
        assert first.outbox == ()


async def test_what_was_given_up_long_ago_costs_no_commit_after_a_reload() -> None:
    async with world(session_cache_size=0) as w:
        await w.start(cancels)
        await w.raise_event("go")
        before = len(w.commits)
        await w.raise_event("nobody waits for it")
        await w.settle(1)

        assert len(w.commits) == before + 1
        assert w.commits[-1].cancelled_timers == ()


async def test_a_child_is_started_by_the_commit_and_tells_its_parent_by_its_last() -> None:
    async with world() as w:
        await w.start(calls_child)

        (first,) = [each for each in w.commits if each.instance_id == "i"]
        (start,) = first.outbox
        assert isinstance(start.event, ExecutionStarted)
        assert start.event.parent_instance is not None
        assert start.event.parent_instance.task_schedule_id == 0

        await w.returns(0, "A")
        await w.returns(1, "B")

        last = [each for each in w.commits if each.instance_id == "child"][-1]
        (answer,) = last.outbox
        assert isinstance(answer.event, SubOrchestrationInstanceCompleted)
        assert answer.event.result == '["A","B"]'
        assert await w.output() == ["A", "B"]


async def test_continue_as_new_replaces_the_history_and_keeps_unread_events() -> None:
    async with world() as w:
        await w.start(again, 1)
        await w.raise_event("kept", "precious")
        await w.returns(0)
        await w.returns(1)
        await w.settle(1)

        assert await w.output() == [3, "precious"]
        assert await w.kinds() == [*OPENING, "EventRaised", "ExecutionCompleted 0", ">"]
        record = await w.record()
        assert record.input == "3"
        assert record.custom_status == '"round 3"'


async def test_continue_as_new_drops_the_timers_of_the_execution_before() -> None:
    async with world() as w:
        await w.start(again, 1)
        await w.returns(0)
        (restart,) = [each for each in w.commits if each.started and each.started.input == "2"]

        assert restart.outbox == ()
        await w.settle(86400)
        assert "TimerFired 1" not in await w.kinds()
        assert w.store.delayed == []


async def test_a_late_answer_to_the_execution_before_is_not_taken_for_one_to_the_next() -> None:
    async def orchestrator(context: OrchestrationContext) -> Any:
        slow = context.call_activity("a", context.get_input())
        if context.get_input() == 1:
            await context.wait_for_external_event("restart")
            context.continue_as_new(2)
            return None
        return await slow

    async with World(index_of([orchestrator], [a]), WorkerSettings(session_cache_size=0)) as w:
        await w.start(orchestrator, 1)
        await w.raise_event("restart")
        assert w.called == [("a", 1), ("a", 2)]

        await w.returns(0, "old")
        await w.settle(1)
        assert await w.status() == "Running"
        await w.returns(1, "new")

        assert await w.output() == "new"


async def test_a_custom_status_is_shown_and_taken_back() -> None:
    async with world() as w:
        await w.start(shows_status)
        await w.settle(1)
        assert (await w.record()).custom_status == '{"at":1}'

        await w.raise_event("go")
        await w.settle(1)

        assert (await w.record()).custom_status is None


async def test_continue_as_new_takes_the_custom_status_back() -> None:
    """Once the next execution has run; as the extension shows it."""

    async def starts_over(context: OrchestrationContext) -> Any:
        if context.get_input() is None:
            context.set_custom_status("first round")
            await context.call_activity("a")
            context.continue_as_new("second round")
            return None
        return await context.wait_for_external_event("go")

    async with World(index_of([starts_over], [a])) as w:
        await w.start(starts_over)
        await w.settle(1)
        assert (await w.record()).custom_status == '"first round"'

        await w.returns(0, "done")
        await w.settle(1)

        assert (await w.record()).custom_status is None


async def test_suspended_and_resumed_shows_in_the_status_with_the_reason() -> None:
    async with world() as w:
        await w.start(waits)
        await w.suspend()
        record = await w.record()
        assert (record.runtime_status.value, record.output) == ("Suspended", "hold")

        await w.raise_event("go", 5)
        assert await w.status() == "Suspended"
        await w.suspend()
        await w.resume()

        assert await w.output() == 5
