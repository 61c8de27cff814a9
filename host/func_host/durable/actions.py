"""What an orchestrator asks for: the actions of the Durable Task Framework.

An action with an `id` is a numbered step of the execution; history records it under that number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from func_bindings.durable.status import OrchestrationRuntimeStatus
    from func_host.durable.history import EventRaised, Failure


@dataclass(frozen=True, slots=True)
class ScheduleTask:
    """Run an activity; `input` is JSON text."""

    id: int
    name: str
    input: str | None


@dataclass(frozen=True, slots=True)
class CreateTimer:
    """Wake the instance at a time."""

    id: int
    fire_at: datetime


@dataclass(frozen=True, slots=True)
class CreateSubOrchestration:
    """Start a child; `input` is JSON text, `version` None is the default of the app."""

    id: int
    name: str
    instance_id: str
    input: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class SendEvent:
    """Send an event to an instance (here: an entity), to be seen from `visible_at` (None: now)."""

    id: int
    instance_id: str
    name: str
    input: str | None
    visible_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CompleteOrchestration:
    """End the instance; `result` is JSON, or plain text where it failed or was terminated."""

    id: int
    status: OrchestrationRuntimeStatus
    result: str | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ContinueAsNew:
    """Start over with this input; the events that nobody has read are carried over."""

    input: str | None
    carryover: tuple[EventRaised, ...]


OrchestratorAction: TypeAlias = (
    ScheduleTask
    | CreateTimer
    | CreateSubOrchestration
    | SendEvent
    | CompleteOrchestration
    | ContinueAsNew
)
