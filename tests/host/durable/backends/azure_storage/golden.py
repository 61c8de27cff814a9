"""The recordings of Microsoft's own provider, as the tests of this folder read them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from func_host.durable.backends.azure_storage.keys import SENTINEL
from func_host.durable.backends.azure_storage.large import blob_columns, with_texts
from func_host.durable.backends.azure_storage.table_rows import Row, read_row

_GOLDEN = Path(__file__).parents[4] / "golden"
_SHORTENED = "__shortened__"
_MICROSECONDS = len("2026-11-22T03:56:17.741747")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_NO_SCENARIO = {"hub-start.json", "leases.json", "partitions.json", "requests.json"}


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """A message as it was put; `text` is None where the recording holds only a part of it."""

    scenario: str
    seq: int
    queue: str
    target: str
    text: str | None
    envelope: dict[str, Any]

    @property
    def is_handmade(self) -> bool:
        return "$type" not in self.envelope

    def __str__(self) -> str:
        return f"{self.scenario}-{self.seq}"


@dataclass(frozen=True, slots=True)
class HistoryWrite:
    """One request to the history table: its verbs and rows, in order."""

    seq: int
    instance: str
    verbs: tuple[str, ...]
    bodies: tuple[dict[str, Any], ...]
    keys: tuple[str, ...]


def scenario_names() -> list[str]:
    files = (_GOLDEN / "azure_storage").glob("*.json")
    return sorted(file.stem for file in files if file.name not in _NO_SCENARIO)


@cache
def scenario(name: str) -> dict[str, Any]:
    return json.loads((_GOLDEN / "azure_storage" / f"{name}.json").read_text("utf-8"))


@cache
def takeover(name: str) -> dict[str, Any]:
    return json.loads((_GOLDEN / "takeover" / f"{name}.json").read_text("utf-8"))


def takeover_names() -> list[str]:
    return sorted(file.stem for file in (_GOLDEN / "takeover").glob("*.json"))


def recorded_messages() -> list[RecordedMessage]:
    return [
        RecordedMessage(
            scenario=name,
            seq=message["seq"],
            queue=message["queue"],
            target=message["to"],
            text=message.get("text") if isinstance(message.get("text"), str) else None,
            envelope=whole(message["envelope"]),
        )
        for name in scenario_names()
        for message in scenario(name)["messages"]
    ]


def history_writes(name: str) -> list[HistoryWrite]:
    """Give the requests that wrote rows in full; those with rows left out are not given."""
    writes: list[HistoryWrite] = []
    for request in scenario(name)["history"]:
        operations = request["operations"]
        if all("row" in operation for operation in operations):
            writes.append(
                HistoryWrite(
                    seq=request["seq"],
                    instance=request["instance"],
                    verbs=tuple(operation["verb"] for operation in operations),
                    bodies=tuple(whole(operation["row"]) for operation in operations),
                    keys=tuple(operation["row_key"] for operation in operations),
                )
            )
    return writes


def final_history(name: str) -> list[tuple[dict[str, Any], Row]]:
    """Give the event rows at the end, as returned and as read, with texts for those in blobs."""
    rows = [whole(body) for body in scenario(name).get("final_history", ())]
    return [(body, with_blobs(body)) for body in rows if body["RowKey"] != SENTINEL]


def with_blobs(body: dict[str, Any]) -> Row:
    row = read_row(body)
    text = "of a blob" if body["EventType"] == "TaskFailed" else '"of a blob"'
    return with_texts(row, dict.fromkeys(blob_columns(row), text))


def whole(value: Any) -> Any:
    """Put a text in the place of every one that the recording cut off."""
    members = members_of(value)
    if members is None:
        return [whole(item) for item in items_of(value)] if isinstance(value, list) else value
    if _SHORTENED in members:
        opened, closed = ('["', '"]') if members["first"].startswith("[") else ('"', '"')
        return f"{opened}{'x' * 40_000}{closed}"
    return {name: whole(item) for name, item in members.items()}


def comparable(value: Any) -> Any:
    """Cut moments off to what we keep of them: microseconds, with zeros at the end left out."""
    members = members_of(value)
    if members is not None:
        return {name: comparable(item) for name, item in members.items()}
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return value[:-1][:_MICROSECONDS].rstrip("0").rstrip(".")
    return value


def shape(value: Any) -> Any:
    """Give the names of members in their order, and the types of their values."""
    members = members_of(value)
    if members is not None:
        return [(name, shape(item)) for name, item in members.items()]
    return type(value).__name__


def members_of(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def items_of(value: Any) -> list[Any]:
    return cast("list[Any]", value)
