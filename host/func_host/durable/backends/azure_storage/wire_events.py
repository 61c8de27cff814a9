"""History events as the provider knows them: names, numbers, and how one is read from members.

Both messages (JSON) and table rows (columns) hold an event as named members, spelt as our structs
spell them. What is common to both forms stands here; their own shapes in `message_events` and
`history_rows`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

import msgspec

from func_host.durable import history
from func_host.durable.backend import BackendError
from func_host.durable.history import ExecutionRewound, HistoryEvent, MessageEvent, TaskScheduled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from func_host.durable.history import Failure

QueueEvent: TypeAlias = MessageEvent | TaskScheduled | ExecutionRewound
"""What a queue may hold: an event for an instance, or a request to run an activity."""

EventT = TypeVar("EventT")


class UnreadableError(BackendError):
    """A message or a row is not what the provider writes, so it stands for no event."""


EVENT_NUMBERS: Final[Mapping[str, int]] = {
    "ExecutionStarted": 0,
    "ExecutionCompleted": 1,
    "ExecutionFailed": 2,
    "ExecutionTerminated": 3,
    "TaskScheduled": 4,
    "TaskCompleted": 5,
    "TaskFailed": 6,
    "SubOrchestrationInstanceCreated": 7,
    "SubOrchestrationInstanceCompleted": 8,
    "SubOrchestrationInstanceFailed": 9,
    "TimerCreated": 10,
    "TimerFired": 11,
    "OrchestratorStarted": 12,
    "OrchestratorCompleted": 13,
    "EventSent": 14,
    "EventRaised": 15,
    "ContinueAsNew": 16,
    "GenericEvent": 17,
    "HistoryState": 18,
    "ExecutionSuspended": 19,
    "ExecutionResumed": 20,
    "ExecutionRewound": 21,
}
"""`EventType` of DTFx."""

MESSAGE_EVENTS: Final[tuple[type[QueueEvent], ...]] = (
    history.ExecutionStarted,
    history.ExecutionTerminated,
    history.ExecutionSuspended,
    history.ExecutionResumed,
    history.ExecutionRewound,
    history.TaskScheduled,
    history.TaskCompleted,
    history.TaskFailed,
    history.SubOrchestrationInstanceCompleted,
    history.SubOrchestrationInstanceFailed,
    history.TimerFired,
    history.EventRaised,
    history.GenericEvent,
)

ROW_EVENTS: Final[tuple[type[HistoryEvent], ...]] = (
    history.OrchestratorStarted,
    history.OrchestratorCompleted,
    history.ExecutionStarted,
    history.ExecutionCompleted,
    history.ExecutionTerminated,
    history.ExecutionSuspended,
    history.ExecutionResumed,
    history.TaskScheduled,
    history.TaskCompleted,
    history.TaskFailed,
    history.SubOrchestrationInstanceCreated,
    history.SubOrchestrationInstanceCompleted,
    history.SubOrchestrationInstanceFailed,
    history.TimerCreated,
    history.TimerFired,
    history.EventSent,
    history.EventRaised,
    history.GenericEvent,
)

_FAILURES: Final = (history.TaskFailed, history.SubOrchestrationInstanceFailed)


def attributes_of(kind: type[HistoryEvent | ExecutionRewound]) -> dict[str, str]:
    """Give the attribute of each member of a kind of event, by the member's name."""
    return dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))


def event_from(members: dict[str, Any], kind: type[EventT]) -> EventT:
    """Build an event of its members: nulls count as absent, what is unknown is ignored.

    Raises:
        ValueError: A member is missing or of the wrong type; the message names it.
    """
    known = without_nulls(members)
    known.pop("EventType", None)
    if kind in _FAILURES:
        known.setdefault("Reason", "")
    return msgspec.convert(known, kind)


def without_nulls(members: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out null members and .NET type names, inside of members too."""
    return {
        name: without_nulls(cast("dict[str, Any]", value)) if isinstance(value, dict) else value
        for name, value in members.items()
        if value is not None and name != "$type"
    }


def failure_members(failure: Failure, *, type_name: str | None = None) -> dict[str, object]:
    """Write a failure with its causes, each with a .NET type name where messages need one."""
    members: dict[str, object] = {} if type_name is None else {"$type": type_name}
    inner = failure.inner_failure
    return members | {
        "ErrorType": failure.error_type,
        "ErrorMessage": failure.error_message,
        "StackTrace": failure.stack_trace,
        "InnerFailure": None if inner is None else failure_members(inner, type_name=type_name),
        "IsNonRetriable": failure.is_non_retriable,
        "Properties": None,
    }


def wrap_input(text: str | None) -> str:
    """Write an activity's input as the one-element array that the extension passes it in."""
    return f"[{'null' if text is None else text}]"


def unwrap_input(text: str | None) -> str | None:
    """Take an activity's input out of its array; what is no array of one is the input itself."""
    if text is None or not text.lstrip().startswith("["):
        return text
    try:
        elements = _array.decode(text)
    except ValueError:
        return text
    return bytes(elements[0]).decode() if len(elements) == 1 else text


_array: Final[msgspec.json.Decoder[list[msgspec.Raw]]] = msgspec.json.Decoder(list[msgspec.Raw])
