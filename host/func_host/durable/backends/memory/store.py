"""What a memory store holds, and how its dispatcher reads it back."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from func_host.durable.backend import MessageId
from func_host.durable.backends import rules
from func_host.durable.backends.dispatch import Arrival

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from func_host.durable.backend import InstanceRecord
    from func_host.durable.history import HistoryEvent

DelayedEntry: TypeAlias = tuple[int, MessageId, str]
"""When it becomes visible, its id, its instance."""


@dataclass(slots=True)
class StoredData:
    """All there is of one instance."""

    record: InstanceRecord
    history: list[HistoryEvent] = field(default_factory=list["HistoryEvent"])
    open_activities: int = 0
    messages: dict[MessageId, Arrival] = field(default_factory=dict[MessageId, Arrival])

    @property
    def head(self) -> rules.Head:
        """What decisions need to know of it."""
        record = self.record
        return rules.Head(record.execution_id, len(self.history), record.runtime_status)


class MemoryStore:
    """What survives a restart of the backend; it has no behaviour of its own."""

    def __init__(self) -> None:
        self.instances: dict[str, StoredData] = {}
        self.delayed: list[DelayedEntry] = []
        self.last_message_id = 0
        self.operation_ids: dict[tuple[str, str], datetime] = {}
        self.owner: object | None = None


class StoreSource:
    """Reads a memory store back for its dispatcher."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def waiting(
        self, instance_id: str, *, until: int, known: Collection[MessageId], limit: int
    ) -> Sequence[Arrival]:
        """Give messages of an instance visible at `until`, in order, less those known."""
        stored = self._store.instances.get(instance_id)
        if stored is None:
            return ()
        delayed = self._store.delayed
        visible = [
            arrival
            for message_id, arrival in stored.messages.items()
            if message_id not in known
            and (arrival.arrives_at <= until or not _is_delayed(delayed, arrival))
        ]
        return sorted(visible, key=lambda arrival: arrival.position)[:limit]

    def due(self, *, after: tuple[int, int], until: int, limit: int) -> Sequence[Arrival]:
        """Give delayed messages of all instances with a position in this range, in order."""
        delayed = self._store.delayed
        first = bisect_right(delayed, after, key=lambda entry: entry[:2])
        entries = [entry for entry in delayed[first : first + limit] if entry[0] <= until]
        return [
            self._store.instances[instance_id].messages[message_id]
            for _, message_id, instance_id in entries
        ]

    def next_due(self, *, after: tuple[int, int]) -> int | None:
        """Tell when the first delayed message beyond this position becomes visible."""
        delayed = self._store.delayed
        index = bisect_right(delayed, after, key=lambda entry: entry[:2])
        return delayed[index][0] if index < len(delayed) else None

    def has_open_activities(self, instance_id: str) -> bool:
        """Tell whether the instance has not ended and has activities in flight."""
        stored = self._store.instances.get(instance_id)
        return (
            stored is not None
            and stored.open_activities > 0
            and not stored.record.runtime_status.is_terminal
        )

    async def recoverable(self, *, after: str, limit: int) -> Sequence[str]:
        """Give ids beyond this one, in order, that have undelayed messages or open activities."""
        found: list[str] = []
        for instance_id in sorted(self._store.instances):
            if len(found) == limit:
                break
            has_work = self.has_open_activities(instance_id) or any(
                not _is_delayed(self._store.delayed, arrival)
                for arrival in self._store.instances[instance_id].messages.values()
            )
            if instance_id > after and has_work:
                found.append(instance_id)
        return found


def _is_delayed(delayed: list[DelayedEntry], arrival: Arrival) -> bool:
    entry = (arrival.arrives_at, arrival.message.id, arrival.instance_id)
    index = bisect_left(delayed, entry)
    return delayed[index : index + 1] == [entry]
