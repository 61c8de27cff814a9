"""The recorded scenarios, run live by our worker, leave the histories that Microsoft's host left.

Not compared are times, ids of executions and the texts of .NET's exceptions. Ours never lets a
timer fire early; theirs does, by up to a second. How results of parallel activities are grouped
into episodes is chance, and a continued execution has one `OrchestratorCompleted` less.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings.metadata import ActivityTrigger, OrchestrationTrigger, SourceLocation
from func_host.durable.actions import CreateTimer
from func_host.durable.backend import Commit, Fence, StatusChange
from func_host.durable.backends.memory import MemoryBackend
from func_host.durable.engine.commit import timer_message
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.history import (
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
)
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from func_host.testing.clock import SimulatedClock
from tests.golden.histories.orchestrators import ACTIVITIES, ORCHESTRATORS, attempts
from tests.golden.histories.rows import histories, read_scenario, read_takeover, rows_of
from tests.host.durable.worker.world import HandInvoker, World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from func_host.durable.backend import Backend
    from func_host.durable.history import HistoryEvent
    from func_host.invocation.invoker import Invocation

    Client = Callable[[World, str], Awaitable[None]]

pytestmark = pytest.mark.anyio


class CallingInvoker(HandInvoker):
    """Calls each activity at once."""

    def start(self, function: IndexedFunction, values: Mapping[str, object]) -> Invocation:
        invocation = super().start(function, values)
        call = self.calls[-1]
        try:
            call.returns(function.call(values))
        except ValueError as error:
            call.raises(error)
        return invocation


def index() -> FunctionIndex:
    common: dict[str, Any] = {
        "client_inputs": (),
        "location": SourceLocation(__file__, 1),
        "app": "app",
        "app_dir": Path(),
        "is_async": False,
    }
    orchestrators = [
        IndexedFunction(
            name=name,
            function=each,
            trigger=OrchestrationTrigger(parameter="context"),
            **common,
        )
        for name, each in ORCHESTRATORS.items()
    ]
    activities = [
        IndexedFunction(
            name=f"{name}Activity",
            function=each,
            trigger=ActivityTrigger(parameter="value", activity=name),
            **common,
        )
        for name, each in ACTIVITIES.items()
    ]
    return FunctionIndex([*orchestrators, *activities])


def world(invoker: HandInvoker) -> World:
    return World(index(), executor_options={"timer_leg_max": timedelta(days=3)}, invoker=invoker)


async def waits(w: World, instance_id: str) -> None:
    await w.settle(20)


async def events(w: World, instance_id: str) -> None:
    await w.raise_event("A", "early", instance_id)
    await w.settle(5)
    await w.raise_event("B", {"x": 1, "y": ["a", None]}, instance_id)


async def approves(w: World, instance_id: str) -> None:
    await w.raise_event("Approve", "Ann", instance_id)


async def ends_test(w: World, instance_id: str) -> None:
    await w.terminate("end of test", instance_id)


async def terminates(w: World, instance_id: str) -> None:
    await w.settle(1)
    await w.terminate('no longer "needed"', instance_id)


async def terminates_child(w: World, instance_id: str) -> None:
    await w.settle(1)
    await w.terminate("child no longer needed", f"{instance_id}-child")


async def suspends(w: World, instance_id: str) -> None:
    await w.settle(1)
    await w.suspend(instance_id, "pause")
    await w.raise_event("Go", "while suspended", instance_id)
    await w.settle(3)
    await w.resume(instance_id, "go on")


async def goes_on(w: World, instance_id: str) -> None:
    for number in (1, 2, 3):
        await w.settle(1)
        await w.raise_event("Go", f"e{number}", instance_id)


@dataclass(frozen=True)
class Scenario:
    name: str
    orchestrator: str
    client: Client = waits
    input: Any = None
    has_episodes: bool = True


SCENARIOS = [
    Scenario("activity-fails", "Fails"),
    Scenario("activity-fails-caught", "Caught"),
    Scenario("chain", "Chain"),
    Scenario("continue-as-new", "Rounds", goes_on, 1, has_episodes=False),
    Scenario("continue-as-new-activity", "RoundsActivity", waits, 1, has_episodes=False),
    Scenario("continue-as-new-plain", "RoundsPlain", waits, 1, has_episodes=False),
    Scenario("custom-status", "Status"),
    Scenario("event", "EventBefore", events),
    Scenario("event-timeout", "EventTimeout"),
    Scenario("fan-out", "FanOut", has_episodes=False),
    Scenario("fire-and-forget", "FireAndForget"),
    Scenario("input", "EchoActivity", waits, 'héllo "wörld" <&> 日本 😀 \t\n'),
    Scenario("no-activity", "Nothing"),
    Scenario("orchestrator-throws", "Throws"),
    Scenario("retry", "Retry"),
    Scenario("retry-exhausted", "RetryExhausted"),
    Scenario("sub-orchestration", "Parent"),
    Scenario("sub-orchestration-fails", "ParentOfFailing"),
    Scenario("sub-orchestration-retry", "ParentRetries"),
    Scenario("sub-orchestration-terminated", "ParentCatches", terminates_child),
    Scenario("suspend-resume", "WaitOne", suspends),
    Scenario("terminate", "WaitOne", terminates),
    Scenario("timer", "TimerOnly"),
    Scenario("timer-cancelled", "TimerOrEvent", approves),
    Scenario("timer-long", "LongTimer", ends_test),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
async def test_a_live_run_leaves_the_recorded_history(scenario: Scenario) -> None:
    attempts.clear()
    recorded = read_scenario(scenario.name)
    instance_id = recorded["instance_id"]
    async with world(CallingInvoker()) as w:
        await w.start(scenario.orchestrator, scenario.input, instance_id)
        await scenario.client(w, instance_id)
        await w.settle(1)
        ours = await lives(w, instance_id)
        theirs = histories(recorded["final_history"])
        for row in recorded["final_instances"]:
            if row["PartitionKey"] == instance_id:
                assert await w.status(instance_id) == row["RuntimeStatus"]
                assert (await w.record(instance_id)).custom_status in (
                    row["CustomStatus"],
                    None if row["CustomStatus"] == "null" else row["CustomStatus"],
                )

    expected = comparable(theirs, has_episodes=scenario.has_episodes)
    assert comparable(ours, has_episodes=scenario.has_episodes) == expected


async def lives(w: World, instance_id: str) -> dict[str, Sequence[HistoryEvent]]:
    found: dict[str, Sequence[HistoryEvent]] = {}
    for each in sorted(w.store.instances):
        found[each] = await w.history(each)
    assert instance_id in found
    return found


def comparable(
    instances: Mapping[str, Sequence[HistoryEvent]], *, has_episodes: bool
) -> dict[str, list[Any]]:
    """Give histories by instance without what may differ; default ids of children by their step."""
    executions = {
        event.orchestration_instance.execution_id: name
        for name, history in instances.items()
        for event in history
        if isinstance(event, ExecutionStarted)
    }

    def named(instance_id: str) -> str:
        execution_id, _, step = instance_id.partition(":")
        return f"child {step} of {executions[execution_id]}" if step else instance_id

    found: dict[str, list[Any]] = {}
    for name, history in instances.items():
        now = history[0].timestamp
        lines: list[Any] = []
        for event in history:
            if isinstance(event, OrchestratorStarted):
                now = event.timestamp
            if has_episodes or not isinstance(event, OrchestratorStarted | OrchestratorCompleted):
                lines.append(line(event, now, named))
        found[named(name)] = lines if has_episodes else in_order(lines)
    return dict(sorted(found.items()))


def in_order(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort the results of parallel activities by their step."""
    ordered: list[dict[str, Any]] = []
    for is_result, group in groupby(lines, key=lambda each: each["type"] == "TaskCompleted"):
        some = list(group)
        if is_result:
            some.sort(key=lambda each: each["task_scheduled_id"])
        ordered += some
    return ordered


