"""Reads recorded exchanges and compares answers as their README says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

FOLDER = Path(__file__).parents[2] / "golden" / "http"

_COMPARED_HEADERS = ("content-type", "location", "retry-after", "x-ms-continuation-token")
_ORIGIN = re.compile(r"^http://[^/]+")
_GENERATED = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_WHOLE_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_FRACTION = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?(Z|\+00:00)")
_WHOLE_SECOND_KEYS = ("createdTime", "lastUpdatedTime")
_FRACTION_KEYS = ("Timestamp", "FireAt", "ScheduledTime", "lastOperationTime")
_NETS_OWN = ("ExceptionMessage", "ExceptionType", "StackTrace", "Details", "FailureDetails")
_MESSAGE_KEYS = ("Input", "Name")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STAMP = re.compile(r"(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z?")
_LEFT_OUT = ("ClientSpanId",)
_NETS_REASON = "Could not parse JSON content: "
_TOO_LONG = ("length", "sha256", "first200")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One recorded exchange."""

    name: str
    endpoint: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    status: int
    answer_headers: dict[str, str]
    has_body: bool
    json: Any


def read_steps(name: str) -> list[Step]:
    """Give the exchanges of a file, without its remarks and those whose body was cut."""
    recorded = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return [_step(each) for each in recorded if "request" in each and _is_whole(each["request"])]


def _is_whole(request: dict[str, Any]) -> bool:
    return not isinstance(request.get("body"), dict)


def _step(recorded: dict[str, Any]) -> Step:
    request, answer = recorded["request"], recorded["response"]
    headers = tuple((name.lower(), value) for name, value in request["headers"])
    text: str | None = request.get("body")
    body = None if text is None else text.encode()
    if ("transfer-encoding", "chunked") in headers and body:
        body = _dechunked(body)
    return Step(
        name=recorded["step"],
        endpoint=request["endpoint"],
        method=request["method"],
        target=request["target"],
        headers=headers,
        body=body,
        status=answer["status"],
        answer_headers={name.lower(): value for name, value in answer["headers"]},
        has_body=answer.get("body", "") != "",
        json=answer.get("json"),
    )


def _dechunked(body: bytes) -> bytes:
    chunks = body.split(b"\r\n")
    return b"".join(chunks[1::2])


def shown_headers(headers: dict[str, str]) -> dict[str, str]:
    """Keep what is compared; a token is opaque, and one that is empty means none."""
    shown = {name: headers[name] for name in _COMPARED_HEADERS if headers.get(name)}
    if "location" in shown:
        shown["location"] = _GENERATED.sub("ID", _ORIGIN.sub("", shown["location"]))
    if "x-ms-continuation-token" in shown:
        shown["x-ms-continuation-token"] = "TOKEN"
    return shown


def comparable(value: Any) -> Any:
    """Take out of a body what differs from run to run, once its form has been checked."""
    if isinstance(value, list):
        return [comparable(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        value = cast("dict[str, Any]", value)
        if value.keys() == {*_TOO_LONG}:
            return "CUT"
        return {
            key: _comparable_member(key, each)
            for key, each in value.items()
            if key not in _LEFT_OUT
        }
    if isinstance(value, str):
        return _GENERATED.sub("ID", _ORIGIN.sub("", value))
    return value


def _comparable_member(key: str, value: Any) -> Any:
    if key in _WHOLE_SECOND_KEYS:
        assert _WHOLE_SECONDS.fullmatch(value), f"{key}: {value}"
        return "TIME"
    if key in _FRACTION_KEYS:
        assert _FRACTION.fullmatch(value), f"{key}: {value}"
        return "TIME"
    if key in _NETS_OWN:
        return "TEXT"
    if key == "Message" and value.startswith(_NETS_REASON):
        return _NETS_REASON
    if key in _MESSAGE_KEYS and isinstance(value, str):
        value = _STAMP.sub("TIME", _GUID.sub("GUID", value))
    return comparable(value)
