"""Rows of tables as values, and as the JSON with type annotations that the table service takes.

A row holds text, numbers (`Edm.Int32`), booleans and aware moments (`Edm.DateTime`); a column that
has no value is not there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from func_host.durable.backends.azure_storage.moments import read_time, row_time

if TYPE_CHECKING:
    from collections.abc import Mapping

Value: TypeAlias = str | int | datetime
Row: TypeAlias = dict[str, Value]

PARTITION_KEY: Final = "PartitionKey"
ROW_KEY: Final = "RowKey"

CHECKPOINT_TOKEN: Final = "CheckpointToken"  # noqa: S105 -- the name of a column
"""A column of ours in the sentinel: drawn for each attempt, it tells whose commit is stored."""

MESSAGE_ID: Final = "MessageId"
"""A column of ours in rows of consumed events: what the sender called the message."""

PARKED: Final = "Parked"
"""A column of ours in the status row: why the instance does not run; empty where it does again."""

_DATE_TIME: Final = "Edm.DateTime"
_ANNOTATION: Final = "@odata.type"


def row_body(row: Mapping[str, Value]) -> dict[str, str | int]:
    """Give a row as the body of an insert, merge or replace."""
    body: dict[str, str | int] = {}
    for column, value in row.items():
        if isinstance(value, datetime):
            body[column] = row_time(value)
            body[f"{column}{_ANNOTATION}"] = _DATE_TIME
        else:
            body[column] = value
    return body


def read_row(body: Mapping[str, Any]) -> Row:
    """Read a row as the service returns it, or as the client library does: nulls are left out.

    Raises:
        ValueError: A column that is said to be a moment is none.
    """
    row: Row = {}
    for column, value in body.items():
        if value is None or column.startswith("odata.") or column.endswith(_ANNOTATION):
            continue
        if isinstance(value, datetime):
            row[column] = _plain(value)
        elif body.get(f"{column}{_ANNOTATION}") == _DATE_TIME:
            row[column] = read_time(value)
        else:
            row[column] = value
    return row


def text_of(row: Mapping[str, Value], column: str) -> str | None:
    """Give a column of text, or None where the row has none."""
    value = row.get(column)
    return value if isinstance(value, str) else None


def int_of(row: Mapping[str, Value], column: str) -> int | None:
    """Give a column of numbers, or None where the row has none."""
    value = row.get(column)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment_of(row: Mapping[str, Value], column: str) -> datetime | None:
    """Give a column of moments, or None where the row has none."""
    value = row.get(column)
    if isinstance(value, str):
        return read_time(value)
    return value if isinstance(value, datetime) else None


def _plain(moment: datetime) -> datetime:
    """Give a moment in UTC of the plain class: the client library has a class of its own."""
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return datetime.combine(utc.date(), utc.time(), UTC)
