"""Histories that Microsoft's provider recorded replay in our engine: same steps, ids and end."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.actions import ScheduleTask
from func_host.durable.engine.commit import record_of
from func_host.durable.engine.entities.messages import read_stamp
from func_host.durable.engine.options import RunOptions
from func_host.durable.engine.replay import OrchestratorRun
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.executor import replay_safe
from func_host.durable.history import (
    EventSent,
    ExecutionCompleted,
    GenericEvent,
    OrchestratorCompleted,
)
from tests.golden.histories.orchestrators import ORCHESTRATORS
from tests.golden.histories.rows import histories, read_scenario, read_takeover, rows_of
from tests.host.durable.engine.driving import Catalog

if TYPE_CHECKING:
    from func_host.durable.history import HistoryEvent

SCENARIOS = [
    "activity-fails",
    "activity-fails-caught",
    "chain",
    "continue-as-new",
    "continue-as-new-activity",
    "continue-as-new-plain",
    "custom-status",
    "event",
    "event-timeout",
    "fan-out",
    "fire-and-forget",
    "input",
    "no-activity",
    "orchestrator-throws",
    "retry",
    "retry-exhausted",
    "scheduled-start",
    "start-again",
    "sub-orchestration",
    "sub-orchestration-fails",
    "sub-orchestration-retry",
    "sub-orchestration-terminated",
    "suspend-resume",
    "terminate",
    "terminate-pending",
    "timer",
    "timer-cancelled",
    "timer-long",
]
TAKEOVERS = [
    "chain-activity-running",
    "fan-out-half-done",
    "sub-orchestration-running",
    "suspended",
    "timer-60s",
    "waiting-for-event",
]


ENTITIES = ["entity-call", "entity-lock", "entity-scheduled", "entity-throws"]
REWOUND = ["rewind", "rewind-sub-orchestration"]


def run_of(history: list[HistoryEvent], *, records_open_activities: bool = True) -> OrchestratorRun:
    started = OrchestrationState(history).started
    assert started is not None
    options = RunOptions(
        catalog=Catalog(),
        replay_safe=replay_safe,
        timer_leg_max=timedelta(days=3),
        records_open_activities=records_open_activities,
    )
    return OrchestratorRun(started.name, ORCHESTRATORS[started.name], options)


def recorded_instances(names: list[str]) -> list[Any]:
    return [
        pytest.param(name, instance_id, history, id=f"{name}-{position}")
        for name in names
        for position, (instance_id, history) in enumerate(
            histories(read_scenario(name)["final_history"]).items()
        )
    ]


@pytest.mark.parametrize(("scenario", "instance_id", "history"), recorded_instances(SCENARIOS))
def test_a_recorded_history_replays_without_a_new_step(
    scenario: str, instance_id: str, history: list[HistoryEvent]
) -> None:
    run = run_of(history)
    run.replay(history)

    assert run.take_actions() == []
    run.close()


@pytest.mark.parametrize(("scenario", "instance_id", "history"), recorded_instances(SCENARIOS))
def test_each_recorded_episode_asks_for_what_it_asked_for_then(
    scenario: str, instance_id: str, history: list[HistoryEvent]
) -> None:
    """Fed the messages alone, the code asks for the recorded steps with numbers and times."""
    run = run_of(history)
    asked: list[Any] = []
    for event in history:
        if event.event_id == -1:
            run.feed(event)
        if isinstance(event, OrchestratorCompleted):
            asked += [
                record_of(action, event.timestamp, store_inputs=False)  # type: ignore[arg-type]  # no continue-as-new: it would have replaced the history
                for action in run.take_actions()
            ]

    expected = [event for event in history if event.event_id != -1]
    assert [_step(each) for each in asked] == [_step(each) for each in expected]
    run.close()


@pytest.mark.parametrize("name", ENTITIES)
def test_an_orchestration_that_calls_entities_replays_without_a_new_step(name: str) -> None:
    history = orchestration_of(name)
    run = run_of(history)
    run.replay(history)

    assert run.take_actions() == []
    run.close()


@pytest.mark.parametrize("name", ENTITIES)
def test_each_recorded_episode_sends_to_entities_what_it_sent_then(name: str) -> None:
    """Ids are each host's own, and times in ours are whole microseconds."""
    history = orchestration_of(name)
    begun = 0
    for closed, event in enumerate(history, 1):
        if not isinstance(event, OrchestratorCompleted):
            continue
        episode = history[begun:closed]
        run = run_of(history)
        run.replay([*history[:begun], *(each for each in episode[:-1] if each.event_id == -1)])
        asked = [
            record_of(action, event.timestamp, store_inputs=False)  # type: ignore[arg-type]  # none of them continues as new
            for action in run.take_actions()
        ]
        begun = closed

        recorded = [each for each in episode if each.event_id != -1]
        assert [_sent(each) for each in asked] == [_sent(each) for each in recorded]
        run.close()


