"""What a client learns about an orchestration instance."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


class OrchestrationRuntimeStatus(Enum):
    """State of an orchestration instance, spelt as on the wire."""

    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Pending = "Pending"
    Suspended = "Suspended"

    @property
    def is_terminal(self) -> bool:
        """True where the instance has ended and takes no more messages."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        OrchestrationRuntimeStatus.Completed,
        OrchestrationRuntimeStatus.Failed,
        OrchestrationRuntimeStatus.Canceled,
        OrchestrationRuntimeStatus.Terminated,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableOrchestrationStatus:
    """One instance as a client sees it.

    `input_`, `output` and `custom_status` are decoded JSON values; text that is not JSON (the
    reason of a termination, the message of a failure) is that text. `history` holds the events as
    the status endpoint shows them, and is None unless it was asked for. `parked` says why an
    instance that is `Running` does not go on: its history no longer fits the code.
    """

    name: str
    instance_id: str
    created_time: datetime
    last_updated_time: datetime
    runtime_status: OrchestrationRuntimeStatus
    input_: Any = None
    output: Any = None
    custom_status: Any = None
    history: list[dict[str, Any]] | None = None
    parked: str | None = None


@dataclass(frozen=True, slots=True)
class PurgeHistoryResult:
    """How many instances a purge deleted."""

    instances_deleted: int
