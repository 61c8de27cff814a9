"""How a message lies in a queue: as which text, up to which size, invisible for how long."""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from func_host.durable.backends.azure_storage.wire_events import UnreadableError

if TYPE_CHECKING:
    from datetime import datetime

MESSAGE_BYTES_MAX: Final = 45 * 1024
"""Envelopes with more JSON than this go to a blob."""

TIME_TO_LIVE_S: Final = -1
"""Messages never expire; the client library's own default is seven days."""

DELAY_MAX: Final = timedelta(days=7)
"""No message can be invisible for longer."""


class QueueEncoding(Enum):
    """`queueClientMessageEncoding`: how the text of messages is written; both are read."""

    Base64 = "Base64"
    UTF8 = "UTF8"


def to_queue_text(message: bytes, encoding: QueueEncoding = QueueEncoding.Base64) -> str:
    """Give the text to put for the JSON of a message.

    Plain text is written in ASCII: one character that XML cannot hold would make every batch that
    contains it unreadable, and block the queue.
    """
    if encoding is QueueEncoding.Base64:
        return base64.b64encode(message).decode()
    return _NOT_ASCII.sub(_escaped, message.decode())


def from_queue_text(text: str) -> bytes:
    """Give the JSON of a message, however its text was written.

    Raises:
        UnreadableError: The text is neither a JSON object nor Base64.
    """
    if text.lstrip().startswith("{"):
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableError(f"A message is neither JSON nor Base64: {error}") from error


def is_large(message: bytes) -> bool:
    """Tell whether the JSON of a message must lie in a blob."""
    return len(message) > MESSAGE_BYTES_MAX


def delay_s(visible_at: datetime | None, now: datetime) -> int:
    """Give the whole seconds for which a message is put invisible: never too few.

    The service counts in whole seconds, so a timer may come up to a second late, and not early.
    """
    if visible_at is None or visible_at <= now:
        return 0
    return math.ceil(min(visible_at - now, DELAY_MAX).total_seconds())


_NOT_ASCII: Final = re.compile(r"[^\x00-\x7e]")


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