def orchestration_of(name: str) -> list[HistoryEvent]:
    return histories(read_scenario(name)["final_history"])[f"golden-{name}"]


def _sent(event: Any) -> list[Any]:
    if not isinstance(event, EventSent):
        return _step(event)
    fields: dict[str, Any] = json.loads(event.input or "")
    assert fields.pop("id")
    for name in ("Timestamp", "Predecessor", "due"):
        if name in fields:
            fields[name] = read_stamp(fields[name]) // 10
    return [event.event_id, event.name.partition("@")[0], event.instance_id, *fields.items()]


@pytest.mark.parametrize(("scenario", "instance_id", "history"), recorded_instances(REWOUND))
def test_a_history_that_was_rewound_replays_where_activities_may_be_missing(
    scenario: str, instance_id: str, history: list[HistoryEvent]
) -> None:
    run = run_of(history, records_open_activities=False)
    run.replay(history)

    assert run.take_actions() == []
    run.close()


def test_the_wake_up_after_a_rewind_asks_for_the_failed_step_again() -> None:
    history = histories(read_scenario("rewind")["final_history"])["golden-rewind"]
    wake_up = max(n for n, event in enumerate(history) if isinstance(event, GenericEvent))
    run = run_of(history, records_open_activities=False)
    run.replay(history[: wake_up + 1])

    assert run.take_actions() == [ScheduleTask(1, "NeedsFix", "null")]
    run.close()


def _step(event: Any) -> list[Any]:
    """Give what must be the same; the texts of .NET's exceptions are its own."""
    fields = [
        type(event).__name__,
        event.event_id,
        getattr(event, "name", None),
        getattr(event, "instance_id", None),
        getattr(event, "fire_at", None),
    ]
    if isinstance(event, ExecutionCompleted):
        status = event.orchestration_status.value
        fields.append(status)
        if status == "Completed" and "caught" not in (event.result or "null"):
            fields.append(json.loads(event.result or "null"))
        elif status == "Terminated":
            fields.append(event.result)
    return fields


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_state_of_a_recorded_history_is_that_of_its_status_row(scenario: str) -> None:
    recorded = read_scenario(scenario)
    rows = {row["PartitionKey"]: row for row in recorded["final_instances"]}
    for instance_id, history in histories(recorded["final_history"]).items():
        state = OrchestrationState(history)
        row = rows[instance_id]

        assert state.status.value == row["RuntimeStatus"]
        assert state.output == row.get("Output")
        assert state.started is not None
        assert state.started.orchestration_instance.execution_id == row["ExecutionId"]


@pytest.mark.parametrize("name", TAKEOVERS)
def test_a_hub_left_in_the_middle_is_read_with_its_open_tasks(name: str) -> None:
    hub = read_takeover(name)
    statuses = {row["PartitionKey"]: row for row in rows_of(hub, "Instances")}
    held = [
        json.loads(message["text"])["TaskMessage"]
        for queue in hub["queues"]
        if queue["name"].endswith("workitems")
        for message in queue["messages"]
    ]
    for instance_id, history in histories(rows_of(hub, "History")).items():
        run = run_of(history)
        run.replay(history)
        state = OrchestrationState(history)
        row = statuses[instance_id]

        assert run.take_actions() == []
        assert state.status.value == row["RuntimeStatus"]
        mine = [m for m in held if m["OrchestrationInstance"]["InstanceId"] == instance_id]
        open_activities = {each.id: each for each in run.open_activities()}
        assert set(open_activities) == set(state.open_tasks)
        assert set(open_activities) == {message["Event"]["EventId"] for message in mine}
        for message in mine:
            action = open_activities[message["Event"]["EventId"]]
            # Theirs is an array of one argument.
            assert json.loads(message["Event"]["Input"]) == [json.loads(action.input or "")]
        assert (run.custom_status or "null") == row.get("CustomStatus", "null")
        run.close()
