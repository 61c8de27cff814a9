"""Hubs that a killed worker of the provider left behind: they are loaded in the state they say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_host.durable import history
from func_host.durable.backends.azure_storage.instance_rows import InstanceRow, read_instance_row
from func_host.durable.backends.azure_storage.keys import unescape_key
from func_host.durable.backends.azure_storage.messages import Envelope, decode_envelope
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.stored_history import StoredHistory, read_history
from func_host.durable.backends.azure_storage.table_rows import Row, read_row
from func_host.durable.engine.state import OrchestrationState
from tests.host.durable.backends.azure_storage.golden import takeover, takeover_names


@dataclass(frozen=True, slots=True)
class Hub:
    """What a hub holds, as we read it."""

    statuses: dict[str, InstanceRow]
    histories: dict[str, StoredHistory]
    messages: list[Envelope]

    def state(self, instance_id: str) -> OrchestrationState:
        return OrchestrationState(self.histories[instance_id].events)


def load(name: str) -> Hub:
    hub: dict[str, Any] = takeover(name)
    names = TaskHubNames(hub["hub"])
    tables = {table["name"]: [read_row(row) for row in table["rows"]] for table in hub["tables"]}
    by_instance: dict[str, list[Row]] = {}
    for row in tables[names.history_table]:
        by_instance.setdefault(unescape_key(str(row["PartitionKey"])), []).append(row)
    statuses = [
        read_instance_row(row, container=names.large_messages_container)
        for row in tables[names.instances_table]
    ]
    messages = [
        decode_envelope(message["text"]) for queue in hub["queues"] for message in queue["messages"]
    ]
    return Hub(
        statuses={status.record.instance_id: status for status in statuses},
        histories={instance: read_history(rows) for instance, rows in by_instance.items()},
        messages=[message for message in messages if isinstance(message, Envelope)],
    )


@pytest.mark.parametrize("name", takeover_names())
def test_the_status_row_says_what_the_history_says(name: str) -> None:
    hub = load(name)

    assert takeover(name)["start"]["instance_id"] in hub.statuses
    for instance_id, status in hub.statuses.items():
        stored = hub.histories.get(instance_id)
        if stored is None:
            assert status.record.runtime_status is Status.Pending
            continue
        assert stored.sentinel is not None
        assert stored.sentinel.execution_id == status.record.execution_id
        assert hub.state(instance_id).status is status.record.runtime_status
        assert stored.next_ordinal == len(stored.events)


@pytest.mark.parametrize("name", takeover_names())
def test_every_task_that_history_waits_for_has_its_message(name: str) -> None:
    hub = load(name)

    for instance_id, stored in hub.histories.items():
        state = OrchestrationState(stored.events)
        tasks = {
            message.event.event_id
            for message in hub.messages
            if isinstance(message.event, history.TaskScheduled)
            and message.target.instance_id == instance_id
        }
        timers = {
            message.event.timer_id
            for message in hub.messages
            if isinstance(message.event, history.TimerFired)
            and message.target.instance_id == instance_id
        }
        assert tasks == set(state.open_tasks)
        assert timers == set(state.open_timers)


def test_a_start_that_nobody_picked_up_waits_in_its_queue() -> None:
    hub = load("pending-start")

    (start,) = [message.event for message in hub.messages]
    assert isinstance(start, history.ExecutionStarted)
    record = hub.statuses[start.orchestration_instance.instance_id].record
    assert record.runtime_status is Status.Pending
    assert record.execution_id == start.orchestration_instance.execution_id
    assert record.input == start.input == json.dumps(takeover("pending-start")["start"]["input"])
    assert hub.histories == {}


def test_the_running_activity_of_a_chain_is_the_second() -> None:
    hub = load("chain-activity-running")

    (request,) = hub.messages
    assert isinstance(request.event, history.TaskScheduled)
    assert request.event.input == '"b:8000"'
    assert request.episode == 2
    assert list(hub.state("tk-chain").open_tasks) == [1]
    assert results(hub, "tk-chain") == ['"a"']


def test_ten_of_twenty_activities_of_a_fan_out_are_done() -> None:
    hub = load("fan-out-half-done")
    (instance_id,) = hub.histories

    assert sorted(map(str, results(hub, instance_id))) == [
        f'"f{number:02d}"' for number in range(10)
    ]
    inputs = [
        message.event.input
        for message in hub.messages
        if isinstance(message.event, history.TaskScheduled) and message.event.input is not None
    ]
    assert sorted(text[1:4] for text in inputs) == [f"f{number}" for number in range(10, 20)]
    assert len(hub.state(instance_id).open_tasks) == 10


def results(hub: Hub, instance_id: str) -> list[str | None]:
    return [
        event.result
        for event in hub.histories[instance_id].events
        if isinstance(event, history.TaskCompleted)
    ]


def test_a_parent_waits_for_its_child_and_the_child_for_its_activity() -> None:
    hub = load("sub-orchestration-running")
    parent_id = takeover("sub-orchestration-running")["start"]["instance_id"]
    (child_id,) = set(hub.histories) - {parent_id}

    (created,) = hub.state(parent_id).open_children.values()
    start = hub.state(child_id).started

    assert created.instance_id == child_id
    assert start is not None
    assert start.parent_instance is not None
    assert start.parent_instance.orchestration_instance.instance_id == parent_id
    assert start.parent_instance.task_schedule_id == created.event_id
    assert [message.target.instance_id for message in hub.messages] == [child_id]


def test_a_timer_waits_in_the_queue_with_the_time_of_its_history() -> None:
    hub = load("timer-60s")

    (fired,) = [message.event for message in hub.messages]
    (instance_id,) = hub.histories
    assert isinstance(fired, history.TimerFired)
    assert hub.state(instance_id).open_timers == {fired.timer_id: fired.fire_at}


def test_who_waits_for_an_event_has_no_message() -> None:
    hub = load("waiting-for-event")

    (instance_id,) = hub.histories
    state = hub.state(instance_id)
    assert hub.messages == []
    assert not state.open_tasks
    assert not state.open_timers
    assert state.status is Status.Running


def test_a_suspended_instance_has_received_its_event() -> None:
    hub = load("suspended")

    (instance_id,) = hub.histories
    events = hub.histories[instance_id].events
    assert hub.state(instance_id).status is Status.Suspended
    assert hub.statuses[instance_id].record.output == "paused"
    assert [event.name for event in events if isinstance(event, history.EventRaised)] == ["go"]
