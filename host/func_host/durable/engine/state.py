"""What is open in an execution: a fold over its history.

The state is one mutable object, fed each event once, because a step must not copy what is pending
(thousands of tasks of a fan-out) or walk the history again. It also says which messages an
execution still takes: a completion enters history only while its task is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.history import (
    NO_EVENT_ID,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
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
    from collections.abc import Iterable
    from datetime import datetime

    from func_host.durable.history import HistoryEvent, MessageEvent


class OrchestrationState:
    """What the events fed so far leave open."""

    __slots__ = (
        "completed",
        "is_suspended",
        "last_event_id",
        "length",
        "now",
        "open_children",
        "open_tasks",
        "open_timers",
        "reason",
        "started",
    )

    def __init__(self, history: Iterable[HistoryEvent] = ()) -> None:
        """Fold a stored history."""
        self.length = 0
        self.started: ExecutionStarted | None = None
        self.completed: ExecutionCompleted | None = None
        self.is_suspended = False
        self.reason: str | None = None
        self.now: datetime | None = None
        self.last_event_id = NO_EVENT_ID
        self.open_tasks: dict[int, TaskScheduled] = {}
        self.open_children: dict[int, SubOrchestrationInstanceCreated] = {}
        self.open_timers: dict[int, datetime] = {}
        for event in history:
            self.apply(event)

    @property
    def status(self) -> OrchestrationRuntimeStatus:
        """The runtime status that the history says."""
        if self.completed is not None:
            return self.completed.orchestration_status
        if self.started is None:
            return OrchestrationRuntimeStatus.Pending
        if self.is_suspended:
            return OrchestrationRuntimeStatus.Suspended
        return OrchestrationRuntimeStatus.Running

    @property
    def output(self) -> str | None:
        """What the status shows as output: the result, or the reason of the last suspend or resume.

        The reason stands there as the extension does.
        """
        return self.reason if self.completed is None else self.completed.result

    def apply(self, event: HistoryEvent) -> None:
        """Take one more event."""
        self.length += 1
        self.last_event_id = max(self.last_event_id, event.event_id)
        match event:
            case OrchestratorStarted(timestamp=timestamp):
                self.now = timestamp if self.now is None else max(self.now, timestamp)
            case TaskScheduled():
                self.open_tasks[event.event_id] = event
            case TaskCompleted() | TaskFailed():
                self.open_tasks.pop(event.task_scheduled_id, None)
            case TimerCreated(fire_at=fire_at):
                self.open_timers[event.event_id] = fire_at
            case TimerFired(timer_id=timer_id):
                self.open_timers.pop(timer_id, None)
            case SubOrchestrationInstanceCreated():
                self.open_children[event.event_id] = event
            case SubOrchestrationInstanceCompleted() | SubOrchestrationInstanceFailed():
                self.open_children.pop(event.task_scheduled_id, None)
            case ExecutionStarted():
                self.started = self.started or event
            case ExecutionCompleted():
                self.completed = event
            case ExecutionSuspended(reason=reason):
                self.is_suspended, self.reason = True, reason
            case ExecutionResumed(reason=reason):
                self.is_suspended, self.reason = False, reason
            case _:
                pass

    def accepts(self, event: MessageEvent) -> bool:
        """Tell whether the execution still takes this message; what it does not take is dropped.

        Suspending a suspended instance and resuming one that runs change nothing.
        """
        if self.completed is not None:
            return False
        match event:
            case TaskCompleted() | TaskFailed():
                return event.task_scheduled_id in self.open_tasks
            case SubOrchestrationInstanceCompleted() | SubOrchestrationInstanceFailed():
                return event.task_scheduled_id in self.open_children
            case TimerFired():
                return event.timer_id in self.open_timers
            case ExecutionSuspended():
                return not self.is_suspended
            case ExecutionResumed():
                return self.is_suspended
            case ExecutionStarted():
                return self.started is None
            case ExecutionTerminated():
                return True
            case _:
                return True
