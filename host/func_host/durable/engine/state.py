"""What is open in an execution: a fold over its history.

The state is one mutable object, fed each event once, because a step must not copy what is pending
(thousands of tasks of a fan-out) or walk the history again. It also says which messages an
execution still takes: a completion enters history only while its task is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.engine.entities.recorded import AskedLocks
from func_host.durable.history import (
    NO_EVENT_ID,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
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
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from func_host.durable.history import HistoryEvent, MessageEvent


class OrchestrationState:
    """What the events fed so far leave open."""

    __slots__ = (
        "asked_locks",
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
        self.asked_locks = AskedLocks()
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
        fold = _FOLDS.get(type(event))
        if fold is not None:
            fold(self, event)

    def accepts(self, event: MessageEvent) -> bool:
        """Tell whether the execution still takes this message; what it does not take is dropped.

        Suspending a suspended instance and resuming one that runs change nothing.
        """
        if self.completed is not None:
            return False
        match event:
            case TaskCompleted() | TaskFailed():
                accepted = event.task_scheduled_id in self.open_tasks
            case SubOrchestrationInstanceCompleted() | SubOrchestrationInstanceFailed():
                accepted = event.task_scheduled_id in self.open_children
            case TimerFired():
                accepted = event.timer_id in self.open_timers
            case ExecutionSuspended():
                accepted = not self.is_suspended
            case ExecutionResumed():
                accepted = self.is_suspended
            case _:
                accepted = True
        return accepted


def _orchestrator_started(state: OrchestrationState, event: OrchestratorStarted) -> None:
    state.now = event.timestamp if state.now is None else max(state.now, event.timestamp)


def _execution_started(state: OrchestrationState, event: ExecutionStarted) -> None:
    state.started = state.started or event


def _execution_completed(state: OrchestrationState, event: ExecutionCompleted) -> None:
    state.completed = event


def _suspended(state: OrchestrationState, event: ExecutionSuspended) -> None:
    state.is_suspended, state.reason = True, event.reason


def _resumed(state: OrchestrationState, event: ExecutionResumed) -> None:
    state.is_suspended, state.reason = False, event.reason


def _task_scheduled(state: OrchestrationState, event: TaskScheduled) -> None:
    state.open_tasks[event.event_id] = event


def _task_ended(state: OrchestrationState, event: TaskCompleted | TaskFailed) -> None:
    state.open_tasks.pop(event.task_scheduled_id, None)


def _child_created(state: OrchestrationState, event: SubOrchestrationInstanceCreated) -> None:
    state.open_children[event.event_id] = event


def _child_ended(
    state: OrchestrationState,
    event: SubOrchestrationInstanceCompleted | SubOrchestrationInstanceFailed,
) -> None:
    state.open_children.pop(event.task_scheduled_id, None)


def _timer_created(state: OrchestrationState, event: TimerCreated) -> None:
    state.open_timers[event.event_id] = event.fire_at


def _event_sent(state: OrchestrationState, event: EventSent) -> None:
    state.asked_locks.apply(event)


def _timer_fired(state: OrchestrationState, event: TimerFired) -> None:
    state.open_timers.pop(event.timer_id, None)


# Events that are not here change nothing that is open.
_FOLDS: dict[type[HistoryEvent], Callable[[OrchestrationState, Any], None]] = {
    OrchestratorStarted: _orchestrator_started,
    ExecutionStarted: _execution_started,
    ExecutionCompleted: _execution_completed,
    ExecutionSuspended: _suspended,
    ExecutionResumed: _resumed,
    TaskScheduled: _task_scheduled,
    TaskCompleted: _task_ended,
    TaskFailed: _task_ended,
    SubOrchestrationInstanceCreated: _child_created,
    SubOrchestrationInstanceCompleted: _child_ended,
    SubOrchestrationInstanceFailed: _child_ended,
    TimerCreated: _timer_created,
    TimerFired: _timer_fired,
    EventSent: _event_sent,
}
