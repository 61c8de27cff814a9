"""The status of an instance as its row of the instances table.

There are four ways to write it, each with its own columns: a client creates it, a checkpoint
updates it, a termination ends an instance that never ran, a rewind puts it back. All but the
first are merges: other tools write columns of this row, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import InstanceRecord
from func_host.durable.backends.azure_storage.keys import (
    INSTANCE_ROW,
    escape_key,
    unescape_key,
)
from func_host.durable.backends.azure_storage.large import (
    blob_columns,
    blob_of_url,
    is_message_blob,
)
from func_host.durable.backends.azure_storage.messages import Envelope, decode_envelope
from func_host.durable.backends.azure_storage.table_rows import (
    PARKED,
    PARTITION_KEY,
    ROW_KEY,
    Row,
    Value,
    int_of,
    moment_of,
    text_of,
)
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from func_host.durable.history import (
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from func_host.durable.backend import StatusChange
    from func_host.durable.history import HistoryEvent

_NULL: Final = "null"
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
_STATUS_EVENTS: Final = (
    ExecutionStarted,
    ExecutionCompleted,
    ExecutionTerminated,
    ExecutionSuspended,
    ExecutionResumed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """What a status row says.

    Args:
        record: The status; `input` and `output` are None where they lie in a blob.
        input_blob: The blob with the input (`input_of_blob` reads it), or None.
        output_blob: The blob with the output, or None.
        generation: How often the id has been used before; None in rows of children.
        completed_time: When it ended.
        scheduled_start_time: When it may start.
        tags: Tags of the start.
    """

    record: InstanceRecord
    input_blob: str | None = None
    output_blob: str | None = None
    generation: int | None = None
    completed_time: datetime | None = None
    scheduled_start_time: datetime | None = None
    tags: Mapping[str, str] | None = None


def creation_row(start: ExecutionStarted, *, hub: str, now: datetime) -> Row:
    """Write the row of a new instance: an insert, or the replacement of one that has ended.

    Where the start message went to a blob, the input of `start` is that blob's URL; else
    `large.offload` moves an input that is too large for a column.
    """
    row: Row = {}
    if start.input is not None:
        row["Input"] = start.input
    row |= {
        "CreatedTime": start.timestamp,
        "Name": start.name,
        "Version": start.version,
        "RuntimeStatus": OrchestrationRuntimeStatus.Pending.value,
        "LastUpdatedTime": now,
        "TaskHubName": hub,
    }
    if start.scheduled_start_time is not None:
        row["ScheduledStartTime"] = start.scheduled_start_time
    row["ExecutionId"] = start.orchestration_instance.execution_id
    row["Generation"] = start.generation or 0
    row["Tags"] = msgspec.json.encode(start.tags).decode()
    return row | _keys(start.orchestration_instance.instance_id)


def checkpoint_row(
    instance_id: str,
    execution_id: str,
    status: StatusChange,
    *,
    start: ExecutionStarted | None = None,
    completed_time: datetime | None = None,
    with_status: bool = True,
    had_output: bool = False,
    was_parked: bool = False,
) -> Row:
    """Write what a checkpoint says of its instance: a merge that inserts where there is no row.

    Texts that lie in blobs are given as their URLs.

    Args:
        instance_id: The instance.
        execution_id: Its current run.
        status: The status afterwards.
        start: The start of the run, for its columns: with the first checkpoint of a run, and
            wherever the row may not be there yet.
        completed_time: When it ended, where it has.
        with_status: Whether to write status and output; the provider does where `says_status`.
        had_output: Whether the row shows an output, such as the reason of a suspension. A merge
            cannot take a column away: without an output now, the column is emptied.
        was_parked: Whether the row says that the instance is parked.
    """
    row: Row = {
        "CustomStatus": _NULL if status.custom_status is None else status.custom_status,
        "ExecutionId": execution_id,
        "LastUpdatedTime": status.last_updated_time,
    }
    if start is not None:
        row |= {"Name": start.name, "Version": start.version, "CreatedTime": start.timestamp}
    if with_status:
        row["RuntimeStatus"] = status.runtime_status.value
    if start is not None and start.scheduled_start_time is not None:
        row["ScheduledStartTime"] = start.scheduled_start_time
    if start is not None and start.input is not None:
        row["Input"] = start.input
    if with_status and completed_time is not None:
        row["CompletedTime"] = completed_time
    if with_status and (status.output is not None or had_output):
        row["Output"] = status.output or ""
    if status.parked is not None or was_parked:
        row[PARKED] = status.parked or ""
    return row | _keys(instance_id)


def says_status(events: Iterable[HistoryEvent]) -> bool:
    """Tell whether a checkpoint of these new events changes the status, and not only the time."""
    return any(isinstance(event, _STATUS_EVENTS) for event in events)


def terminated_row(instance_id: str, reason: str | None, now: datetime) -> Row:
    """Write the end of an instance that never ran: a merge."""
    row: Row = {
        "RuntimeStatus": OrchestrationRuntimeStatus.Terminated.value,
        "LastUpdatedTime": now,
        "CompletedTime": now,
    }
    if reason is not None:
        row["Output"] = reason
    return row | _keys(instance_id)


def rewound_instance_row(instance_id: str, now: datetime) -> Row:
    """Write that an instance will run again; its output and its end stay until it has: a merge."""
    row: Row = {
        "RuntimeStatus": OrchestrationRuntimeStatus.Pending.value,
        "LastUpdatedTime": now,
    }
    return row | _keys(instance_id)


def read_instance_row(row: Mapping[str, Value], *, container: str) -> InstanceRow:
    """Read a status row; columns that a real worker may leave out may be missing.

    Args:
        row: The row.
        container: The container of large values, to tell its blobs from other texts.

    Raises:
        UnreadableError: The status is none, or the tags are not JSON.
    """
    key = str(row[PARTITION_KEY])
    custom_status = text_of(row, "CustomStatus")
    text_input, text_output = text_of(row, "Input"), text_of(row, "Output")
    input_blob = blob_columns(row).get("Input") if not text_input else None
    input_blob = input_blob or blob_of_url(text_input, container=container, partition_key=key)
    output_blob = blob_of_url(text_output, container=container, partition_key=key)
    updated = moment_of(row, "LastUpdatedTime") or _NEVER
    record = InstanceRecord(
        instance_id=unescape_key(key),
        execution_id=text_of(row, "ExecutionId") or "",
        name=text_of(row, "Name") or "",
        version=text_of(row, "Version") or "",
        created_time=moment_of(row, "CreatedTime") or updated,
        last_updated_time=updated,
        runtime_status=_status(row),
        input=None if input_blob else text_input,
        output=None if output_blob else text_output or None,
        custom_status=None if custom_status == _NULL else custom_status,
        parked=text_of(row, PARKED) or None,
    )
    return InstanceRow(
        record=record,
        input_blob=input_blob,
        output_blob=output_blob,
        generation=int_of(row, "Generation"),
        completed_time=moment_of(row, "CompletedTime"),
        scheduled_start_time=moment_of(row, "ScheduledStartTime"),
        tags=_tags(row),
    )


def input_of_blob(blob_name: str, text: bytes) -> str | None:
    """Give the input that a blob holds: the text itself, or that of the start message in it.

    Raises:
        UnreadableError: The blob of a message holds no start.
    """
    if not is_message_blob(blob_name):
        return text.decode()
    match decode_envelope(text):
        case Envelope(event=ExecutionStarted(input=start_input)):
            return start_input
        case _:
            raise UnreadableError(f"The blob {blob_name} holds no start of an instance.")


def _keys(instance_id: str) -> Row:
    return {PARTITION_KEY: escape_key(instance_id), ROW_KEY: INSTANCE_ROW}


def _status(row: Mapping[str, Value]) -> OrchestrationRuntimeStatus:
    """Read the status; a row that a takeover left without one is of an instance that runs."""
    text = text_of(row, "RuntimeStatus")
    if text is None:
        return OrchestrationRuntimeStatus.Running
    try:
        return OrchestrationRuntimeStatus(text)
    except ValueError as error:
        raise UnreadableError(
            f'The status row of {row[PARTITION_KEY]} has a status that is none: "{text}".'
        ) from error


def _tags(row: Mapping[str, Value]) -> dict[str, str] | None:
    text = text_of(row, "Tags")
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, str] | None)
    except ValueError as error:
        raise UnreadableError(
            f"The status row of {row[PARTITION_KEY]} has tags that are not JSON: {error}"
        ) from error
