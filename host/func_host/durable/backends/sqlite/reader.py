"""Reads of the store: what is committed, never what is being written.

What is small and by key is read on the event loop, which takes a few microseconds; a hand-over to a
thread would cost far more. Large texts, long histories, lists and counts are read in a thread, each
as one JSON text in one call.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import (
    BackendUnavailableError,
    Fence,
    InstanceRecord,
    Message,
    MessageId,
    StoredInstance,
)
from func_host.durable.backends.dispatch import Arrival
from func_host.durable.backends.sqlite.errors import translate
from func_host.durable.backends.sqlite.opening import decode_summary
from func_host.durable.backends.sqlite.queries import SQL
from func_host.durable.codec import (
    decode_history_chunks,
    decode_message,
    from_microseconds,
    to_microseconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from func_host.durable.backend import HubSummary, InstanceQuery
    from func_host.durable.backends.sqlite.opening import Connections
    from func_host.durable.history import HistoryEvent

T = TypeVar("T")

LOOP_TEXT_MAX = 64 * 1024
LOOP_HISTORY_MAX = 100
TEXT_MAX = 1 << 40  # longer than any
HISTORY_CHUNK = 500
AFTER_ALL_TEXT = b""  # SQLite orders every blob after every text
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


class _Row(msgspec.Struct, array_like=True, frozen=True):
    """An instance as the query `matching` gives it."""

    instance_id: str
    execution_id: str
    name: str
    version: str
    created_time: int
    last_updated_time: int
    runtime_status: OrchestrationRuntimeStatus
    custom_status: str | None
    parked: str | None
    input: str | None
    output: str | None

    def record(self) -> InstanceRecord:
        return InstanceRecord(
            instance_id=self.instance_id,
            execution_id=self.execution_id,
            name=self.name,
            version=self.version,
            created_time=from_microseconds(self.created_time),
            last_updated_time=from_microseconds(self.last_updated_time),
            runtime_status=self.runtime_status,
            input=self.input,
            output=self.output,
            custom_status=self.custom_status,
            parked=self.parked,
        )


@dataclass(frozen=True, slots=True)
class PurgeCandidate:
    """An instance that a purge may delete."""

    instance_id: str
    history_length: int


_rows_decoder = msgspec.json.Decoder(list[_Row])


class Reader:
    """Reads committed data; a `MessageSource` for the dispatcher."""

    def __init__(self, connections: Connections, path: Path) -> None:
        self._on_loop = connections.loop_reader
        self._in_thread = connections.thread_reader
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-reader")
        self._is_closed = False

    def close(self) -> None:
        """Finish what is being read; later reads fail. Safe to call twice."""
        self._is_closed = True
        self._thread.shutdown()

    async def instance(self, instance_id: str, *, fetch_input: bool) -> InstanceRecord | None:
        """Give a status row."""
        values = {
            "instance_id": instance_id,
            "input_max": LOOP_TEXT_MAX if fetch_input else -1,
            "output_max": LOOP_TEXT_MAX,
        }
        rows = self._read(self._on_loop, "instance", values)
        if rows and _is_cut(rows[0], fetch_input=fetch_input):
            values |= {"output_max": TEXT_MAX, "input_max": TEXT_MAX if fetch_input else -1}
            rows = await self._call(lambda: self._read(self._in_thread, "instance", values))
        for row in rows:
            execution_id, name, version, created, updated, status, custom, parked = row[:8]
            return InstanceRecord(
                instance_id=instance_id,
                execution_id=execution_id,
                name=name,
                version=version,
                created_time=from_microseconds(created),
                last_updated_time=from_microseconds(updated),
                runtime_status=OrchestrationRuntimeStatus(status),
                input=row[10],
                output=row[11],
                custom_status=custom,
                parked=parked,
            )
        return None

    async def load(self, instance_id: str) -> StoredInstance | None:
        """Give an instance with its history, both as of one moment."""
        values = {"instance_id": instance_id, "history_max": LOOP_HISTORY_MAX}
        rows = self._read(self._on_loop, "loaded", values)
        if not rows:
            return None
        if rows[0][2] > LOOP_HISTORY_MAX:
            return await self._call(lambda: self._load_in_thread(instance_id))
        return _stored(instance_id, rows[0], decode_history_chunks(rows[0][6] or "[]"))

    def history_length(self, instance_id: str) -> int:
        """Tell how many events are stored; 0 where there is no such instance."""
        rows = self._read(self._on_loop, "head", (instance_id,))
        return rows[0][2] if rows else 0

    async def matching(self, query: InstanceQuery, *, after: str) -> list[InstanceRecord]:
        """Give the next instances of a filter by id: one more than its page holds, if there is."""
        values = {
            **_filter(query, after, query.runtime_status),
            "limit": query.page_size + 1,
            "fetch_input": query.fetch_input,
        }
        rows = await self._call(lambda: self._read(self._in_thread, "matching", values))
        records = (row.record() for row in _rows_decoder.decode(rows[0][0]))
        return sorted(records, key=lambda record: record.instance_id)

    async def purge_candidates(
        self, query: InstanceQuery, *, after: str, limit: int
    ) -> list[PurgeCandidate]:
        """Give the next ended instances of a filter by id."""
        statuses = query.runtime_status
        if statuses is None:
            statuses = tuple(OrchestrationRuntimeStatus)
        ended = tuple(status for status in statuses if status.is_terminal)
        values = {**_filter(query, after, ended), "limit": limit}
        rows = await self._call(lambda: self._read(self._in_thread, "purge_candidates", values))
        found = msgspec.json.decode(rows[0][0], type=list[tuple[str, int]])
        return [PurgeCandidate(*one) for one in sorted(found)]

    async def summary(self) -> HubSummary:
        """Count the instances by status."""
        rows = await self._call(lambda: self._read(self._in_thread, "summary", ()))
        return decode_summary(rows[0][0])

    def waiting(
        self, instance_id: str, *, until: int, known: Collection[MessageId], limit: int
    ) -> Sequence[Arrival]:
        """Give messages of an instance visible at `until`, in order, less those known."""
        values = {
            "instance_id": instance_id,
            "until": until,
            "known": msgspec.json.encode(sorted(known)).decode(),
            "limit": limit,
        }
        return [_arrival(instance_id, row) for row in self._read(self._on_loop, "waiting", values)]

    def due(self, *, after: tuple[int, int], until: int, limit: int) -> Sequence[Arrival]:
        """Give delayed messages of all instances with a position in this range, in order."""
        values = {"after_time": after[0], "after_id": after[1], "until": until, "limit": limit}
        return [_arrival(row[4], row) for row in self._read(self._on_loop, "due", values)]

    def next_due(self, *, after: tuple[int, int]) -> int | None:
        """Tell when the first delayed message beyond this position becomes visible."""
        values = {"after_time": after[0], "after_id": after[1]}
        rows = self._read(self._on_loop, "next_due", values)
        return rows[0][0] if rows else None

    def has_open_activities(self, instance_id: str) -> bool:
        """Tell whether the instance has not ended and has activities in flight."""
        return bool(self._read(self._on_loop, "open_activities", (instance_id,)))

    async def recoverable(self, *, after: str, limit: int) -> Sequence[str]:
        """Give ids beyond this one, in order, that have undelayed messages or open activities."""
        values = {"after": after, "limit": limit}
        rows = await self._call(lambda: self._read(self._in_thread, "recoverable", values))
        return sorted(msgspec.json.decode(rows[0][0], type=list[str]))

    def _load_in_thread(self, instance_id: str) -> StoredInstance | None:
        connection = self._in_thread
        connection.execute("BEGIN").close()
        try:
            values = {"instance_id": instance_id, "history_max": 0}
            for row in self._read(connection, "loaded", values):
                return _stored(instance_id, row, self._history(row[0]))
            return None
        finally:
            connection.execute("COMMIT").close()

    def _history(self, instance: int) -> list[HistoryEvent]:
        history: list[HistoryEvent] = []
        after = -1
        while True:
            values = {"instance": instance, "after": after, "limit": HISTORY_CHUNK}
            text, last = self._read(self._in_thread, "history_chunk", values)[0]
            if text is None:
                return history
            history += decode_history_chunks(text)
            after = last

    def _read(
        self,
        connection: sqlite3.Connection,
        query: str,
        values: Mapping[str, object] | tuple[str, ...],
    ) -> list[tuple[Any, ...]]:
        if self._is_closed:
            raise BackendUnavailableError(f"The store {self._path} is closed.")
        try:
            return connection.execute(SQL[query], values).fetchall()
        except sqlite3.Error as error:
            raise translate(error, self._path) from error

    async def _call(self, read: Callable[[], T]) -> T:
        if self._is_closed:
            raise BackendUnavailableError(f"The store {self._path} is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._thread, read)


def _is_cut(row: tuple[Any, ...], *, fetch_input: bool) -> bool:
    input_size, output_size, input_text, output_text = row[8:12]
    return (fetch_input and input_size is not None and input_text is None) or (
        output_size is not None and output_text is None
    )


def _stored(instance_id: str, row: tuple[Any, ...], history: list[HistoryEvent]) -> StoredInstance:
    _, execution_id, history_length, status, custom_status, parked, _ = row
    return StoredInstance(
        instance_id=instance_id,
        fence=Fence(execution_id, history_length),
        runtime_status=OrchestrationRuntimeStatus(status),
        custom_status=custom_status,
        history=history,
        parked=parked,
    )


def _arrival(instance_id: str, row: tuple[Any, ...]) -> Arrival:
    arrives_at, message_id, text, execution_id = row[:4]
    message = Message(MessageId(message_id), decode_message(text), execution_id)
    return Arrival(arrives_at, instance_id, message, len(text))


def _filter(
    query: InstanceQuery, after: str, statuses: tuple[OrchestrationRuntimeStatus, ...] | None
) -> dict[str, object]:
    prefix = query.instance_id_prefix or ""
    created_from, created_to = query.created_time_from, query.created_time_to
    return {
        "after": after,
        "first": max(prefix, after),
        "end": _end_of_prefix(prefix),
        "created_from": None if created_from is None else to_microseconds(created_from),
        "created_to": None if created_to is None else to_microseconds(created_to),
        "statuses": None
        if statuses is None
        else msgspec.json.encode([status.value for status in statuses]).decode(),
    }


def _end_of_prefix(prefix: str) -> str | bytes:
    """Give the first text in order beyond all that begin with this prefix."""
    kept = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not kept:
        return AFTER_ALL_TEXT
    following = ord(kept[-1]) + 1
    if following in _SURROGATES:
        following = _SURROGATES.stop
    return kept[:-1] + chr(following)
