"""A history as the status endpoint shows it (`showHistory=true`).

The engine's own events (episodes) are left out; a scheduled event whose completion is there too is
folded into it; event ids are gone. Keys are Pascal case, as in the Durable Functions extension,
but for one thing: `ScheduledTime` is UTC with `Z` and not the server's local time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from func_host.durable.history import (
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    GenericEvent,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from func_host.durable.status_payload import fractional_seconds, stored_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from func_host.durable.history import Failure, HistoryEvent

    Call = TaskScheduled | SubOrchestrationInstanceCreated
    Completion = (
        TaskCompleted
        | TaskFailed
        | SubOrchestrationInstanceCompleted
        | SubOrchestrationInstanceFailed
    )

_CALLS = (TaskScheduled, SubOrchestrationInstanceCreated)
_FAILURES = (TaskFailed, SubOrchestrationInstanceFailed)
_COMPLETIONS = (TaskCompleted, SubOrchestrationInstanceCompleted, *_FAILURES)
_EPISODES = (OrchestratorStarted, OrchestratorCompleted)


def history_view(
    history: Sequence[HistoryEvent],
    *,
    show_input: bool = True,
    show_output: bool = False,
    value: Callable[[str | None], Any] = stored_value,
) -> list[dict[str, Any]]:
    """Show the events of an execution.

    Args:
        history: The stored events.
        show_input: Keep the inputs, as the text they were stored as.
        show_output: Keep the results.
        value: What makes a result of its stored text: a decoded value, or raw JSON.
    """
    calls = {event.event_id: event for event in history if isinstance(event, _CALLS)}
    completed = {event.task_scheduled_id for event in history if isinstance(event, _COMPLETIONS)}
    shown: list[dict[str, Any]] = []
    for event in history:
        if isinstance(event, _EPISODES):
            continue
        if isinstance(event, _CALLS) and event.event_id in completed:
            continue
        fields = _fields(event, calls)
        if not show_input:
            fields.pop("Input", None)
        if not show_output:
            fields.pop("Result", None)
        elif "Result" in fields:
            fields["Result"] = value(fields["Result"])
        name = type(event).__name__
        shown.append(
            {"EventType": name, **fields, "Timestamp": fractional_seconds(event.timestamp)}
        )
    return shown


def _fields(event: HistoryEvent, calls: Mapping[int, Call]) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 -- one case for each kind of event
    match event:
        case ExecutionStarted():
            return _start(event)
        case TaskScheduled():
            return {"Name": event.name, "Input": event.input, "ParentTraceContext": None}
        case SubOrchestrationInstanceCreated():
            return {"Name": event.name, "InstanceId": event.instance_id, "Input": event.input}
        case TaskCompleted() | SubOrchestrationInstanceCompleted():
            return {"Result": event.result, **_call(event, calls)}
        case TaskFailed() | SubOrchestrationInstanceFailed():
            return {
                "Reason": event.reason,
                "Details": event.details,
                "FailureDetails": _failure(event.failure_details),
                **_call(event, calls),
            }
        case TimerCreated() | TimerFired():
            return {"FireAt": fractional_seconds(event.fire_at)}
        case EventSent():
            return {"InstanceId": event.instance_id, "Name": event.name, "Input": event.input}
        case EventRaised():
            return {"Name": event.name, "Input": event.input, "ParentTraceContext": None}
        case ExecutionSuspended() | ExecutionResumed():
            return {"Reason": event.reason}
        case ExecutionTerminated():
            return {"Input": event.input}
        case GenericEvent():
            return {"Data": event.data}
        case ExecutionCompleted():
            return {
                "OrchestrationStatus": event.orchestration_status.value,
                "Result": event.result,
                "FailureDetails": _failure(event.failure_details),
            }
        case OrchestratorStarted() | OrchestratorCompleted():
            return {}
    assert_never(event)


def _start(event: ExecutionStarted) -> dict[str, Any]:
    start = event.scheduled_start_time
    return {
        "FunctionName": event.name,
        "Input": event.input,
        "Correlation": None,
        "ParentTraceContext": None,
        "ScheduledStartTime": None if start is None else fractional_seconds(start),
        "Generation": event.generation,
    }


def _call(event: Completion, calls: Mapping[int, Call]) -> dict[str, Any]:
    """Give what a completion takes over from the event that scheduled it."""
    call = calls.get(event.task_scheduled_id)
    if call is None:
        return {}
    return {
        "ScheduledTime": fractional_seconds(call.timestamp),
        "FunctionName": call.name,
        "Input": call.input,
    }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "ErrorType": failure.error_type,
        "ErrorMessage": failure.error_message,
        "StackTrace": failure.stack_trace,
        "InnerFailure": _failure(failure.inner_failure),
        "IsNonRetriable": failure.is_non_retriable,
    }
