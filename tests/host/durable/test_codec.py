"""History events come back from JSON as they were, in DTFx's words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable import codec, history
from func_host.durable.history import OrchestrationInstance

NOW = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
FAILURE = history.Failure(
    error_type="shop.OutOfStock",
    error_message="none left: 'ż' 🚀",
    stack_trace='File "a.py"\n  raise',
    inner_failure=history.Failure(error_type="KeyError", error_message="x"),
    is_non_retriable=True,
)
ONE = OrchestrationInstance("one", "first")
PARENT = history.ParentInstance(name="p", orchestration_instance=ONE, task_schedule_id=3)
MESSAGES: list[history.MessageEvent] = [
    history.ExecutionStarted(
        timestamp=NOW,
        orchestration_instance=ONE,
        name="f",
        version="2",
        input='{"a": [1, "ż"]}',
        parent_instance=PARENT,
        tags={"a": "b"},
        scheduled_start_time=NOW,
        generation=2,
    ),
    history.ExecutionTerminated(timestamp=NOW, input="enough"),
    history.ExecutionSuspended(timestamp=NOW, reason="why"),
    history.ExecutionResumed(timestamp=NOW),
    history.TaskCompleted(timestamp=NOW, task_scheduled_id=0, result="null"),
    history.TaskFailed(
        timestamp=NOW, task_scheduled_id=1, reason="r", details="d", failure_details=FAILURE
    ),
    history.SubOrchestrationInstanceCompleted(timestamp=NOW, task_scheduled_id=2, result=""),
    history.SubOrchestrationInstanceFailed(timestamp=NOW, task_scheduled_id=2, reason="r"),
    history.TimerFired(timestamp=NOW, timer_id=4, fire_at=NOW),
    history.EventRaised(timestamp=NOW, name="go", input="[]"),
    history.GenericEvent(timestamp=NOW, data="x"),
]
EVENTS: list[history.HistoryEvent] = [
    history.OrchestratorStarted(timestamp=NOW),
    *MESSAGES,
    history.TaskScheduled(timestamp=NOW, event_id=0, name="a", input="1"),
    history.SubOrchestrationInstanceCreated(timestamp=NOW, event_id=1, name="s", instance_id="c"),
    history.TimerCreated(timestamp=NOW, event_id=2, fire_at=NOW),
    history.EventSent(timestamp=NOW, event_id=3, instance_id="one", name="go"),
    history.ExecutionCompleted(
        timestamp=NOW,
        event_id=4,
        orchestration_status=OrchestrationRuntimeStatus.Failed,
        failure_details=FAILURE,
    ),
    history.OrchestratorCompleted(timestamp=NOW),
]


def test_a_history_comes_back_as_it_was() -> None:
    assert codec.decode_history(codec.encode_history(EVENTS)) == EVENTS
    assert codec.decode_history(codec.encode_history(EVENTS).decode()) == EVENTS


def test_every_kind_of_event_is_among_those_tested() -> None:
    kinds = {type(event) for event in EVENTS}
    assert kinds == set(history.HistoryEvent.__args__)


@pytest.mark.parametrize("event", MESSAGES, ids=lambda event: type(event).__name__)
def test_a_message_comes_back_as_it_was(event: history.MessageEvent) -> None:
    assert codec.decode_message(codec.encode_message(event)) == event


def test_steps_come_back_as_one_history() -> None:
    steps = [EVENTS[:3], [], EVENTS[3:]]
    text = b"[" + b",".join(codec.encode_history(step) for step in steps) + b"]"
    assert codec.decode_history_chunks(text) == EVENTS


def test_an_event_is_written_in_the_words_of_dtfx() -> None:
    text = codec.encode_message(MESSAGES[0])
    assert json.loads(text) == {
        "EventType": "ExecutionStarted",
        "Timestamp": "2026-02-28T23:59:59.123456Z",
        "OrchestrationInstance": {"InstanceId": "one", "ExecutionId": "first"},
        "Name": "f",
        "Version": "2",
        "Input": '{"a": [1, "ż"]}',
        "ParentInstance": {
            "Name": "p",
            "OrchestrationInstance": {"InstanceId": "one", "ExecutionId": "first"},
            "TaskScheduleId": 3,
            "Version": "",
        },
        "Tags": {"a": "b"},
        "ScheduledStartTime": "2026-02-28T23:59:59.123456Z",
        "Generation": 2,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        '[{"EventType": "Unheard", "Timestamp": "2026-01-01T00:00:00Z"}]',
        '[{"EventType": "TaskCompleted", "Timestamp": "2026-01-01T00:00:00Z"}]',
        '[{"EventType": "OrchestratorStarted", "Timestamp": "yesterday"}]',
    ],
)
def test_what_is_no_history_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the decoder's own words
        codec.decode_history(text)


def test_a_step_cannot_arrive_as_a_message() -> None:
    with pytest.raises(ValueError, match="OrchestratorStarted"):
        codec.decode_message(codec.encode_history(EVENTS[:1])[1:-1])


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        NOW,
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_a_moment_comes_back_to_the_microsecond(moment: datetime) -> None:
    assert codec.from_microseconds(codec.to_microseconds(moment)) == moment


def test_moments_are_numbered_as_time_goes() -> None:
    later = NOW.astimezone(timezone(timedelta(hours=9))) + timedelta(microseconds=1)
    assert codec.to_microseconds(later) == codec.to_microseconds(NOW) + 1
