"""Queries of the tables as OData text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from func_host.durable.backends.azure_storage.keys import SENTINEL, escape_key
from func_host.durable.backends.azure_storage.moments import row_time

if TYPE_CHECKING:
    from datetime import datetime

    from func_host.durable.backend import InstanceQuery

INSTANCE_COLUMNS: Final = (
    "ExecutionId",
    "Name",
    "Version",
    "Output",
    "CustomStatus",
    "CreatedTime",
    "LastUpdatedTime",
    "CompletedTime",
    "RuntimeStatus",
    "ScheduledStartTime",
    "Generation",
    "Tags",
    "Parked",
    "PartitionKey",
    "RowKey",
    "Timestamp",
)
"""What to select of a status row where the input is not wanted."""

KEY_COLUMNS: Final = ("RowKey", "PartitionKey", "Timestamp")
"""What to select of a history that is to be deleted."""

_BEFORE_SURROGATES: Final = "\ud7ff"
_LAST_CODE_POINT: Final = "\U0010ffff"
_LAST_UNIT: Final = "\uffff"


def instance_filter(instance_id: str) -> str:
    """Find the status row of an instance, or all rows of its history."""
    return f"PartitionKey eq {_quoted(escape_key(instance_id))}"


def history_filter(instance_id: str, execution_id: str | None = None) -> str:
    """Find the history of an instance, or of one of its runs; the fence is always found."""
    if execution_id is None:
        return instance_filter(instance_id)
    return (
        f"({instance_filter(instance_id)}) and "
        f"((RowKey eq {_quoted(SENTINEL)}) or (ExecutionId eq {_quoted(execution_id)}))"
    )


def instances_filter(query: InstanceQuery, *, include_entities: bool = True) -> str:
    """Find the status rows that match a query; the empty text finds all."""
    parts: list[str] = []
    if query.created_time_from is not None:
        parts.append(f"CreatedTime ge {_moment(query.created_time_from)}")
    if query.created_time_to is not None:
        parts.append(f"CreatedTime le {_last_tick(query.created_time_to)}")
    if query.runtime_status is not None:
        statuses = [f"RuntimeStatus eq '{status.value}'" for status in query.runtime_status]
        parts.append(" or ".join(statuses) or "RuntimeStatus eq ''")
    if query.instance_id_prefix:
        parts.extend(_prefix(escape_key(query.instance_id_prefix)))
    if not include_entities:
        parts.append("PartitionKey lt '@' or PartitionKey ge 'A'")
    return " and ".join(f"({part})" for part in parts)


def _prefix(key: str) -> list[str]:
    after = _after(key)
    parts = [f"PartitionKey ge {_quoted(key)}"]
    if after is not None:
        parts.append(f"PartitionKey lt {_quoted(after)}")
    return parts


def _after(prefix: str) -> str | None:
    """Give the first text after all that begin with the prefix, in the order of UTF-16 units."""
    last = prefix[-1:]
    if not last:
        return None
    if last == _LAST_UNIT:
        return _after(prefix[:-1])
    if last == _BEFORE_SURROGATES:
        return f"{prefix[:-1]}\U00010000"
    if last == _LAST_CODE_POINT:
        return f"{prefix[:-1]}\ue000"
    return f"{prefix[:-1]}{chr(ord(last) + 1)}"


def _quoted(text: str) -> str:
    return f"'{text.replace(chr(39), chr(39) * 2)}'"


def _moment(moment: datetime) -> str:
    return f"datetime'{row_time(moment)}'"


def _last_tick(moment: datetime) -> str:
    """Give the last tick of a microsecond: moments are shown cut off to whole microseconds."""
    return f"datetime'{row_time(moment).removesuffix('0Z')}9Z'"
