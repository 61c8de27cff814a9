"""Which events of a history may be written now: an activity only together with its result.

A row that says that an activity was scheduled must not stand alone: whoever takes over would wait
for a result that nobody works on. So it is withheld until its result is known, or
until a message in the work-item queue carries it, and so is the end
of the last episode while anything is open: a stored history that ends within an episode says that
its steps are to be asked for again. No other order changes: what an orchestrator is told, and when,
stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from func_host.durable.history import (
    EventRaised,
    EventSent,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    GenericEvent,
    HistoryEvent,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

Group: TypeAlias = "list[HistoryEvent]"

_RESULTS = (TaskCompleted, TaskFailed)
_SENT = (TimerCreated, SubOrchestrationInstanceCreated, EventSent)
_MESSAGES = (
    *_RESULTS,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TimerFired,
    EventRaised,
    ExecutionTerminated,
    ExecutionSuspended,
    ExecutionResumed,
    GenericEvent,
)


@dataclass(frozen=True, slots=True)
class Writable:
    """What may be written, in order, and what must wait."""

    events: tuple[HistoryEvent, ...]
    withheld: tuple[HistoryEvent, ...]

    @property
    def is_only_a_start(self) -> bool:
        """Tell whether the start message says all that would be written."""
        return (
            any(isinstance(event, TaskScheduled) for event in self.withheld)
            and any(isinstance(event, ExecutionStarted) for event in self.events)
            and all(
                isinstance(event, OrchestratorStarted | ExecutionStarted) for event in self.events
            )
        )


def writable(
    events: Sequence[HistoryEvent], *, is_ended: bool, carried: Collection[int] = ()
) -> Writable:
    """Divide events that are not stored yet; of an instance that has ended nothing must wait.

    `carried` are the activities that a message stands for.
    """
    if is_ended:
        return Writable(tuple(events), ())
    answered = {event.task_scheduled_id for event in events if isinstance(event, _RESULTS)}
    answered.update(carried)
    now: list[HistoryEvent] = []
    later: list[HistoryEvent] = []
    for event in events:
        is_unanswered = isinstance(event, TaskScheduled) and event.event_id not in answered
        (later if is_unanswered else now).append(event)
    if now and isinstance(now[-1], OrchestratorCompleted) and later:
        later.append(now.pop())
    return Writable(tuple(now), tuple(later))


def unanswered(events: Iterable[HistoryEvent]) -> set[int]:
    """Give the activities that have no result yet."""
    scheduled: set[int] = set()
    for event in events:
        if isinstance(event, TaskScheduled):
            scheduled.add(event.event_id)
        elif isinstance(event, _RESULTS):
            scheduled.discard(event.task_scheduled_id)
    return scheduled


def in_pairs(events: Sequence[HistoryEvent]) -> list[Group]:
    """Give groups that must share a transaction: an activity stands right before its result."""
    answered = {event.task_scheduled_id for event in events if isinstance(event, _RESULTS)}
    scheduled: dict[int, HistoryEvent] = {}
    groups: list[Group] = []
    for event in events:
        if isinstance(event, TaskScheduled) and event.event_id in answered:
            scheduled[event.event_id] = event
        elif isinstance(event, _RESULTS) and event.task_scheduled_id in scheduled:
            groups.append([scheduled.pop(event.task_scheduled_id), event])
        else:
            groups.append([event])
    return groups


def after_last_message(events: Sequence[HistoryEvent]) -> int:
    """Give where the steps begin that follow from the last message, but for the start.

    What is sent because of a message must not be sent before that message is stored.
    """
    for position in range(len(events) - 1, -1, -1):
        event = events[position]
        if isinstance(event, ExecutionStarted):
            return 0
        if isinstance(event, _MESSAGES):
            return position + 1
    return 0


def before_sending(
    events: Sequence[HistoryEvent], cut: int
) -> tuple[list[HistoryEvent], list[HistoryEvent]]:
    """Divide events into what is stored before messages are sent, and what is stored after that.

    Up to `cut` the messages are stored before, but no step that a message stands for: whoever finds
    such a step does not send its message again. An episode that lacks one stays open.
    """
    before: list[HistoryEvent] = []
    after: list[HistoryEvent] = []
    for event in events[:cut]:
        is_end = isinstance(event, OrchestratorCompleted)
        must_wait = isinstance(event, _SENT) or (is_end and bool(after))
        (after if must_wait else before).append(event)
    return before, [*after, *events[cut:]]
