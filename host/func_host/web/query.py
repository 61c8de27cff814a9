"""The query string of the management API, read by the rules of the extension.

Names compare without case, the same name twice is joined with a comma, and a value that cannot be
parsed is as good as absent. There is no answer 400 for a filter that cannot be read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from func_bindings.durable.status import OrchestrationRuntimeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = re.compile(r"[+-]?(\d[\d,]*\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_NOT_A_SPAN = {"nan": "nan", "infinity": "inf", "+infinity": "inf", "-infinity": "-inf"}
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_INT32_MAX = 2**31 - 1
_SHORT_YEAR = re.compile(r"^\d{1,3}(?=-\d)", re.ASCII)
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T]+(.*))?", re.ASCII)
_STATUS_BY_NUMBER = (
    OrchestrationRuntimeStatus.Running,
    OrchestrationRuntimeStatus.Completed,
    OrchestrationRuntimeStatus.ContinuedAsNew,
    OrchestrationRuntimeStatus.Failed,
    OrchestrationRuntimeStatus.Canceled,
    OrchestrationRuntimeStatus.Terminated,
    OrchestrationRuntimeStatus.Pending,
    OrchestrationRuntimeStatus.Suspended,
)
_STATUS_BY_NAME = {status.value: status for status in _STATUS_BY_NUMBER}
_UNKNOWN_STATUS = "-1"


class BadArgumentError(ValueError):
    """The caller's value makes no sense; the text is the `ExceptionMessage` of the answer."""


class Query:
    """The parameters of one request."""

    __slots__ = ("_values",)

    def __init__(self, raw: bytes) -> None:
        """Read a query string as it was sent."""
        self._values = _parse(raw.decode("utf-8", "replace")) if raw else _NOTHING

    def text(self, name: str) -> str | None:
        """Give the value as it is; None where the parameter is absent."""
        return self._values.get(name.lower())

    def flag(self, name: str, *, default: bool) -> bool:
        """Give `true` or `false` in any case; the default for anything else."""
        value = self.text(name)
        if value is None:
            return default
        return {"true": True, "false": False}.get(value.strip().lower(), default)

    def integer(self, name: str) -> int | None:
        """Give a 32-bit integer; None for anything else."""
        value = (self.text(name) or "").strip()
        if not _INTEGER.fullmatch(value):
            return None
        number = int(value)
        return number if -_INT32_MAX <= number <= _INT32_MAX else None

    def seconds(self, name: str) -> float | None:
        """Give a number of seconds, maybe NaN or infinite; None for what is no number."""
        value = (self.text(name) or "").strip()
        odd = _NOT_A_SPAN.get(value.lower())
        if odd is not None:
            return float(odd)
        return float(value.replace(",", "")) if _SECONDS.fullmatch(value) else None

    def timestamp(self, name: str) -> datetime | None:
        """Give a point in time, UTC where no offset is given; None for what is none."""
        value = (self.text(name) or "").strip()
        return parse_timestamp(value) if value else None

    def statuses(self, name: str) -> tuple[OrchestrationRuntimeStatus, ...] | None:
        """Give the statuses of a list; None where nothing in it is a status.

        Raises:
            BadArgumentError: `Unknown` is asked for, which no store knows.
        """
        value = self.text(name)
        if not value:
            return None
        found: list[OrchestrationRuntimeStatus] = []
        has_number = False
        for item in (part.strip() for part in value.split(",")):
            if item in ("Unknown", _UNKNOWN_STATUS):
                raise BadArgumentError("Requested value 'Unknown' was not found.")
            status = _STATUS_BY_NAME.get(item)
            if status is None and _INTEGER.fullmatch(item):
                has_number = True
                number = int(item)
                status = _STATUS_BY_NUMBER[number] if 0 <= number < len(_STATUS_BY_NUMBER) else None
            if status is not None:
                found.append(status)
        return tuple(found) if found or has_number else None


_NOTHING: Mapping[str, str] = {}


def _parse(raw: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in raw.split("&"):
        name, equals, value = part.partition("=")
        if not equals:
            continue
        name = unquote_plus(name).lower()
        value = unquote_plus(value)
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def parse_timestamp(text: str) -> datetime | None:
    """Read ISO 8601, or the month/day/year of the United States; None for anything else."""
    american = _US_DATE.fullmatch(text)
    if american:
        month, day, year, time = american.groups()
        text = f"{year}-{int(month):02}-{int(day):02}T{time or '00:00:00'}"
    else:
        text = _SHORT_YEAR.sub(lambda year: year[0].zfill(4), text, count=1)
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
