"""History events as rows of the history table, and a history as its rows with their fence.

Columns and types are those of DurableTask.AzureStorage 1.17.5: what has no value has no column,
members that are objects are JSON text. A reader takes the text `null` of newer versions as well.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from func_host.durable import history
from func_host.durable.backends.azure_storage.keys import escape_key, row_key
from func_host.durable.backends.azure_storage.table_rows import (
    PARTITION_KEY,
    ROW_KEY,
    Row,
    Value,
    moment_of,
    text_of,
)
from func_host.durable.backends.azure_storage.wire_events import (
    ROW_EVENTS,
    UnreadableError,
    attributes_of,
    event_from,
    failure_members,
    unwrap_input,
    wrap_input,
)
from func_host.durable.history import (
    ExecutionCompleted,
    GenericEvent,
    HistoryEvent,
    OrchestratorCompleted,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLOB_NAME: Final = "BlobName"
"""Ends the name of the column that says in which blob the value of another column lies."""

_FAILED: Final = ("TaskScheduledId", "Reason", "Details", "FailureDetails")
_COMPLETED: Final = ("TaskScheduledId", "Result")
_COLUMNS: Final[Mapping[type[HistoryEvent], tuple[str, ...]]] = {
    history.OrchestratorStarted: (),
    history.OrchestratorCompleted: (),
    history.ExecutionStarted: (
        "ParentInstance",
        "Name",
        "Version",
        "Input",
        "Tags",
        "Correlation",
        "ParentTraceContext",
        "ScheduledStartTime",
        "Generation",
        "OrchestrationInstance",
    ),
    history.ExecutionCompleted: ("OrchestrationStatus", "Result", "FailureDetails"),
    history.ExecutionTerminated: ("Input",),
    history.ExecutionSuspended: ("Reason",),
    history.ExecutionResumed: ("Reason",),
    history.TaskScheduled: ("Name", "Version", "Input"),
    history.TaskCompleted: _COMPLETED,
    history.TaskFailed: _FAILED,
    history.SubOrchestrationInstanceCreated: ("Name", "Version", "InstanceId", "Input"),
    history.SubOrchestrationInstanceCompleted: _COMPLETED,
    history.SubOrchestrationInstanceFailed: _FAILED,
    history.TimerCreated: ("FireAt",),
    history.TimerFired: ("TimerId", "FireAt"),
    history.EventSent: ("InstanceId", "Name", "Input"),
    history.EventRaised: ("Name", "Input"),
    history.GenericEvent: ("Data",),
}
_JSON_COLUMNS: Final = frozenset(
    {"OrchestrationInstance", "ParentInstance", "Tags", "ParentTraceContext", "FailureDetails"}
)
_SOURCES: Final = {
    kind: tuple((column, attributes_of(kind)[column]) for column in columns)
    for kind, columns in _COLUMNS.items()
}
_KINDS: Final = {kind.__name__: kind for kind in ROW_EVENTS}
_NOT_PLAYED: Final = (
    history.OrchestratorStarted,
    history.OrchestratorCompleted,
    history.TaskScheduled,
    history.SubOrchestrationInstanceCreated,
    history.TimerCreated,
    history.EventSent,
    history.ExecutionCompleted,
)
_MARKS: Final = ("ExecutionRewound", "HistoryState")
_CONTINUED: Final = "ContinueAsNew"


def history_row(
    event: HistoryEvent,
    ordinal: int,
    *,
    instance_id: str,
    execution_id: str,
    is_played: bool | None = None,
) -> Row:
    """Write an event as the row at this place of the history.

    `IsPlayed` is, unless it is given, as the provider has it: true for what arrived at the
    orchestrator, false for what the orchestrator asked for.
    """
    row: Row = {PARTITION_KEY: escape_key(instance_id), ROW_KEY: row_key(ordinal)}
    for column, attribute in _SOURCES[type(event)]:
        value = getattr(event, attribute)
        if value is not None:
            row[column] = _value(value)
    if isinstance(event, TaskScheduled) and event.input is not None:
        row["Input"] = wrap_input(event.input)
    if isinstance(event, SubOrchestrationInstanceCreated):
        row["ClientSpanId"] = client_span_id(execution_id, event.event_id)
    row["EventId"] = event.event_id
    row["IsPlayed"] = not isinstance(event, _NOT_PLAYED) if is_played is None else is_played
    row["_Timestamp"] = event.timestamp
    row["EventType"] = type(event).__name__
    row["ExecutionId"] = execution_id
    return row


def history_rows(
    events: Sequence[HistoryEvent],
    *,
    instance_id: str,
    execution_id: str,
    first_ordinal: int = 0,
    is_continued: bool = False,
) -> list[Row]:
    """Write events as rows that follow each other.

    With `is_continued` they begin an execution that follows another by continue-as-new: then the
    first `OrchestratorCompleted` counts as played.
    """
    rows: list[Row] = []
    for ordinal, event in enumerate(events, first_ordinal):
        is_first_end = is_continued and isinstance(event, OrchestratorCompleted)
        rows.append(
            history_row(
                event,
                ordinal,
                instance_id=instance_id,
                execution_id=execution_id,
                is_played=True if is_first_end else None,
            )
        )
        is_continued = is_continued and not is_first_end
    return rows


def read_history_row(row: Mapping[str, Value]) -> HistoryEvent:
    """Read the event of a row; columns that lie in blobs must have been put in.

    What only marks a place for other tools (a rewind) is a `GenericEvent`.

    Raises:
        UnreadableError: The row is no event, or a column is missing or wrong.
    """
    name = text_of(row, "EventType") or ""
    if name in _MARKS:
        return GenericEvent(timestamp=_timestamp(row), data=text_of(row, "Reason"))
    kind: type[Any] | None = ExecutionCompleted if name == _CONTINUED else _KINDS.get(name)
    if kind is None:
        raise _unreadable(row, f'"{name}" is no type of event')
    members: dict[str, Any] = {"EventId": row.get("EventId"), "Timestamp": _timestamp(row)}
    for column in _COLUMNS[kind]:
        if f"{column}{BLOB_NAME}" in row:
            raise _unreadable(row, f"{column} lies in a blob that was not read")
        value = row.get(column)
        members[column] = _parsed(row, column, value) if column in _JSON_COLUMNS else value
    try:
        event: HistoryEvent = event_from(members, kind)
    except ValueError as error:
        raise _unreadable(row, str(error)) from error
    if isinstance(event, TaskScheduled):
        return msgspec.structs.replace(event, input=unwrap_input(event.input))
    if isinstance(event, GenericEvent) and event.data is None:
        return msgspec.structs.replace(event, data=text_of(row, "Reason"))
    return event


def rewound_row(row: Mapping[str, Value]) -> Row:
    """Give what a rewind puts in the place of a row: an event that says nothing any more.

    A started child keeps its type, so that it is not started again.
    """
    name = row["EventType"]
    event_type = name if name == SubOrchestrationInstanceCreated.__name__ else "GenericEvent"
    return {**row, "EventType": event_type, "Reason": f"Rewound: {name}"}


def client_span_id(execution_id: str, event_id: int) -> str:
    """Give the span id of the start of a child: 16 hex digits, the same at every try."""
    return hashlib.blake2b(f"{execution_id}:{event_id}".encode(), digest_size=8).hexdigest()


def _value(value: object) -> Value:
    match value:
        case Enum():
            return cast("str", value.value)
        case str() | int() | datetime():
            return value
        case history.Failure():
            return msgspec.json.encode(failure_members(value)).decode()
        case _:
            return msgspec.json.encode(value).decode()


def _parsed(row: Mapping[str, Value], column: str, value: Value | None) -> object:
    if not isinstance(value, str) or not value:
        return None
    try:
        return msgspec.json.decode(value)
    except ValueError as error:
        raise _unreadable(row, f"{column} is not JSON: {error}") from error


def _timestamp(row: Mapping[str, Value]) -> datetime:
    moment = moment_of(row, "_Timestamp")
    if moment is None:
        raise _unreadable(row, "_Timestamp is missing")
    return moment


def _unreadable(row: Mapping[str, Value], reason: str) -> UnreadableError:
    place = f"{row.get(ROW_KEY)} of {row.get(PARTITION_KEY)}"
    return UnreadableError(f"History row {place} cannot be read: {reason}.")
