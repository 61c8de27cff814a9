"""The `Event` member of a message: every kind, with its members in the provider's order.

Json.NET needs `$type` first. It writes the members of the kind, then those of every event; where
`EventType` stands among them differs from kind to kind.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import structs

from func_host.durable import history
from func_host.durable.backends.azure_storage.moments import message_time, read_time
from func_host.durable.backends.azure_storage.wire_events import (
    EVENT_NUMBERS,
    MESSAGE_EVENTS,
    QueueEvent,
    UnreadableError,
    attributes_of,
    event_from,
    failure_members,
    unwrap_input,
    wrap_input,
)
from func_host.durable.history import TaskScheduled

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAGS_TYPE: Final = (
    "System.Collections.Generic.Dictionary`2"
    "[[System.String, System.Private.CoreLib],[System.String, System.Private.CoreLib]]"
)
_NAMESPACE: Final = "DurableTask.Core.History."
_INSTANCE_TYPE: Final = "DurableTask.Core.OrchestrationInstance"
_PARENT_TYPE: Final = "DurableTask.Core.ParentInstance"
_FAILURE_TYPE: Final = "DurableTask.Core.FailureDetails"

_FAILED: Final = ("EventType", "TaskScheduledId", "Reason", "Details", "FailureDetails")
_COMPLETED: Final = ("EventType", "TaskScheduledId", "Result")
_REASON: Final = ("EventType", "Reason")
_EVERY_EVENT: Final = ("EventId", "IsPlayed", "Timestamp")
_MEMBERS: Final[Mapping[type[QueueEvent], tuple[str, ...]]] = {
    history.ExecutionStarted: (
        "OrchestrationInstance",
        "EventType",
        "ParentInstance",
        "Name",
        "Version",
        "Input",
        "Tags",
        "Correlation",
        "ParentTraceContext",
        "ScheduledStartTime",
        "Generation",
    ),
    history.ExecutionTerminated: ("EventType", "Input"),
    history.ExecutionSuspended: _REASON,
    history.ExecutionResumed: _REASON,
    history.ExecutionRewound: (
        *_REASON,
        "ParentExecutionId",
        "InstanceId",
        "ParentTraceContext",
    ),
    history.TaskScheduled: ("EventType", "Name", "Version", "Input", "ParentTraceContext"),
    history.TaskCompleted: _COMPLETED,
    history.TaskFailed: _FAILED,
    history.SubOrchestrationInstanceCompleted: _COMPLETED,
    history.SubOrchestrationInstanceFailed: _FAILED,
    history.TimerFired: ("EventType", "TimerId", "FireAt"),
    history.EventRaised: ("EventType", "Name", "Input", "ParentTraceContext"),
    history.GenericEvent: ("Data", "EventType"),
}
_TIMES: Final = ("Timestamp", "FireAt", "ScheduledStartTime")


def event_name(event: QueueEvent) -> str:
    """Give the name of the kind, as blobs have it."""
    return type(event).__name__


def _type_name(kind: type[QueueEvent]) -> str:
    name = kind.__name__
    return name if name.endswith("Event") else f"{name}Event"


_KIND_OF_TYPE: Final = {_type_name(kind): kind for kind in MESSAGE_EVENTS}
_KIND_OF_NUMBER: Final = {EVENT_NUMBERS[kind.__name__]: kind for kind in MESSAGE_EVENTS}
_SOURCES: Final = {
    kind: tuple((member, attributes_of(kind).get(member)) for member in (*members, *_EVERY_EVENT))
    for kind, members in _MEMBERS.items()
}
_CONSTANTS: Final[Mapping[type[QueueEvent], Mapping[str, object]]] = {
    kind: {"EventType": EVENT_NUMBERS[kind.__name__], "IsPlayed": False} for kind in MESSAGE_EVENTS
}


def message_event(event: QueueEvent) -> dict[str, object]:
    """Write an event as the `Event` member; the order of members is the provider's."""
    kind = type(event)
    constants = _CONSTANTS[kind]
    members: dict[str, object] = {"$type": f"{_NAMESPACE}{_type_name(kind)}"}
    for member, attribute in _SOURCES[kind]:
        members[member] = (
            constants.get(member) if attribute is None else _member(getattr(event, attribute))
        )
    if isinstance(event, TaskScheduled):
        members["Input"] = wrap_input(event.input)
    return members


def _member(value: object) -> object:
    """Write the value of a member; what JSON has no word for becomes text or an object."""
    match value:
        case None | str() | int():
            return value
        case datetime():
            return message_time(value)
        case dict():
            return tags_member(cast("Mapping[str, str]", value))
        case history.OrchestrationInstance():
            return instance_member(value.instance_id, value.execution_id)
        case _:
            return _object(value)


def _object(value: object) -> object:
    match value:
        case history.ParentInstance():
            me = value.orchestration_instance
            return {
                "$type": _PARENT_TYPE,
                "Name": value.name,
                "OrchestrationInstance": instance_member(me.instance_id, me.execution_id),
                "TaskScheduleId": value.task_schedule_id,
                "Version": value.version,
            }
        case history.Failure():
            return failure_members(value, type_name=_FAILURE_TYPE)
        case _:
            return msgspec.to_builtins(value)


def instance_member(instance_id: str, execution_id: str | None) -> dict[str, object]:
    """Write which run of which instance; without an execution id it is the current one."""
    return {"$type": _INSTANCE_TYPE, "InstanceId": instance_id, "ExecutionId": execution_id}


def tags_member(tags: Mapping[str, str]) -> dict[str, object]:
    """Write tags as a .NET dictionary."""
    return {"$type": _TAGS_TYPE, **tags}


def read_message_event(members: Mapping[str, Any]) -> QueueEvent:
    """Read the `Event` member, whatever the order of its members.

    Raises:
        UnreadableError: It is of no kind that a queue can hold, or a member is missing or wrong.
    """
    kind = _kind_of(members)
    known = dict(members)
    try:
        for member in _TIMES:
            if isinstance(known.get(member), str):
                known[member] = read_time(known[member])
        event = event_from(known, kind)
    except ValueError as error:
        raise UnreadableError(
            f"A message holds {kind.__name__} with members that do not fit: {error}"
        ) from error
    if isinstance(event, TaskScheduled):
        return structs.replace(event, input=unwrap_input(event.input))
    return event


def _kind_of(members: Mapping[str, Any]) -> type[QueueEvent]:
    """Find the kind by its .NET name (with or without an assembly), else by its number."""
    type_name = members.get("$type")
    if isinstance(type_name, str):
        kind = _KIND_OF_TYPE.get(type_name.partition(",")[0].rpartition(".")[2])
    else:
        kind = _KIND_OF_NUMBER.get(members.get("EventType", -1))
    if kind is None:
        found = members.get("EventType") if type_name is None else type_name
        raise UnreadableError(f"A message holds an event of a kind that no queue holds: {found}.")
    return kind
