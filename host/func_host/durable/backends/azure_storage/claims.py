"""Which message stays as the claim on an instance while it has activities in flight.

A message that is consumed may stay where it does no harm when it comes again: within its execution
a start, a timer and an answer are known to have been there. An event is not, so it is rewritten to
one that only wakes. A claim must outlive continue-as-new, so that it names no execution then.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.history import (
    ExecutionStarted,
    GenericEvent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from func_host.durable.backend import Commit, Message, MessageId
    from func_host.durable.backends.azure_storage.inbox import Claim

_REPEATABLE = (
    TaskCompleted,
    TaskFailed,
    TimerFired,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
)


class ClaimPlan(Enum):
    """What a commit does about the claim."""

    RELEASE = "release"
    KEEP = "keep"
    ADOPT = "adopt"
    REWRITE = "rewrite"
    PUT = "put"


@dataclass(frozen=True, slots=True)
class ClaimStep:
    """What to do, and with which of the consumed messages."""

    plan: ClaimPlan
    message_id: MessageId | None = None


def plan_claim(
    commit: Commit, claim: Claim | None, consumed: Iterable[Message], *, is_open: bool
) -> ClaimStep:
    """Decide what is the claim after a commit; `consumed` are messages that lie in queues.

    `PUT` comes before the history is written, all else after it. `is_open` says whether anything is
    in flight then that nothing but this process stands for.
    """
    if not is_open or commit.status.runtime_status.is_terminal:
        return ClaimStep(ClaimPlan.RELEASE)
    start = commit.started
    messages = list(consumed)
    execution_id = commit.fence.execution_id
    if start is not None:
        execution_id = start.orchestration_instance.execution_id
    is_same_run = start is None or execution_id == commit.fence.execution_id
    if claim is not None and (claim.is_generic or is_same_run):
        return ClaimStep(ClaimPlan.KEEP)
    for message in messages:
        event = message.event
        is_good = isinstance(event, GenericEvent) or (
            event.orchestration_instance.execution_id == execution_id
            if isinstance(event, ExecutionStarted)
            else isinstance(event, _REPEATABLE) and message.execution_id == execution_id
        )
        if is_good:
            return ClaimStep(ClaimPlan.ADOPT, message.id)
    # What an entity has consumed is known for a while, also in the batches that follow.
    if messages and (is_same_run or is_entity(commit.instance_id)):
        return ClaimStep(ClaimPlan.REWRITE, messages[0].id)
    return ClaimStep(ClaimPlan.PUT)
