"""A whole history as it lies in the table: its rows, its fence, and how it is written in pieces.

A piece is one transaction of the table service, and the sentinel row is its last row: inserted
where there was none, else merged under the ETag last seen. So a writer that lost the instance
writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from func_host.durable.backends.azure_storage.history_rows import read_history_row
from func_host.durable.backends.azure_storage.keys import SENTINEL, escape_key, ordinal_of
from func_host.durable.backends.azure_storage.large import LARGE_COLUMNS, utf16_bytes
from func_host.durable.backends.azure_storage.table_rows import (
    CHECKPOINT_TOKEN,
    PARTITION_KEY,
    ROW_KEY,
    Row,
    Value,
    moment_of,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from func_host.durable.history import HistoryEvent

ROWS_MAX: Final = 99
"""Event rows of one transaction; the sentinel makes it a hundred."""

TRANSACTION_BYTES_MAX: Final = 3 * 1024 * 1024
_ROW_BYTES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinel:
    """The fence row: which execution the history is of, and when its last checkpoint ended."""

    execution_id: str
    checkpoint_completed: datetime | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHistory:
    """What the table holds of one execution.

    `next_ordinal` is where the next event goes. `sentinel` may be of another execution than the
    one asked for: then there are no events, and the fence is still the one to write under.
    """

    events: tuple[HistoryEvent, ...]
    next_ordinal: int
    sentinel: Sentinel | None


def sentinel_row(
    instance_id: str, sentinel: Sentinel, *, is_checkpoint_complete: bool = True
) -> Row:
    """Write the fence; the time stands only in the last transaction of a checkpoint."""
    row: Row = {
        "ExecutionId": sentinel.execution_id,
        "IsCheckpointComplete": is_checkpoint_complete,
    }
    if is_checkpoint_complete and sentinel.checkpoint_completed is not None:
        row["CheckpointCompletedTimestamp"] = sentinel.checkpoint_completed
    if sentinel.token is not None:
        row[CHECKPOINT_TOKEN] = sentinel.token
    row[PARTITION_KEY] = escape_key(instance_id)
    row[ROW_KEY] = SENTINEL
    return row


def read_sentinel(row: Mapping[str, Value]) -> Sentinel:
    """Read the fence."""
    return Sentinel(
        execution_id=text_of(row, "ExecutionId") or "",
        checkpoint_completed=moment_of(row, "CheckpointCompletedTimestamp"),
        token=text_of(row, CHECKPOINT_TOKEN),
    )


def read_history(
    rows: Iterable[Mapping[str, Value]], execution_id: str | None = None
) -> StoredHistory:
    """Read the rows of an instance, in any order: one execution, by default the current one.

    Rows that an earlier, longer execution left behind are not read.

    Raises:
        UnreadableError: A row is no event.
    """
    sentinel: Sentinel | None = None
    by_key: dict[str, Mapping[str, Value]] = {}
    for row in rows:
        if row[ROW_KEY] == SENTINEL:
            sentinel = read_sentinel(row)
        else:
            by_key[str(row[ROW_KEY])] = row
    wanted = execution_id if execution_id is not None or sentinel is None else sentinel.execution_id
    if sentinel is not None and sentinel.execution_id != wanted:
        return StoredHistory(events=(), next_ordinal=0, sentinel=sentinel)
    events: list[HistoryEvent] = []
    next_ordinal = 0
    for key in sorted(by_key):
        row = by_key[key]
        wanted = text_of(row, "ExecutionId") if wanted is None else wanted
        if row.get("ExecutionId") != wanted:
            break
        events.append(read_history_row(row))
        next_ordinal = ordinal_of(key) + 1
    return StoredHistory(events=tuple(events), next_ordinal=next_ordinal, sentinel=sentinel)


def transactions(groups: Iterable[Sequence[Row]]) -> list[list[Row]]:
    """Cut rows into transactions, so that no group is divided.

    A group is what must not be stored in part: an activity with its result, or a single row.

    Raises:
        ValueError: A group alone is too large for a transaction.
    """
    cut: list[list[Row]] = []
    bytes_left = 0
    for group in groups:
        size = sum(row_bytes(row) for row in group)
        if len(group) > ROWS_MAX:
            raise ValueError(f"{len(group)} rows cannot be written in one transaction.")
        if not cut or size > bytes_left or len(cut[-1]) + len(group) > ROWS_MAX:
            cut.append([])
            bytes_left = TRANSACTION_BYTES_MAX
        cut[-1].extend(group)
        bytes_left -= size
    return cut


def row_bytes(row: Row) -> int:
    """Estimate a row as the provider does, or as it is sent where that is more."""
    texts = [text_of(row, column) or "" for column in LARGE_COLUMNS]
    return _ROW_BYTES + sum(max(utf16_bytes(text), len(text.encode())) for text in texts)
