"""Compares what a killed host had stored with what its activities say that they were asked to do.

The activities of the samples append a line to the witness log before they do anything else. The
store is read from a copy, taken while no host runs, so both are still while they are compared.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import anyio

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.clock import SystemClock
from func_host.durable.backend import InstanceQuery, InstanceRecord
from func_host.durable.backends.sqlite import SqliteBackend
from func_host.durable.history import TaskCompleted, TaskFailed, TaskScheduled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from func_host.durable.history import HistoryEvent

Call = tuple[str, str]
"""An activity and its input, in one spelling for witness and history."""

_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the witness log: an activity began."""

    call: Call
    activity: str
    value: Any
    at_ns: int

    def ran_at(self) -> float:
        """When it began, in seconds since 1970."""
        return self.at_ns / 1e9

    def moment(self, name: str) -> float:
        """Give a moment out of its input, in seconds since 1970."""
        return datetime.fromisoformat(self.value[name]).timestamp()


def call_of(activity: str, value: Any) -> Call:
    """Give a call in the spelling that is compared: moments compare as moments."""
    return activity, json.dumps(_with_moments(value), sort_keys=True)


def _with_moments(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: _with_moments(item) for name, item in fields.items()}
    if isinstance(value, list):
        return [_with_moments(item) for item in cast("list[Any]", value)]
    if isinstance(value, str) and "T" in value and value[:4].isdigit():
        return datetime.fromisoformat(value).timestamp()
    return value


def read_witness(log: Path) -> list[Line]:
    """Read the whole log; of a line that is just being written nothing is seen yet."""
    if not log.exists():
        return []
    whole_lines, _, _ = log.read_text().rpartition("\n")
    entries = [json.loads(line) for line in whole_lines.splitlines()]
    return [
        Line(
            call_of(entry["activity"], entry["value"]),
            entry["activity"],
            entry["value"],
            entry["at_ns"],
        )
        for entry in entries
    ]


@dataclass(frozen=True, slots=True)
class StoredHub:
    """Everything that was stored at one moment."""

    instances: dict[str, InstanceRecord]
    histories: dict[str, Sequence[HistoryEvent]]

    def is_pending(self, instance_id: str) -> bool:
        """Tell whether of this instance nothing but its start is stored."""
        return self.instances[instance_id].runtime_status is OrchestrationRuntimeStatus.Pending

    def unfinished(self) -> int:
        """Count the instances that have not ended."""
        return sum(not each.runtime_status.is_terminal for each in self.instances.values())

    def scheduled(self) -> Counter[Call]:
        """Count the calls that are stored."""
        return Counter(
            _call_of_event(event)
            for history in self.histories.values()
            for event in history
            if isinstance(event, TaskScheduled)
        )

    def recorded(self) -> Counter[Call]:
        """Count the calls whose end is stored, be it good or bad."""
        return Counter(call for call, _ in self._ends())

    def succeeded(self) -> set[Call]:
        """Give the calls whose result is stored."""
        return {call for call, end in self._ends() if isinstance(end, TaskCompleted)}

    def _ends(self) -> Iterable[tuple[Call, TaskCompleted | TaskFailed]]:
        for history in self.histories.values():
            scheduled = {e.event_id: e for e in history if isinstance(e, TaskScheduled)}
            for event in history:
                if isinstance(event, TaskCompleted | TaskFailed):
                    yield _call_of_event(scheduled[event.task_scheduled_id]), event

    def ends_by_step(self) -> dict[tuple[str, int], int]:
        """Count the ends of each step of each instance."""
        ends: defaultdict[tuple[str, int], int] = defaultdict(int)
        for instance_id, history in self.histories.items():
            for event in history:
                if isinstance(event, TaskCompleted | TaskFailed):
                    ends[instance_id, event.task_scheduled_id] += 1
        return ends


def _call_of_event(event: TaskScheduled) -> Call:
    assert event.input is not None, "the app under test stores inputs in its history"
    return call_of(event.name, json.loads(event.input))


def read_store(store: Path, copy: Path) -> StoredHub:
    """Copy the files of a store that nobody has open, and read the copy."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store.parent, copy)
    return anyio.run(_read, copy / store.name)


async def _read(store: Path) -> StoredHub:
    async with SqliteBackend(store, SystemClock()) as backend:
        page = await backend.query_instances(InstanceQuery(page_size=_PAGE))
        assert page.continuation_token is None, "more instances than a page holds"
        instances = {record.instance_id: record for record in page.instances}
        histories = {name: await backend.get_history(name) for name in instances}
        return StoredHub(instances, histories)


def check_segment(
    begun: Sequence[Line],
    before: StoredHub,
    after: StoredHub,
    *,
    was_killed: bool,
    is_opening: Callable[[Line, StoredHub], bool],
) -> None:
    """Compare what ran between two looks at the store with what was recorded in that time.

    A call that ran has either been recorded, or was cut off by the kill, and that at most once. A
    call whose result had been recorded did not run again. A call that ran was in the store before,
    but for those of an opening step: these follow from the start alone, which is durable.
    """
    runs = Counter(line.call for line in begun)

    repeated = before.succeeded() & runs.keys()
    assert not repeated, f"ran again although the result was recorded: {sorted(repeated)[:3]}"

    recorded = after.recorded()
    recorded.subtract(before.recorded())
    for call in recorded.keys() | runs.keys():
        cut_off = runs[call] - recorded[call]
        assert 0 <= cut_off <= was_killed, f"{call} ran {runs[call]}, recorded {recorded[call]}"

    scheduled = after.scheduled()
    for line in begun:
        assert line.call in scheduled or is_opening(line, after), f"began unstored: {line}"
