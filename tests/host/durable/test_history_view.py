"""Histories as the status endpoint shows them."""

from datetime import UTC, datetime, timedelta

from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_host.durable import history as h
from func_host.durable.history_view import history_view

T0 = datetime(2026, 3, 1, 8, 15, 30, 100_200, tzinfo=UTC)
T1 = T0 + timedelta(seconds=1)
NAMES = ("2026-03-01T08:15:30.1002Z", "2026-03-01T08:15:31.1002Z")
INSTANCE = h.OrchestrationInstance("a", "e")


def start() -> h.ExecutionStarted:
    return h.ExecutionStarted(
        timestamp=T0,
        orchestration_instance=INSTANCE,
        name="Greet",
        version="1",
        input='"x"',
        tags={"a": "b"},
        generation=0,
    )


def test_the_start_has_its_function_and_not_its_ids() -> None:
    assert history_view([h.OrchestratorStarted(timestamp=T0), start()]) == [
        {
            "EventType": "ExecutionStarted",
            "FunctionName": "Greet",
            "Input": '"x"',
            "Correlation": None,
            "ParentTraceContext": None,
            "ScheduledStartTime": None,
            "Generation": 0,
            "Timestamp": NAMES[0],
        }
    ]


def test_a_call_is_folded_into_its_end_and_an_open_one_stays() -> None:
    history = [
        h.TaskScheduled(timestamp=T0, event_id=0, name="SayHello", input='["a"]'),
        h.TaskScheduled(timestamp=T0, event_id=1, name="Open"),
        h.OrchestratorCompleted(timestamp=T0),
        h.TaskCompleted(timestamp=T1, task_scheduled_id=0, result='"Hello"'),
    ]

    assert history_view(history, show_output=True) == [
        {
            "EventType": "TaskScheduled",
            "Name": "Open",
            "Input": None,
            "ParentTraceContext": None,
            "Timestamp": NAMES[0],
        },
        {
            "EventType": "TaskCompleted",
            "Result": "Hello",
            "ScheduledTime": NAMES[0],
            "FunctionName": "SayHello",
            "Input": '["a"]',
            "Timestamp": NAMES[1],
        },
    ]


def test_children_are_folded_alike_and_failures_tell_why() -> None:
    inner = h.Failure(error_type="KeyError", error_message="k")
    failure = h.Failure(error_type="ValueError", error_message="boom", inner_failure=inner)
    history = [
        h.SubOrchestrationInstanceCreated(timestamp=T0, event_id=0, name="Child", instance_id="c"),
        h.SubOrchestrationInstanceCreated(timestamp=T0, event_id=1, name="Open", instance_id="d"),
        h.SubOrchestrationInstanceFailed(
            timestamp=T1, task_scheduled_id=0, reason="why", details="d", failure_details=failure
        ),
    ]
    pending, failed = history_view(history)

    assert (pending["Name"], pending["InstanceId"]) == ("Open", "d")
    assert (failed["FunctionName"], failed["Reason"], failed["Details"]) == ("Child", "why", "d")
    assert failed["FailureDetails"] == {
        "ErrorType": "ValueError",
        "ErrorMessage": "boom",
        "StackTrace": None,
        "InnerFailure": {
            "ErrorType": "KeyError",
            "ErrorMessage": "k",
            "StackTrace": None,
            "InnerFailure": None,
            "IsNonRetriable": False,
        },
        "IsNonRetriable": False,
    }


def test_every_other_event_shows_what_it_says() -> None:
    history = [
        h.TimerCreated(timestamp=T0, event_id=0, fire_at=T1),
        h.TimerFired(timestamp=T0, timer_id=0, fire_at=T1),
        h.EventSent(timestamp=T0, event_id=1, instance_id="b", name="op", input="1"),
        h.EventRaised(timestamp=T0, name="Approve", input="true"),
        h.ExecutionSuspended(timestamp=T0, reason="hold"),
        h.ExecutionResumed(timestamp=T0, reason=None),
        h.GenericEvent(timestamp=T0, data="d"),
        h.ExecutionTerminated(timestamp=T0, input="enough"),
        h.ExecutionCompleted(
            timestamp=T0, event_id=2, orchestration_status=Status.Terminated, result="enough"
        ),
    ]
    shown = history_view(history, show_output=True)
    for event in shown:
        assert event.pop("Timestamp") == NAMES[0]

    assert shown == [
        {"EventType": "TimerCreated", "FireAt": NAMES[1]},
        {"EventType": "TimerFired", "FireAt": NAMES[1]},
        {"EventType": "EventSent", "InstanceId": "b", "Name": "op", "Input": "1"},
        {
            "EventType": "EventRaised",
            "Name": "Approve",
            "Input": "true",
            "ParentTraceContext": None,
        },
        {"EventType": "ExecutionSuspended", "Reason": "hold"},
        {"EventType": "ExecutionResumed", "Reason": None},
        {"EventType": "GenericEvent", "Data": "d"},
        {"EventType": "ExecutionTerminated", "Input": "enough"},
        {
            "EventType": "ExecutionCompleted",
            "OrchestrationStatus": "Terminated",
            "Result": "enough",
            "FailureDetails": None,
        },
    ]


def test_inputs_and_results_are_hidden_where_they_are_not_asked_for() -> None:
    history = [
        start(),
        h.TaskScheduled(timestamp=T0, event_id=0, name="SayHello"),
        h.TaskCompleted(timestamp=T1, task_scheduled_id=0, result='"Hello"'),
        h.ExecutionTerminated(timestamp=T0, input="enough"),
    ]

    shown = history_view(history, show_input=False)

    assert not any("Input" in event or "Result" in event for event in shown)


def test_a_result_whose_call_is_missing_and_two_calls_of_one_id_are_no_error() -> None:
    history = [
        h.TaskScheduled(timestamp=T0, event_id=0, name="First"),
        h.TaskScheduled(timestamp=T0, event_id=0, name="Second"),
        h.TaskCompleted(timestamp=T1, task_scheduled_id=0),
        h.TaskCompleted(timestamp=T1, task_scheduled_id=9),
    ]

    assert [event.get("FunctionName") for event in history_view(history)] == ["Second", None]