def line(event: Any, now: Any, named: Callable[[str], str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": type(event).__name__, "id": event.event_id}
    for name in ("name", "version", "task_scheduled_id", "timer_id"):
        if hasattr(event, name):
            shown[name] = getattr(event, name)
    if hasattr(event, "instance_id"):
        shown["instance_id"] = named(event.instance_id)
    if hasattr(event, "input"):
        is_json = shown["type"] != "ExecutionTerminated"
        shown["input"] = json.loads(event.input or "null") if is_json else event.input
    if shown["type"] == "TimerCreated":
        shown["delay"] = round((event.fire_at - now).total_seconds(), 3)
    if hasattr(event, "orchestration_status"):
        shown["status"] = event.orchestration_status.value
    if hasattr(event, "reason") and shown["type"].startswith("Execution"):
        shown["reason"] = event.reason
    result = getattr(event, "result", None)
    if shown.get("status") == "Terminated":
        shown["result"] = result
    elif shown.get("status") != "Failed" and "caught" not in (result or ""):
        shown["result"] = json.loads(result or "null")
    return shown


TAKEOVERS = {
    "chain-activity-running": ["b:8000", "c:10"],
    "fan-out-half-done": [f"f{n}:8000" for n in range(10, 20)],
    "pending-start": ["a:10", "b:10"],
    "sub-orchestration-running": ["b:8000", "c:10", "after"],
    "suspended": ["second x2"],
    "timer-60s": ["second timer"],
    "waiting-for-event": ["second x1"],
}


@pytest.mark.parametrize(("name", "called"), TAKEOVERS.items())
async def test_a_hub_left_in_the_middle_goes_on_to_the_recorded_end(
    name: str, called: list[str]
) -> None:
    """Activities whose result is recorded do not run again; those that ran do."""
    hub = read_takeover(name)
    first = world(CallingInvoker())
    first.clock = SimulatedClock(datetime.fromisoformat(hub["killed_at"]))
    await take_over(first, hub)
    async with first as w:
        await w.settle(1)
        for request in hub["then_do"]:
            match request.split():
                case ["raise", instance_id, event, data]:
                    await w.raise_event(event, data, instance_id)
                case ["resume", instance_id]:
                    await w.resume(instance_id)
                case other:
                    raise AssertionError(other)
        await w.settle(120)
        instance_id = hub["start"]["instance_id"]

        assert await w.output(instance_id) == hub["expected"]["output"]
        assert [value for _, value in w.called] == called
        theirs = histories(rows_of(hub, "History"))
        for each, begun in theirs.items():
            assert (await w.history(each))[: len(begun)] == tuple(begun)


async def take_over(w: World, hub: Mapping[str, Any]) -> None:
    """Put what the rows say into the store, as a backend that opens the hub would."""
    theirs = histories(rows_of(hub, "History"))
    async with MemoryBackend(w.store, w.clock) as backend:
        for row in rows_of(hub, "Instances"):
            history = theirs.get(row["PartitionKey"], [])
            state = OrchestrationState(history)
            start = state.started or ExecutionStarted(
                timestamp=w.clock.now(),
                orchestration_instance=OrchestrationInstance(
                    row["PartitionKey"], row["ExecutionId"]
                ),
                name=row["Name"],
                input=row["Input"],
            )
            await backend.create_instance(start)
            if history:
                await backend.commit(await imported(backend, start, state, history, row))


async def imported(
    backend: Backend,
    start: ExecutionStarted,
    state: OrchestrationState,
    history: Sequence[HistoryEvent],
    row: Mapping[str, Any],
) -> Commit:
    item = await backend.next_work_item()
    shown = row.get("CustomStatus", "null")
    return Commit(
        instance_id=item.instance_id,
        fence=Fence(row["ExecutionId"], 0),
        started=start,
        events=tuple(history),
        status=StatusChange(
            runtime_status=state.status,
            last_updated_time=history[-1].timestamp,
            custom_status=None if shown == "null" else shown,
            output=state.output,
        ),
        outbox=tuple(
            timer_message(CreateTimer(timer_id, fire_at), start.orchestration_instance)
            for timer_id, fire_at in state.open_timers.items()
        ),
        consumed=tuple(message.id for message in item.messages),
        open_activities=len(state.open_tasks),
    )
