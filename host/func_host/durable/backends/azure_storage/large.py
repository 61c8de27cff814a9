"""Values that are too large for a column or a queue: when, in which blob, and found again how.

Blobs lie in one container of the hub. History blobs lie under the escaped instance id, message
blobs under the id as it is, as the provider has them.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from func_host.durable.backends.azure_storage.keys import escape_key, unescape_key
from func_host.durable.backends.azure_storage.table_rows import (
    PARTITION_KEY,
    ROW_KEY,
    Row,
    Value,
    text_of,
)
from func_host.durable.backends.azure_storage.wire_events import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLUMN_BYTES_MAX: Final = 60 * 1024
"""Text of a column with more bytes in UTF-16 goes to a blob."""

LARGE_COLUMNS: Final = (
    "Name",
    "Input",
    "Result",
    "Output",
    "Reason",
    "Details",
    "Correlation",
    "FailureDetails",
    "Tags",
)
"""The columns whose text may go to a blob."""

CONTENT_TYPE: Final = "application/octet-stream"
"""Of every blob; there is no content encoding, though the content is gzip."""

TEXT_BYTES_MAX: Final = 256 * 1024 * 1024
"""No blob holds more text than this: more is not unpacked."""

_BLOB_NAME: Final = "BlobName"
_GZIP_HEADER: Final = bytes.fromhex("1f8b0800000000000003")
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_CONTAINER_AT: Final = (1, 2)
"""Segments of a path: the container comes first, or after the account, as in an emulator."""
_BASIC_PLANE_MAX: Final = "\uffff"


@dataclass(frozen=True, slots=True)
class BlobText:
    """A text to be stored as a blob."""

    name: str
    text: str


def utf16_bytes(text: str) -> int:
    """Give the size of a text in UTF-16, as .NET counts it."""
    if text.isascii():
        return 2 * len(text)
    return 2 * (len(text) + sum(letter > _BASIC_PLANE_MAX for letter in text))


def is_large(text: str) -> bool:
    """Tell whether a text is too large for a column."""
    return 4 * len(text) > COLUMN_BYTES_MAX and utf16_bytes(text) > COLUMN_BYTES_MAX


def offload(row: Row, draw_suffix: Callable[[], str]) -> tuple[Row, tuple[BlobText, ...]]:
    """Move large texts of a row to blobs, to be stored before the row is.

    The column is left empty, and another one names the blob.

    Args:
        row: A row of the history, or the row that a client creates for an instance.
        draw_suffix: Gives 8 upper-case hex digits, others at each call: two writers that both
            believe they own the instance must not overwrite each other's blobs.
    """
    large = [column for column in LARGE_COLUMNS if is_large(text_of(row, column) or "")]
    if not large:
        return row, ()
    moved = dict(row)
    blobs: list[BlobText] = []
    for column in large:
        name = history_blob_name(row, column, draw_suffix())
        blobs.append(BlobText(name, str(row[column])))
        moved[column] = ""
        moved[f"{column}{_BLOB_NAME}"] = name
    return moved, tuple(blobs)


def blob_columns(row: Mapping[str, Value]) -> dict[str, str]:
    """Give the columns of a row whose text lies in a blob, with the blob's name."""
    names = ((column, text_of(row, f"{column}{_BLOB_NAME}")) for column in LARGE_COLUMNS)
    return {column: name for column, name in names if name}


def with_texts(row: Mapping[str, Value], texts: Mapping[str, str]) -> Row:
    """Put the texts of `blob_columns` back into a row."""
    blob_names = {f"{column}{_BLOB_NAME}" for column in texts}
    return {**{name: row[name] for name in row if name not in blob_names}, **texts}


def history_blob_name(row: Mapping[str, Value], column: str, suffix: str) -> str:
    """Name the blob of a column; a row that is no event gives the column in the event's place."""
    event_type = row.get("EventType", column)
    return f"{row[PARTITION_KEY]}/history-{row[ROW_KEY]}-{event_type}-{suffix}-{column}.json.gz"


def message_blob_name(instance_id: str, activity_id: str, event_name: str) -> str:
    """Name the blob of a message to an instance; the activity id has 32 hex digits."""
    return f"{instance_id}/message-{activity_id}-{event_name}.json.gz"


def is_message_blob(blob_name: str) -> bool:
    """Tell whether a blob holds an envelope, and not the text of a column."""
    return blob_name.rpartition("/")[2].startswith("message-")


def blob_prefixes(instance_id: str) -> tuple[str, ...]:
    """Give the prefixes under which all blobs of an instance lie; `is_blob_of` drops others'."""
    return (f"{instance_id}/message-", f"{escape_key(instance_id)}/history-")


def is_blob_of(blob_name: str, instance_id: str) -> bool:
    """Tell whether a blob is of this instance, and not of one whose id only begins alike."""
    return any(
        blob_name.startswith(prefix) and "/" not in blob_name[len(prefix) :]
        for prefix in blob_prefixes(instance_id)
    )


def blob_url(container_url: str, blob_name: str) -> str:
    """Give the absolute address of a blob, as it stands in a status row."""
    return f"{container_url.rstrip('/')}/{quote(blob_name, safe='/@')}"


def blob_of_url(text: str | None, *, container: str, partition_key: str) -> str | None:
    """Give the blob that a column means with its text, or None where the text is the value.

    It must be a URL into the hub's container, of a blob of the very instance: no other text is
    ever taken for one. The host does not count, so that an account may be reached by another name.
    """
    if text is None or not text.startswith(("http://", "https://")):
        return None
    try:
        path = unquote(urlsplit(text).path, errors="strict")
    except ValueError:
        return None
    segments = path.split("/")
    instance_id = unescape_key(partition_key)
    for at in _CONTAINER_AT:
        blob = "/".join(segments[at + 1 :])
        if segments[at : at + 1] == [container] and is_blob_of(blob, instance_id):
            return blob
    return None


def compress(text: str | bytes) -> bytes:
    """Give the content of the blob of a text: the same text always gives the same bytes."""
    raw = text.encode() if isinstance(text, str) else text
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = deflate.compress(raw) + deflate.flush()
    return _GZIP_HEADER + body + struct.pack("<II", zlib.crc32(raw), len(raw) & 0xFFFFFFFF)


def decompress(content: bytes) -> bytes:
    """Give the text of a blob in UTF-8.

    Raises:
        UnreadableError: It is not gzip, is cut off, or unpacks to more than `TEXT_BYTES_MAX`.
    """
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        text = unpacker.decompress(content, TEXT_BYTES_MAX)
    except zlib.error as error:
        raise UnreadableError(f"A blob of a large value is not gzip: {error}") from error
    if not unpacker.eof:
        raise UnreadableError("A blob of a large value is cut off, or too large to be unpacked.")
    return text
