"""The history table: read an instance's history, and append to it under its fence.

Every transaction holds the sentinel row, inserted or merged under its ETag, with a token drawn for
the attempt: where the answer to a write was lost, the token tells our own write from another's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from azure.core.exceptions import HttpResponseError
from msgspec import structs

from func_host.durable.backend import StaleCommitError
from func_host.durable.backends.azure_storage.client_batch import (
    OPERATIONS_MAX,
    Delete,
    Insert,
    Merge,
    Replace,
)
from func_host.durable.backends.azure_storage.filters import (
    KEY_COLUMNS,
    history_filter,
    instance_filter,
)
from func_host.durable.backends.azure_storage.history_rows import history_row
from func_host.durable.backends.azure_storage.keys import SENTINEL, escape_key
from func_host.durable.backends.azure_storage.large import (
    BlobText,
    blob_columns,
    history_blob_name,
    offload,
    with_texts,
)
from func_host.durable.backends.azure_storage.stored_history import (
    ROWS_MAX,
    TRANSACTION_BYTES_MAX,
    Sentinel,
    StoredHistory,
    read_history,
    read_sentinel,
    row_bytes,
    sentinel_row,
    transactions,
)
from func_host.durable.backends.azure_storage.table_rows import (
    CHECKPOINT_TOKEN,
    MESSAGE_ID,
    PARTITION_KEY,
    ROW_KEY,
    Row,
    read_row,
    text_of,
)
from func_host.durable.backends.azure_storage.withholding import in_pairs
from func_host.durable.history import ExecutionStarted, OrchestratorCompleted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from func_host.clock import IdSource
    from func_host.durable.backends.azure_storage.blobs import LargeValues
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.client_tables import Table
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.table_rows import Value
    from func_host.durable.history import HistoryEvent

_CONFLICTS: Final = frozenset({409, 412})
_LEFT_OPEN: Final = "IsLeftOpen"
"""A column of ours in the sentinel: the instance is to be looked at again after a crash."""

_CONSUMED: Final = "ConsumedMessages"
"""A column of ours in the sentinel: messages that a run has consumed which another one followed.

Their events have no rows any more, and their messages may not be deleted yet.
"""

_FOLLOWS: Final = "FollowedExecutionId"
"""A column of ours in the sentinel: the run that this one has followed by continue-as-new.

