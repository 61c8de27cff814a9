"""Which messages an entity has taken lately, as columns of the fence of its history.

An entity keeps no rows of what it has consumed. So that a message that is put again, by a client
that repeats an operation id or by a sender that died, is known as a copy, the fence lists what has
been taken: chunk by chunk, each a column that is rewritten until it is full; then the oldest chunk
makes room. A commit writes the columns that have changed. Other readers of a history leave columns
alone that they do not know.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from func_host.durable.backend import OPERATION_ID_KEPT
from func_host.durable.backends.azure_storage.table_rows import int_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from func_host.durable.backends.azure_storage.table_rows import Row, Value

CHUNK_IDS: Final = 500
CHUNKS: Final = 41
"""With the one that is being filled, 20,000 ids at least are known."""

RECENT_AT: Final = "RecentMessagesAt"
"""A column of ours in the sentinel of an entity: which chunk is being filled."""

_DIGEST_BYTES: Final = 9
_SHORT: Final = 12
_DERIVED: Final = "5"
_VERSION_AT: Final = 12
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)


def chunk_column(number: int) -> str:
    """Name the column of a chunk: a column of ours in the sentinel of an entity."""
    return f"RecentMessages{number:02}"


def short_id(identity: str) -> str:
    """Give twelve letters that stand for the identity of a message."""
    digest = hashlib.blake2b(identity.encode(), digest_size=_DIGEST_BYTES).digest()
    return urlsafe_b64encode(digest).decode()


def is_derived(identity: str) -> bool:
    """Tell whether an identity follows from something, so that it may well come again."""
    return identity[_VERSION_AT : _VERSION_AT + 1] == _DERIVED


class RecentMessages:
    """What one entity has taken lately; it is in memory what the columns say."""

    def __init__(self) -> None:
        self._chunks: list[dict[str, int]] = [{} for _ in range(CHUNKS)]
        self._times: dict[str, int] = {}
        self._at = 0

    @classmethod
    def read(cls, row: Mapping[str, Value]) -> RecentMessages:
        """Read the columns of a fence; what nobody could have written is left out."""
        recent = cls()
        for number, chunk in enumerate(recent._chunks):
            chunk.update(_read_chunk(text_of(row, chunk_column(number)) or ""))
            recent._times.update(chunk)
        recent._at = (int_of(row, RECENT_AT) or 0) % CHUNKS
        return recent

    def knows(self, identity: str, now: datetime) -> bool:
        """Tell whether a message has been taken within the time that is promised."""
        minute = self._times.get(short_id(identity))
        return minute is not None and _EPOCH + (minute + 1) * _MINUTE > now - OPERATION_ID_KEPT

    def add(self, identities: Iterable[str], now: datetime) -> Row:
        """Note messages as taken; give the columns to be written."""
        minute = (now - _EPOCH) // _MINUTE
        changed: set[int] = set()
        for identity in identities:
            if len(self._chunks[self._at]) >= CHUNK_IDS:
                self._at = (self._at + 1) % CHUNKS
                changed |= self._clear(self._at, minute)
            short = short_id(identity)
            self._chunks[self._at][short] = self._times[short] = minute
            changed.add(self._at)
        columns: Row = {chunk_column(one): _chunk_text(self._chunks[one]) for one in changed}
        return {**columns, RECENT_AT: self._at} if changed else {}

    def _clear(self, at: int, minute: int) -> set[int]:
        """Empty a chunk, and those of which nothing need be known any more."""
        oldest = minute - OPERATION_ID_KEPT // _MINUTE - 1
        cleared = {at}
        for number, chunk in enumerate(self._chunks):
            is_old = bool(chunk) and max(chunk.values()) < oldest
            if number != at and not is_old:
                continue
            cleared.add(number)
            for short, then in chunk.items():
                if self._times.get(short) == then:
                    del self._times[short]
            chunk.clear()
        return cleared


def _chunk_text(chunk: Mapping[str, int]) -> str:
    """Write a chunk: for each minute the ids one behind the other."""
    by_minute: dict[int, list[str]] = {}
    for short, minute in chunk.items():
        by_minute.setdefault(minute, []).append(short)
    return " ".join(f"{minute}:{''.join(ids)}" for minute, ids in by_minute.items())


def _read_chunk(text: str) -> Iterator[tuple[str, int]]:
    for part in text.split():
        minute, _, ids = part.partition(":")
        if minute.isdecimal():
            for first in range(0, len(ids), _SHORT):
                yield ids[first : first + _SHORT], int(minute)
