"""One write transaction of the store, in the words of its operations.

Every row is written by name from `queries.sql`. A few rows go one by one; many go as one JSON array
in one call, since each call may cost a wait for the interpreter lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import MessageId
from func_host.durable.backends.rules import Head
from func_host.durable.backends.sqlite.queries import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from func_host.durable.backends.dispatch import Arrival

Value: TypeAlias = str | int | None
Row: TypeAlias = tuple[Value, ...]

FEW_ROWS_MAX = 64


@dataclass(frozen=True, slots=True)
class StoredHead:
    """The head of an instance and where its rows are."""

    key: int
    head: Head
    output_size: int | None = None


@dataclass(slots=True)
class Effects:
    """What others must learn once the transaction is durable, in this order."""

    replaced: list[str] = field(default_factory=list[str])
    """Instances that a client's start has put a new one in place of."""
    forgotten: dict[str, Collection[MessageId]] = field(
        default_factory=dict[str, "Collection[MessageId]"]
    )
    """Instances whose messages are gone, but for those named."""
    consumed: dict[str, Collection[MessageId]] = field(
        default_factory=dict[str, "Collection[MessageId]"]
    )
    arrived: list[Arrival] = field(default_factory=list["Arrival"])
    delayed: list[tuple[int, MessageId]] = field(default_factory=list[tuple[int, MessageId]])
    ended: list[str] = field(default_factory=list[str])


class Transaction:
    """Reads and writes of the group that is being written; used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()
        rows: list[tuple[int, int]] = self._cursor.execute(SQL["last_ids"]).fetchall()
        last_instance, last_message = rows[0]
        self._instance_keys = count(last_instance + 1)
        self._message_ids = count(last_message + 1)

    def close(self) -> None:
        """Give up the cursor."""
        self._cursor.close()

    def new_key(self) -> int:
        """Give the key of a new instance."""
        return next(self._instance_keys)

    def new_message_id(self) -> MessageId:
        """Give the id of a new message: higher than any stored one."""
        return MessageId(next(self._message_ids))

    def find(self, instance_id: str) -> StoredHead | None:
        """Give the head of an instance as this transaction sees it."""
        for key, execution_id, length, status, output_size in self.rows("head", (instance_id,)):
            head = Head(execution_id, length, OrchestrationRuntimeStatus(status))
            return StoredHead(key, head, output_size)
        return None

    def find_all(self, instance_ids: Collection[str]) -> dict[str, StoredHead]:
        """Give the heads of those of these instances that exist."""
        if len(instance_ids) <= FEW_ROWS_MAX:
            found = {one: self.find(one) for one in instance_ids}
            return {one: head for one, head in found.items() if head is not None}
        rows = self.rows("heads_bulk", (_json(list(instance_ids)),))
        stored = msgspec.json.decode(
            rows[0][0],
            type=list[tuple[str, int, str, int, OrchestrationRuntimeStatus, int | None]],
        )
        return {
            instance_id: StoredHead(key, Head(execution_id, length, status), output_size)
            for instance_id, key, execution_id, length, status, output_size in stored
        }

    def rows(self, query: str, values: Row) -> list[tuple[Any, ...]]:
        """Read all rows of a query."""
        return self._cursor.execute(SQL[query], values).fetchall()

    def write(self, query: str, *values: Value) -> None:
        """Run one statement."""
        self._cursor.execute(SQL[query], values)

    def write_all(self, query: str, rows: Sequence[Row]) -> None:
        """Run a statement for each row."""
        if len(rows) > FEW_ROWS_MAX:
            self._cursor.execute(SQL[f"{query}_bulk"], (_json(rows),))
        elif rows:
            self._cursor.executemany(SQL[query], rows)

    def message_ids(self, key: int) -> frozenset[MessageId]:
        """Give the ids of what waits for an instance."""
        rows: list[tuple[int]] = self._cursor.execute(SQL["message_ids"], (key,)).fetchall()
        return frozenset(MessageId(message_id) for (message_id,) in rows)

    def purgeable(self, instance_ids: Sequence[str]) -> list[tuple[int, str]]:
        """Give key and id of those of these instances that have ended."""
        rows: list[tuple[str]] = self._cursor.execute(
            SQL["purgeable_bulk"], {"ids": _json(instance_ids)}
        ).fetchall()
        return msgspec.json.decode(rows[0][0], type=list[tuple[int, str]])

    def wipe(self, keys: Sequence[int]) -> None:
        """Delete all there is of these instances."""
        for query in (
            "wipe_history",
            "wipe_messages",
            "wipe_inputs",
            "wipe_outputs",
            "wipe_instances",
        ):
            self.write(query, _json(keys))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