The status row may still be of that one, where the host died before it had written it.
"""

_BLOBS_AT_ONCE: Final = 8
_FENCE_COLUMNS: Final = (*KEY_COLUMNS, "ExecutionId")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedHistory:
    """A history as it is stored, with the ETag of its fence and the messages it has consumed.

    `unconfirmed` are those that only the fence tells of. `follows` is the run that the current one
    has followed by continue-as-new. `fence_row` is all that the fence says; `blobs` are those where
    large values of the rows lie.
    """

    stored: StoredHistory
    etag: str | None
    consumed_ids: frozenset[str]
    is_left_open: bool
    unconfirmed: tuple[str, ...] = ()
    follows: str | None = None
    fence_row: Row = field(default_factory=dict[str, "Value"])
    blobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """What is to be written: events from an ordinal on, under the fence last seen.

    `message_ids` gives, by the place of an event, the queue message that it came in. Where
    `is_left_open` is given, the fence says whether there is something to do that no event tells.
    Where `unconfirmed` is given, the fence tells of these consumed messages; where `follows` is,
    which run this one has followed, if any.
    Where `are_rows_new`, no row can lie where these go: inserts are cheaper than replacements in
    an emulator, whose replacements take the longer the more rows the instance has.
    `more` are other columns of the fence.
    """

    instance_id: str
    execution_id: str
    events: Sequence[HistoryEvent]
    first_ordinal: int
    etag: str | None
    now: datetime
    message_ids: Mapping[int, str]
    is_continued: bool = False
    is_left_open: bool | None = None
    are_rows_new: bool = False
    unconfirmed: Sequence[str] | None = None
    follows: str | None = None
    more: Mapping[str, Value] = field(default_factory=dict[str, "Value"])


@dataclass(frozen=True, slots=True)
class Appended:
    """The new ETag of the fence, and the events in the order in which they are stored.

    `blobs` are those where large values of them lie.
    """

    etag: str
    events: Sequence[HistoryEvent]
    blobs: Sequence[str] = ()


class HistoryStore:
    """The histories of a hub."""

    def __init__(
        self, clients: StorageClients, names: TaskHubNames, blobs: LargeValues, ids: IdSource
    ) -> None:
        self._clients = clients
        self._name = names.history_table
        self._blobs = blobs
        self._ids = ids

    async def load(self, instance_id: str, execution_id: str | None) -> LoadedHistory:
        """Read the history of one execution, or of the one that the fence says is current.

        The fence is that of the instance.
        """
        rows: list[Row] = []
        etag: str | None = None
        is_left_open = False
        unconfirmed: tuple[str, ...] = ()
        follows: str | None = None
        fence_row: Row = {}
        query = self._table.query_entities(history_filter(instance_id, execution_id))
        async for entity in query:
            row = read_row(entity)
            if row[ROW_KEY] == SENTINEL:
                etag, fence_row = _etag_of(entity), row
                is_left_open = bool(row.get(_LEFT_OPEN))
                unconfirmed = tuple((text_of(row, _CONSUMED) or "").split())
                follows = text_of(row, _FOLLOWS) or None
            rows.append(row)
        if execution_id is None:
            rows = [row for row in rows if row.get("ExecutionId") == fence_row.get("ExecutionId")]
        blobs = tuple(name for row in rows for name in blob_columns(row).values())
        rows = await self._with_blobs(rows)
        consumed = {text_of(row, MESSAGE_ID) for row in rows} - {None}
        return LoadedHistory(
            stored=_without_first_generation(read_history(rows, execution_id)),
            etag=etag,
            consumed_ids=frozenset(str(one) for one in consumed) | set(unconfirmed),
            is_left_open=is_left_open,
            unconfirmed=unconfirmed,
            follows=follows,
            fence_row=fence_row,
            blobs=blobs,
        )

    async def append(self, append: Append) -> Appended:
        """Write events, all in one transaction where they fit.

        Raises:
            StaleCommitError: Somebody else has written.
        """
        etag = append.etag
        pieces, events = await self._pieces(append)
        for number, rows in enumerate(pieces, start=1):
            is_last = number == len(pieces)
            sentinel = Sentinel(
                execution_id=append.execution_id,
                checkpoint_completed=append.now,
                token=self._ids.new_id(),
            )
            row = sentinel_row(append.instance_id, sentinel, is_checkpoint_complete=is_last)
            if append.is_left_open is not None:
                row[_LEFT_OPEN] = append.is_left_open
            if append.unconfirmed is not None:
                row[_CONSUMED] = " ".join(append.unconfirmed)
            if append.follows is not None:
                row[_FOLLOWS] = append.follows
            row.update(append.more)
            writes = [Insert(each) if append.are_rows_new else Replace(each) for each in rows]
            etag = await self._write(append.instance_id, writes, row, etag)
        assert etag is not None, "nothing was appended"
        blobs = [name for rows in pieces for row in rows for name in blob_columns(row).values()]
        return Appended(etag, events, blobs)

    async def put_blob(self, instance_id: str, column: str, text: str) -> str:
        """Store the large value of a column of the fence; give its blob."""
        row: Row = {PARTITION_KEY: escape_key(instance_id), ROW_KEY: SENTINEL}
        name = history_blob_name(row, column, self._draw_suffix())
        await self._blobs.put(name, text)
        return name

    async def delete_execution(self, instance_id: str, execution_id: str) -> bool:
        """Delete every row of an instance that is still in this execution; give whether it was."""
        query = self._table.query_entities(
            instance_filter(instance_id), select=list(_FENCE_COLUMNS)
        )
        others: list[Row] = []
        fence: Delete | None = None
        async for entity in query:
            row = read_row(entity)
            key: Row = {PARTITION_KEY: row[PARTITION_KEY], ROW_KEY: row[ROW_KEY]}
            if row[ROW_KEY] != SENTINEL:
                others.append(key)
            elif row.get("ExecutionId") != execution_id:
                return False
            else:
                fence = Delete(key, _etag_of(entity))
        first = [] if fence is None else [fence]
        for start in range(0, len(others) + len(first), OPERATIONS_MAX - 1):
            some = [*first, *map(Delete, others[start:][: OPERATIONS_MAX - 1])]
            first = []
            try:
                if some:
                    await self._table.transact(some)
            except HttpResponseError as error:
                if error.status_code not in _CONFLICTS:
                    raise
                return False
        return True

    async def delete(self, instance_id: str) -> None:
        """Delete every row of an instance."""
        query = self._table.query_entities(instance_filter(instance_id), select=list(KEY_COLUMNS))
        keys = [dict(entity) async for entity in query]
        for first in range(0, len(keys), OPERATIONS_MAX):
            await self._table.transact([Delete(key) for key in keys[first:][:OPERATIONS_MAX]])

    @property
    def _table(self) -> Table:
        return self._clients.table(self._name)

    async def _pieces(self, append: Append) -> tuple[list[list[Row]], Sequence[HistoryEvent]]:
        """Make the rows, in natural order where they fit into one transaction; store blobs."""
        rows = await self._rows(append, append.events)
        size = sum(map(row_bytes, rows))
        if len(rows) <= ROWS_MAX and size <= TRANSACTION_BYTES_MAX:
            return [rows], append.events
        groups = in_pairs(append.events)
        events = [event for group in groups for event in group]
        rows = await self._rows(append, events)
        position = 0
        row_groups: list[list[Row]] = []
        for group in groups:
            row_groups.append(rows[position : position + len(group)])
            position += len(group)
        return transactions(row_groups), events

    async def _rows(self, append: Append, events: Sequence[HistoryEvent]) -> list[Row]:
        rows: list[Row] = []
        is_continued = append.is_continued
        ids = {id(append.events[place]): name for place, name in append.message_ids.items()}
        blobs: list[BlobText] = []
        for ordinal, event in enumerate(events, append.first_ordinal):
            is_first_end = is_continued and isinstance(event, OrchestratorCompleted)
            row = history_row(
                event,
                ordinal,
                instance_id=append.instance_id,
                execution_id=append.execution_id,
                is_played=True if is_first_end else None,
            )
            is_continued = is_continued and not is_first_end
            if _is_first_use(event) and not append.is_continued:
                row["Generation"] = 0
            if id(event) in ids:
                row[MESSAGE_ID] = ids[id(event)]
            row, moved = offload(row, self._draw_suffix)
            blobs += moved
            rows.append(row)
        limit = asyncio.Semaphore(_BLOBS_AT_ONCE)
        await asyncio.gather(*(self._put(blob, limit) for blob in blobs))
        return rows

    async def _put(self, blob: BlobText, limit: asyncio.Semaphore) -> None:
        async with limit:
            await self._blobs.put(blob.name, blob.text)

    def _draw_suffix(self) -> str:
        return self._ids.new_id()[:8].upper()

    async def _write(
        self, instance_id: str, writes: Sequence[Insert | Replace], sentinel: Row, etag: str | None
    ) -> str:
        fence = Insert(sentinel) if etag is None else Merge(sentinel, etag)
        try:
            etags = await self._table.transact([*writes, fence])
        except HttpResponseError as error:
            if error.status_code not in _CONFLICTS:
                raise
            return await self._etag_if_ours(instance_id, sentinel, error)
        return etags[-1]

    async def _etag_if_ours(self, instance_id: str, sentinel: Row, error: HttpResponseError) -> str:
        """Tell a lost answer from a lost race: what is stored carries the token of who wrote it."""
        key = f"{instance_filter(instance_id)} and RowKey eq '{SENTINEL}'"
        async for entity in self._table.query_entities(key):
            if read_sentinel(read_row(entity)).token == sentinel[CHECKPOINT_TOKEN]:
                return _etag_of(entity)
        raise StaleCommitError(
            f"The instance '{instance_id}' changed under a commit: another host has written."
        ) from error

    async def _with_blobs(self, rows: Sequence[Row]) -> list[Row]:
        limit = asyncio.Semaphore(_BLOBS_AT_ONCE)

        async def read(row: Row) -> Row:
            columns = blob_columns(row)
            if not columns:
                return row
            async with limit:
                texts = {
                    column: (await self._blobs.get(name)).decode()
                    for column, name in columns.items()
                }
            return with_texts(row, texts)

        return list(await asyncio.gather(*map(read, rows)))


def _is_first_use(event: HistoryEvent) -> bool:
    """Tell whether a client started an instance with an id that was free: generation 0."""
    return (
        isinstance(event, ExecutionStarted)
        and event.parent_instance is None
        and not event.generation
    )


def _without_first_generation(stored: StoredHistory) -> StoredHistory:
    """Say nothing of the first generation: that is how our own starts are."""
    events = [
        structs.replace(event, generation=None)
        if isinstance(event, ExecutionStarted) and event.generation == 0
        else event
        for event in stored.events
    ]
    return replace(stored, events=tuple(events))


def _etag_of(entity: Mapping[str, Any]) -> str:
    metadata = cast("Mapping[str, Any]", getattr(entity, "metadata", {}))
    return str(metadata["etag"])
