"""Time spans as .NET writes them: `hh:mm:ss`, with days before and fractions behind."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_SPAN: Final = re.compile(
    r"(?:(?P<days>\d{1,8})\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})"
    r"(?::(?P<seconds>\d{1,2})(?:\.(?P<fraction>\d{1,7}))?)?"
)
_HOURS_MAX: Final = 23
_SIXTIETHS_MAX: Final = 59


def parse_duration(text: str) -> timedelta:
    """Read `hh:mm:ss`, `hh:mm`, `d.hh:mm:ss` and `hh:mm:ss.fff`.

    Raises:
        ValueError: It is none of these; the message says what was expected.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'expected a time span like "00:05:00" (hh:mm:ss), not "{text}"')
    hours, minutes, seconds = (int(match[unit] or 0) for unit in ("hours", "minutes", "seconds"))
    if hours > _HOURS_MAX or minutes > _SIXTIETHS_MAX or seconds > _SIXTIETHS_MAX:
        raise ValueError(
            f'expected hours up to 23, minutes and seconds up to 59, not "{text}"; '
            'a day is written "1.00:00:00"'
        )
    microseconds = int((match["fraction"] or "0").ljust(7, "0")) // 10
    return timedelta(
        days=int(match["days"] or 0),
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        microseconds=microseconds,
    )
