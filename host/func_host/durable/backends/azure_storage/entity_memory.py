"""What the fence of an entity tells beside its history: what was consumed, and what is to be sent.

A batch replaces all that is stored, so what must outlive it stands in columns of the sentinel,
written in the same transaction: the messages that it has consumed, whose deletion comes later, and
those that it sends, which are put later. A message of the one kind or the other that comes again
after a crash is known, or sent once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from func_host.durable.backends.azure_storage.large import is_large
from func_host.durable.backends.azure_storage.messages import (
    Envelope,
    decode_envelope,
    encode_envelope,
)
from func_host.durable.backends.azure_storage.recent_messages import (
    RecentMessages,
    is_derived,
    short_id,
)
from func_host.durable.backends.azure_storage.table_rows import text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from func_host.durable.backends.azure_storage.table_rows import Row, Value

CONSUMED: Final = "ConsumedMessages"
"""A column of ours in the sentinel; where one is too small, others follow with a number."""

OUTBOX: Final = "Outbox"
"""A column of ours in the sentinel: what the last batch sends, and may not have been put yet."""

OUTBOX_BLOB: Final = "OutboxBlobName"
"""A column of ours in the sentinel: the blob where that is too large for a column."""

OUTBOX_EXECUTION: Final = "OutboxExecutionId"
"""A column of ours in the sentinel: the batch that sends it; of another one it means nothing."""

_IN_COLUMN: Final = 2_000


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message of an outbox."""

    envelope: Envelope
    visible_at: datetime | None


class _Entry(msgspec.Struct, omit_defaults=True):
    envelope: msgspec.Raw
    visible_at: datetime | None = None


_read_entries = msgspec.json.Decoder(list[_Entry]).decode


@dataclass(slots=True)
class EntityMemory:
    """What is known of an entity beside its history.

    Args:
        recent: What it has taken lately.
        consumed: Short ids of what it has consumed that may come again.
        unsent: What it sends that may not have been put.
        consumed_columns: How many columns of the fence list what was consumed.
        has_outbox: The fence has an outbox.
        outbox_blob: Where a large outbox lies, which the fence names until the next batch.
        state_blobs: Where a large state lies.
        stale_blobs: Where what was stored before lies; the status row may name it yet.
    """

    recent: RecentMessages = field(default_factory=RecentMessages)
    consumed: frozenset[str] = frozenset()
    unsent: tuple[Unsent, ...] = ()
    consumed_columns: int = 0
    has_outbox: bool = False
    outbox_blob: str | None = None
    state_blobs: tuple[str, ...] = ()
    stale_blobs: tuple[str, ...] = ()

    def note_blobs(self, state_blobs: Sequence[str], outbox_blob: str | None) -> None:
        """Note where large values of a batch lie; what the batch before named is stale."""
        outbox = () if self.outbox_blob is None else (self.outbox_blob,)
        self.stale_blobs = (*self.stale_blobs, *self.state_blobs, *outbox)
        self.state_blobs, self.outbox_blob = tuple(state_blobs), outbox_blob

    def has_consumed(self, names: Collection[str], now: datetime) -> bool:
        """Tell whether a message that goes by one of these names has been consumed."""
        return any(
            short_id(name) in self.consumed or self.recent.knows(name, now) for name in names
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message that a batch consumes, and whether it lies in a queue."""

    identity: str
    is_in_queue: bool


def note_batch(
    memory: EntityMemory,
    taken: Sequence[Taken],
    unsent: Sequence[Unsent],
    *,
    execution_id: str,
    now: datetime,
    keep: bool,
) -> Row:
    """Take a batch into the memory; give the columns that its transaction writes.

    Messages that somebody waits for come again only where the answer to this very transaction is
    lost; those of queues may be put twice, and derived ones are repeated on purpose. With `keep`
    messages of a dead host may lie hidden yet, so what was consumed before is still told of.
    """
    repeatable = [one.identity for one in taken if one.is_in_queue or is_derived(one.identity)]
    row = memory.recent.add(repeatable, now)
    before: frozenset[str] = memory.consumed if keep else frozenset()
    memory.consumed = before | {short_id(one.identity) for one in taken}
    ids = sorted(memory.consumed)
    parts = [" ".join(ids[first : first + _IN_COLUMN]) for first in range(0, len(ids), _IN_COLUMN)]
    count = max(len(parts), memory.consumed_columns)
    parts += [""] * (count - len(parts))
    row |= {_consumed_column(number): part for number, part in enumerate(parts)}
    memory.consumed_columns = sum(map(bool, parts))
    memory.unsent = tuple(unsent)
    if unsent or memory.has_outbox:
        row |= {OUTBOX: outbox_text(unsent), OUTBOX_BLOB: "", OUTBOX_EXECUTION: execution_id}
    memory.has_outbox = bool(unsent)
    return row


def read_memory(
    row: Mapping[str, Value], *, outbox: str | None, blobs: Sequence[str]
) -> EntityMemory:
    """Read the columns of a fence, with the text of the outbox that they name.

    Raises:
        UnreadableError: The outbox holds what is no message.
    """
    consumed: set[str] = set()
    count = 0
    while (text := text_of(row, _consumed_column(count))) is not None:
        consumed.update(text.split())
        count += 1
    return EntityMemory(
        recent=RecentMessages.read(row),
        consumed=frozenset(consumed),
        unsent=_read_outbox(outbox),
        consumed_columns=count,
        has_outbox=bool(text_of(row, OUTBOX) or text_of(row, OUTBOX_BLOB)),
        outbox_blob=text_of(row, OUTBOX_BLOB) or None,
        state_blobs=tuple(blobs),
    )


def outbox_text(unsent: Sequence[Unsent]) -> str:
    """Write an outbox."""
    if not unsent:
        return ""
    entries = [_Entry(msgspec.Raw(encode_envelope(one.envelope)), one.visible_at) for one in unsent]
    return msgspec.json.encode(entries).decode()


def is_outbox_large(row: Mapping[str, Value]) -> bool:
    """Tell whether an outbox belongs into a blob."""
    return is_large(text_of(row, OUTBOX) or "")


def _read_outbox(text: str | None) -> tuple[Unsent, ...]:
    found: list[Unsent] = []
    for entry in _read_entries(text or "[]"):
        envelope = decode_envelope(bytes(entry.envelope))
        assert isinstance(envelope, Envelope), "an outbox names no blobs of messages"
        found.append(Unsent(envelope, entry.visible_at))
    return tuple(found)


def _consumed_column(number: int) -> str:
    return f"{CONSUMED}{number or ''}"
