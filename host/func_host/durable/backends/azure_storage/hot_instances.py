"""Instances in memory: what is stored of them, known without asking.

Only the owner of an instance writes its history, so what it has read or written once stays true
until a write fails. An instance that has ended may be purged or replaced by others, so it is
trusted for a moment only.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from func_host.durable.backends.rules import Head
from func_host.durable.history import (
    ExecutionCompleted,
    ExecutionStarted,
    OrchestratorCompleted,
    TaskScheduled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from func_host.durable.backend import InstanceRecord
    from func_host.durable.backends.azure_storage.entity_memory import EntityMemory
    from func_host.durable.history import HistoryEvent

ENDED_TRUST_S = 5.0


@dataclass(slots=True)
class HotInstance:
    """What is known of one instance.

    Args:
        record: The status as it is shown.
        row: The status as the table has it.
        row_etag: To write the status row under.
        stored: Stored events.
        withheld: Events that are committed and must wait for others to be stored.
        next_ordinal: Where the next stored event goes.
        fence_etag: To write the history under; None where none is stored.
        consumed_ids: Queue messages whose events are in the history.
        is_loaded: Whether the history is known.
        is_left_open: The fence says that there is something to do, though no event does.
        carried: Activities in flight that a message in the work-item queue stands for.
        withheld_since: Since when events are withheld, on the machine's monotonic clock.
        unconfirmed: Consumed messages that have no rows and may not be deleted yet.
        tells_consumed: The fence has a list of such messages, maybe of others.
        seen: When this was last known to be true, on the monotonic clock.
        entity: What is known beside that of an entity whose history is known.
        is_own: Every row that lies in its history was written by this process, for this run.
        began_as: The run that it was in when this was made; it is over where it is in another.
    """

    record: InstanceRecord
    row: InstanceRecord
    row_etag: str | None
    seen: float
    stored: list[HistoryEvent] = field(default_factory=list["HistoryEvent"])
    withheld: list[HistoryEvent] = field(default_factory=list["HistoryEvent"])
    next_ordinal: int = 0
    fence_etag: str | None = None
    consumed_ids: set[str] = field(default_factory=set[str])
    is_loaded: bool = False
    is_left_open: bool = False
    carried: set[int] = field(default_factory=set[int])
    withheld_since: float | None = None
    unconfirmed: tuple[str, ...] = ()
    tells_consumed: bool = False
    entity: EntityMemory | None = None
    is_own: bool = field(init=False)
    began_as: str = field(init=False)

    def __post_init__(self) -> None:
        """Note what it was when it was made; where nothing was stored it needs no reading."""
        self.is_own = self.is_loaded
        self.began_as = self.record.execution_id

    @property
    def inline(self) -> set[int]:
        """The activities in flight that nothing but this process stands for."""
        return {event.event_id for event in self.withheld if isinstance(event, TaskScheduled)}

    @property
    def history(self) -> tuple[HistoryEvent, ...]:
        """What is committed, in the order in which it is stored or will be."""
        return (*self.stored, *self.withheld)

    @property
    def head(self) -> Head:
        """What decisions need to know of it."""
        record = self.record
        return Head(
            record.execution_id, len(self.stored) + len(self.withheld), record.runtime_status
        )

    @property
    def is_unborn(self) -> bool:
        """Tell whether nothing is stored of it: an entity before its first commit."""
        return self.row_etag is None and not self.stored

    def has_consumed(self, names: Collection[str], now: datetime) -> bool:
        """Tell whether a commit has consumed a message that goes by one of these names."""
        if self.entity is not None:
            return self.entity.has_consumed(names, now)
        return not self.consumed_ids.isdisjoint(names)

    @property
    def is_ended(self) -> bool:
        """Tell whether it has ended."""
        return self.record.runtime_status.is_terminal

    @property
    def is_dirty(self) -> bool:
        """Tell whether the table has another status than is shown."""
        return self.record != self.row

    @property
    def is_misleading(self) -> bool:
        """Tell whether the table says more of it than that it goes on, and what is not so."""
        record, row = self.record, self.row
        return (record.execution_id, record.custom_status, record.parked, record.output) != (
            row.execution_id,
            row.custom_status,
            row.parked,
            row.output,
        )

    @property
    def is_unanswered(self) -> bool:
        """Tell whether the stored history ends within an episode: steps are to be asked for."""
        events = self.withheld or self.stored
        return bool(events) and not isinstance(
            events[-1], OrchestratorCompleted | ExecutionCompleted
        )

    @property
    def completion(self) -> ExecutionCompleted | None:
        """Give the event that ended it."""
        for event in reversed(self.stored[-4:]):
            if isinstance(event, ExecutionCompleted):
                return event
        return None

    @property
    def start(self) -> ExecutionStarted | None:
        """Give the event that began its current execution."""
        for event in self.history[:4]:
            if isinstance(event, ExecutionStarted):
                return event
        return None


class HotInstances:
    """A cache of instances; those that are busy, or not written yet, stay whatever its size."""

    def __init__(self, is_busy: Callable[[str], bool], *, size: int) -> None:
        self._is_busy = is_busy
        self._size = size
        self._known: OrderedDict[str, HotInstance] = OrderedDict()

    def get(self, instance_id: str, now: float) -> HotInstance | None:
        """Give what is known of an instance, as far as it can be trusted."""
        hot = self._known.get(instance_id)
        if hot is None:
            return None
        if hot.is_ended and now - hot.seen > ENDED_TRUST_S and not hot.is_dirty:
            del self._known[instance_id]
            return None
        self._known.move_to_end(instance_id)
        return hot

    def put(self, instance_id: str, hot: HotInstance) -> None:
        """Remember an instance, and forget what has not been asked for in a long time."""
        self._known[instance_id] = hot
        self._known.move_to_end(instance_id)
        excess = len(self._known) - self._size
        if excess > self._size // 10:
            idle = [
                one
                for one, known in self._known.items()
                if one != instance_id and not known.is_dirty and not self._is_busy(one)
            ]
            for one in idle[:excess]:
                del self._known[one]

    def drop(self, instance_id: str) -> None:
        """Forget an instance: what is stored decides."""
        self._known.pop(instance_id, None)

    def ids(self) -> list[str]:
        """Give the ids of all that is known."""
        return list(self._known)

    def withheld_before(self, moment: float) -> list[str]:
        """Give those of which events have been withheld since before a moment."""
        return [
            one
            for one, hot in self._known.items()
            if hot.withheld_since is not None and hot.withheld_since < moment
        ]

    def dirty(self) -> Iterator[tuple[str, HotInstance]]:
        """Give those whose status is not written yet."""
        return iter([(one, hot) for one, hot in self._known.items() if hot.is_dirty])
