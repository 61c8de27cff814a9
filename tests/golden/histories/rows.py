"""Reads the history rows that Microsoft's provider wrote as our events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from func_host.durable.history import HistoryEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GOLDEN = Path(__file__).parent.parent
_JSON_COLUMNS = ("OrchestrationInstance", "ParentInstance")
_TIME_COLUMNS = ("_Timestamp", "FireAt", "ScheduledStartTime")


def read_scenario(name: str) -> dict[str, Any]:
    """Give a recorded scenario of the task hub."""
    path = GOLDEN / "azure_storage" / f"{name}.json"
    scenario: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return scenario


def read_takeover(name: str) -> dict[str, Any]:
    """Give a task hub that was left in the middle."""
    path = GOLDEN / "takeover" / f"{name}.json"
    hub: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return hub


def rows_of(hub: Mapping[str, Any], table: str) -> list[dict[str, Any]]:
    """Give the rows of a table of a hub that was left in the middle."""
    return next(each["rows"] for each in hub["tables"] if each["name"].endswith(table))


def histories(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[HistoryEvent]]:
    """Give the history of the current execution of each instance."""
    executions = {row["PartitionKey"]: row["ExecutionId"] for row in rows if _is_sentinel(row)}
    found: dict[str, list[HistoryEvent]] = {}
    for row in sorted(rows, key=lambda each: each["RowKey"]):
        instance_id = row["PartitionKey"]
        if not _is_sentinel(row) and row["ExecutionId"] == executions[instance_id]:
            found.setdefault(instance_id, []).append(_event(row))
    return found


def _is_sentinel(row: Mapping[str, Any]) -> bool:
    return bool(row["RowKey"] == "sentinel")


def _event(row: Mapping[str, Any]) -> HistoryEvent:
    values = dict(row)
    for column in _JSON_COLUMNS:
        if column in values:
            values[column] = json.loads(values[column])
    for column in _TIME_COLUMNS:
        if column in values:
            values[column] = values[column][:26] + "Z"  # 100 ns: we count microseconds
    values["Timestamp"] = values.pop("_Timestamp")
    values.pop("Tags", None)
    event: HistoryEvent = msgspec.convert(values, HistoryEvent)
    return event
