"""What is stored of an instance, as a client and the status endpoint show it."""

from __future__ import annotations

import json
import re
from datetime import UTC
from typing import TYPE_CHECKING, Any, Never

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from func_host.durable.backend import InstanceRecord

_decode = msgspec.json.Decoder().decode
_skip = msgspec.json.Decoder(msgspec.Raw).decode
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def stored_value(text: str | None) -> Any:
    """Read stored text: JSON as its value, anything else as the text itself, blank as `""`.

    The whole text must be JSON, so `42 apples` stays a text. (The extension reads what comes
    first and gives 42.)
    """
    if text is None:
        return None
    if not text.strip():
        return ""
    if not is_json(text):
        return text
    try:
        return _decode(text)
    except msgspec.MsgspecError:  # a number beyond the range of float, a lone surrogate
        return json.loads(text)


def stored_json(text: str | None) -> msgspec.Raw | str | None:
    """Give stored text as a part of a JSON answer, digit by digit as it was written."""
    if text is None:
        return None
    if not text.strip():
        return ""
    if is_json(text):
        return msgspec.Raw(text.encode())
    return text.encode(errors="replace").decode()


def is_json(text: str) -> bool:
    """Tell whether the text as a whole is JSON, and not nested too deeply to be read.

    Nothing is built, so that megabytes take milliseconds.
    """
    try:
        _skip(text)
    except RecursionError:
        return False
    except (msgspec.MsgspecError, UnicodeError):
        return _SURROGATE.search(text) is not None and _is_json_with_surrogates(text)
    return True


def _is_json_with_surrogates(text: str) -> bool:
    """Check what msgspec refuses although it is JSON: half of a surrogate pair."""
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON.")


def status_payload(
    record: InstanceRecord,
    *,
    show_input: bool = True,
    history: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Give the answer of the status endpoint, ready to be encoded by msgspec.

    `historyEvents` is there only where there is a history, `parked` only where the instance is
    held because its history no longer fits the code.
    """
    payload: dict[str, Any] = {
        "name": record.name,
        "instanceId": record.instance_id,
        "runtimeStatus": record.runtime_status.value,
        "input": stored_json(record.input) if show_input else None,
        "customStatus": stored_json(record.custom_status),
        "output": stored_json(record.output),
        "createdTime": whole_seconds(record.created_time),
        "lastUpdatedTime": whole_seconds(record.last_updated_time),
    }
    if history is not None:
        payload["historyEvents"] = history
    if record.parked is not None:
        payload["parked"] = record.parked
    return payload


def whole_seconds(moment: datetime) -> str:
    """Write a time as `yyyy-MM-ddTHH:mm:ssZ`; fractions are cut off."""
    return f"{_naive_utc(moment).isoformat(timespec='seconds')}Z"


def fractional_seconds(moment: datetime) -> str:
    """Write a time in UTC with the fraction it has, without trailing zeros."""
    text = _naive_utc(moment).isoformat()
    return f"{text.rstrip('0')}Z" if "." in text else f"{text}Z"


def _naive_utc(moment: datetime) -> datetime:
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.replace(tzinfo=None)
