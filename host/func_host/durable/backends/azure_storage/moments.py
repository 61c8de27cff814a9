"""Moments as text: .NET's in messages and rows, up to a tenth of a microsecond.

Ours have whole microseconds. What others wrote finer is cut off, never rounded, so that reading
does not make a moment later than it was.
"""

from __future__ import annotations

from datetime import UTC, datetime


def message_time(moment: datetime) -> str:
    """Write an aware moment as in messages: zeros at the end of the fraction are left out."""
    text = _utc(moment).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"


def row_time(moment: datetime) -> str:
    """Write an aware moment as in table rows: always seven digits."""
    return f"{_utc(moment).isoformat(timespec='microseconds')}0Z"


def read_time(text: str) -> datetime:
    """Read a moment; without a zone it is UTC, as entities write it.

    Raises:
        ValueError: The text is no moment.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _utc(moment: datetime) -> datetime:
    """Take the zone off, so that it is not written as an offset."""
    assert moment.tzinfo is not None, "a moment without a zone is no moment"
    return moment.astimezone(UTC).replace(tzinfo=None)
