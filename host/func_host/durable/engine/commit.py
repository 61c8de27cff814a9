"""Turns what an instance has done since its last commit into one commit.

A `Draft` collects events, messages and consumed messages of one or more episodes; `plan_commit`
freezes it. What is in one commit becomes durable together or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.actions import (
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    ScheduleTask,
    SendEvent,
)
from func_host.durable.backend import Commit, OutgoingMessage, StatusChange
from func_host.durable.engine import identity
from func_host.durable.history import (
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    Failure,
    OrchestrationInstance,
    OrchestratorCompleted,
    ParentInstance,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)

if TYPE_CHECKING:
    from datetime import datetime

    from func_host.durable.backend import Fence, MessageId
    from func_host.durable.engine.state import OrchestrationState
    from func_host.durable.history import HistoryEvent, ScheduledEvent

FIRE_AND_FORGET: Final = "FireAndForget"
"""The tag of an orchestration that its parent wants to hear nothing of, as the extension does."""


@dataclass(slots=True)
class Draft:
    """What an instance has done since its last commit."""

    events: list[HistoryEvent] = field(default_factory=list[Any])
    outbox: list[OutgoingMessage] = field(default_factory=list[Any])
    cancelled_timers: list[int] = field(default_factory=list[Any])
    consumed: list[MessageId] = field(default_factory=list[Any])
    started: ExecutionStarted | None = None
    status_changed: bool = False

    @property
    def is_empty(self) -> bool:
        """True where there is nothing to commit."""
        return not (self.events or self.consumed or self.cancelled_timers or self.status_changed)


def plan_commit(
    instance_id: str,
    fence: Fence,
    draft: Draft,
    state: OrchestrationState,
    *,
    now: datetime,
    custom_status: str | None,
    parked: str | None,
) -> Commit:
    """Freeze a draft: what it holds, and the status row that the state says."""
    cancelled = set(draft.cancelled_timers)
    outbox = tuple(
        message
        for message in draft.outbox
        if not (cancelled and _timer_id(message, instance_id) in cancelled)
    )
    # A parked instance is handed out again at each start, like one with activities in flight. So is
    # an execution that continue-as-new has begun, and that has not yet asked for anything.
    is_unanswered = bool(draft.events) and not isinstance(draft.events[-1], OrchestratorCompleted)
    must_come_again = parked is not None or is_unanswered
    open_activities = max(1 if must_come_again else 0, len(state.open_tasks))
    return Commit(
        instance_id=instance_id,
        fence=fence,
        events=tuple(draft.events),
        status=StatusChange(
            runtime_status=state.status,
            last_updated_time=now,
            custom_status=custom_status,
            output=state.output,
            parked=parked,
        ),
        started=draft.started,
        outbox=outbox,
        cancelled_timers=tuple(draft.cancelled_timers),
        consumed=tuple(draft.consumed),
        open_activities=0 if state.completed else open_activities,
    )


def _timer_id(message: OutgoingMessage, instance_id: str) -> int | None:
    if isinstance(message.event, TimerFired) and message.instance_id == instance_id:
        return message.event.timer_id
    return None


def record_of(
    action: ScheduleTask | CreateTimer | CreateSubOrchestration | SendEvent | CompleteOrchestration,
    now: datetime,
    *,
    store_inputs: bool,
) -> ScheduledEvent:
    """Give the event that records an action in history."""
    match action:
        case ScheduleTask(id=step, name=name):
            text = action.input if store_inputs else None
            return TaskScheduled(event_id=step, timestamp=now, name=name, input=text)
        case CreateTimer(id=step, fire_at=fire_at):
            return TimerCreated(event_id=step, timestamp=now, fire_at=fire_at)
        case CreateSubOrchestration(id=step, name=name):
            return SubOrchestrationInstanceCreated(
                event_id=step,
                timestamp=now,
                name=name,
                instance_id=action.instance_id,
                version=action.version or "",
                input=action.input if store_inputs else None,
            )
        case SendEvent(id=step, name=name):
            return EventSent(
                event_id=step,
                timestamp=now,
                instance_id=action.instance_id,
                name=name,
                input=action.input,
            )
        case CompleteOrchestration(id=step):
            return ExecutionCompleted(
                event_id=step,
                timestamp=now,
                orchestration_status=action.status,
                result=action.result,
                failure_details=action.failure,
            )


def timer_message(action: CreateTimer, me: OrchestrationInstance) -> OutgoingMessage:
    """Give the message that wakes the instance when the timer is due."""
    return OutgoingMessage(
        instance_id=me.instance_id,
        execution_id=me.execution_id,
        event=TimerFired(timestamp=action.fire_at, timer_id=action.id, fire_at=action.fire_at),
        visible_at=action.fire_at,
    )


def sent_message(action: SendEvent, now: datetime) -> OutgoingMessage:
    """Give the message that an orchestration sends, whichever execution receives it."""
    return OutgoingMessage(
        instance_id=action.instance_id,
        event=EventRaised(timestamp=now, name=action.name, input=action.input),
        visible_at=action.visible_at,
    )


def child_message(
    action: CreateSubOrchestration,
    parent: ExecutionStarted,
    *,
    now: datetime,
    default_version: str,
) -> OutgoingMessage:
    """Give the message that starts a child; the same step of the same parent gives the same one."""
    execution_id = identity.child_execution_id(
        parent.orchestration_instance.execution_id, action.id
    )
    start = ExecutionStarted(
        timestamp=now,
        orchestration_instance=OrchestrationInstance(action.instance_id, execution_id),
        name=action.name,
        version=default_version if action.version is None else action.version,
        input=action.input,
        parent_instance=ParentInstance(
            name=parent.name,
            orchestration_instance=parent.orchestration_instance,
            task_schedule_id=action.id,
            version=parent.version,
        ),
        tags=_inherited(parent.tags),
    )
    return OutgoingMessage(instance_id=action.instance_id, execution_id=execution_id, event=start)


def is_same_start(start: ExecutionStarted, other: ExecutionStarted) -> bool:
    """Tell whether two starts are one that was sent twice, whatever executions they name.

    Others than us draw the execution of a child anew where they send its start again, and a child
    that has continued as new goes by another one.
    """
    if start.orchestration_instance == other.orchestration_instance:
        return True
    mine, its = start.parent_instance, other.parent_instance
    return (
        mine is not None
        and its is not None
        and mine.orchestration_instance == its.orchestration_instance
        and mine.task_schedule_id == its.task_schedule_id
    )


def _inherited(tags: dict[str, str] | None) -> dict[str, str] | None:
    """Give what a child takes over; its parent waits for it, whoever waits for the parent."""
    if tags is None or FIRE_AND_FORGET not in tags:
        return tags
    return {name: value for name, value in tags.items() if name != FIRE_AND_FORGET} or None


def is_detached(start: ExecutionStarted) -> bool:
    """Tell whether the one that sent a start wants no answer."""
    return FIRE_AND_FORGET in (start.tags or ())


def child_refused(
    parent: ParentInstance, error: type[Exception], reason: str, now: datetime
) -> OutgoingMessage:
    """Give the message that fails the parent's task for a child that could not be started."""
    return OutgoingMessage(
        instance_id=parent.orchestration_instance.instance_id,
        execution_id=parent.orchestration_instance.execution_id,
        event=SubOrchestrationInstanceFailed(
            timestamp=now,
            task_scheduled_id=parent.task_schedule_id,
            reason=reason,
            failure_details=Failure(
                error_type=f"{error.__module__}.{error.__qualname__}", error_message=reason
            ),
        ),
    )


def parent_message(completed: ExecutionCompleted, parent: ParentInstance) -> OutgoingMessage:
    """Give the message that tells the parent how its child ended."""
    if completed.orchestration_status is OrchestrationRuntimeStatus.Completed:
        event: SubOrchestrationInstanceCompleted | SubOrchestrationInstanceFailed = (
            SubOrchestrationInstanceCompleted(
                timestamp=completed.timestamp,
                task_scheduled_id=parent.task_schedule_id,
                result=completed.result,
            )
        )
    else:
        failure = completed.failure_details
        event = SubOrchestrationInstanceFailed(
            timestamp=completed.timestamp,
            task_scheduled_id=parent.task_schedule_id,
            reason=completed.result or "",
            details=None if failure is None else failure.stack_trace,
            failure_details=failure,
        )
    return OutgoingMessage(
        instance_id=parent.orchestration_instance.instance_id,
        execution_id=parent.orchestration_instance.execution_id,
        event=event,
    )
