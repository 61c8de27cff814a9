"""What happened to an instance: the history events of the Durable Task Framework.

Names, fields and JSON are DTFx's (Pascal case, `EventType` as the tag), so that a history reads the
same in ours and in Microsoft's tools. An event is frozen and says one thing; what follows from it
is decided in `engine`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

import msgspec

from func_bindings.durable.status import OrchestrationRuntimeStatus

NO_EVENT_ID = -1


class OrchestrationInstance(msgspec.Struct, frozen=True, rename="pascal"):
    """One run of one instance: continue-as-new and a new start change the execution id."""

    instance_id: str
    execution_id: str


class ParentInstance(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Who started a sub-orchestration, and by which of its steps."""

    name: str
    orchestration_instance: OrchestrationInstance
    task_schedule_id: int
    version: str = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`FailureDetails` of DTFx: an exception as data, with the chain of causes."""

    error_type: str
    error_message: str
    stack_trace: str | None = None
    inner_failure: Failure | None = None
    is_non_retriable: bool = False


class TraceContext(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The trace that a start belongs to; carried for other tools, and not read here."""

    trace_parent: str | None = None
    trace_state: str | None = None
    id: str | None = None
    span_id: str | None = None
    activity_start_time: str | None = None


class _Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="EventType",
    rename="pascal",
    omit_defaults=True,
):
    timestamp: datetime
    event_id: int = NO_EVENT_ID


class OrchestratorStarted(_Event, frozen=True, kw_only=True, tag="OrchestratorStarted"):
    """An episode begins; its timestamp is what the orchestrator sees as the time."""


class OrchestratorCompleted(_Event, frozen=True, kw_only=True, tag="OrchestratorCompleted"):
    """An episode ends: everything asked for in it has been recorded."""


class ExecutionStarted(_Event, frozen=True, kw_only=True, tag="ExecutionStarted"):
    """The instance was started, by a client, a parent or its own continue-as-new."""

    orchestration_instance: OrchestrationInstance
    name: str
    version: str = ""
    input: str | None = None
    parent_instance: ParentInstance | None = None
    tags: dict[str, str] | None = None
    correlation: str | None = None
    parent_trace_context: TraceContext | None = None
    scheduled_start_time: datetime | None = None
    generation: int | None = None


class ExecutionCompleted(_Event, frozen=True, kw_only=True, tag="ExecutionCompleted"):
    """The instance ended; `result` is JSON, or plain text where it failed or was terminated."""

    orchestration_status: OrchestrationRuntimeStatus
    result: str | None = None
    failure_details: Failure | None = None


class ExecutionTerminated(_Event, frozen=True, kw_only=True, tag="ExecutionTerminated"):
    """Somebody ended the instance from outside; `input` is the reason."""

    input: str | None = None


class ExecutionSuspended(_Event, frozen=True, kw_only=True, tag="ExecutionSuspended"):
    """Somebody suspended the instance."""

    reason: str | None = None


class ExecutionResumed(_Event, frozen=True, kw_only=True, tag="ExecutionResumed"):
    """Somebody resumed the instance."""

    reason: str | None = None


class TaskScheduled(_Event, frozen=True, kw_only=True, tag="TaskScheduled"):
    """The orchestrator asked for an activity; `input` is kept only where the setting says so."""

    name: str
    version: str = ""
    input: str | None = None


class TaskCompleted(_Event, frozen=True, kw_only=True, tag="TaskCompleted"):
    """An activity ended with a result."""

    task_scheduled_id: int
    result: str | None = None


class TaskFailed(_Event, frozen=True, kw_only=True, tag="TaskFailed"):
    """An activity failed."""

    task_scheduled_id: int
    reason: str
    details: str | None = None
    failure_details: Failure | None = None


class SubOrchestrationInstanceCreated(
    _Event, frozen=True, kw_only=True, tag="SubOrchestrationInstanceCreated"
):
    """The orchestrator asked for a child."""

    name: str
    instance_id: str
    version: str = ""
    input: str | None = None


class SubOrchestrationInstanceCompleted(
    _Event, frozen=True, kw_only=True, tag="SubOrchestrationInstanceCompleted"
):
    """A child ended with a result."""

    task_scheduled_id: int
    result: str | None = None


class SubOrchestrationInstanceFailed(
    _Event, frozen=True, kw_only=True, tag="SubOrchestrationInstanceFailed"
):
    """A child failed, was terminated, or could not be started."""

    task_scheduled_id: int
    reason: str
    details: str | None = None
    failure_details: Failure | None = None


class TimerCreated(_Event, frozen=True, kw_only=True, tag="TimerCreated"):
    """The orchestrator asked for a timer (or one leg of a long one)."""

    fire_at: datetime


class TimerFired(_Event, frozen=True, kw_only=True, tag="TimerFired"):
    """A timer is due; never stamped earlier than `fire_at`."""

    timer_id: int
    fire_at: datetime


class EventSent(_Event, frozen=True, kw_only=True, tag="EventSent"):
    """The orchestrator sent a message to another instance."""

    instance_id: str
    name: str
    input: str | None = None


class EventRaised(_Event, frozen=True, kw_only=True, tag="EventRaised"):
    """Somebody raised an external event; `input` is JSON."""

    name: str
    input: str | None = None


class GenericEvent(_Event, frozen=True, kw_only=True, tag="GenericEvent"):
    """A wake-up without meaning of its own, as DTFx leaves behind on rewind."""

    data: str | None = None


class ExecutionRewound(_Event, frozen=True, kw_only=True, tag="ExecutionRewound"):
    """Somebody asks for a rewind, as newer cores of DTFx send it; never in a history of ours."""

    reason: str | None = None
    parent_execution_id: str | None = None
    instance_id: str | None = None


MessageEvent: TypeAlias = (
    ExecutionStarted
    | ExecutionTerminated
    | ExecutionSuspended
    | ExecutionResumed
    | TaskCompleted
    | TaskFailed
    | SubOrchestrationInstanceCompleted
    | SubOrchestrationInstanceFailed
    | TimerFired
    | EventRaised
    | GenericEvent
)
"""What can arrive at an instance and wake it."""

ScheduledEvent: TypeAlias = (
    TaskScheduled | SubOrchestrationInstanceCreated | TimerCreated | EventSent | ExecutionCompleted
)
"""What records a step the orchestrator asked for; its `event_id` is the step's number."""

HistoryEvent: TypeAlias = (
    MessageEvent | ScheduledEvent | OrchestratorStarted | OrchestratorCompleted
)
"""Everything a history may hold."""
