"""What a store decides before it writes: pure, and the same for every store.

Each function takes the head of an instance (or None where there is none) and either raises, which
means that nothing may be written, or says what to write.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_bindings.errors import (
    InstanceAlreadyExistsError,
    InstanceCompletedError,
    InstanceConflictError,
    InstanceNotFoundError,
)
from func_host.durable.backend import InstanceRecord, StaleCommitError
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.history import (
    EventRaised,
    ExecutionStarted,
    OrchestrationInstance,
    TimerFired,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from func_host.durable.backend import Commit, InstanceQuery
    from func_host.durable.history import MessageEvent

_MARK = "after:"
_NAMESPACE = UUID("2f6f7a0e-5b4b-4c55-8d2c-6a1b7f0d9a34")


@dataclass(frozen=True, slots=True)
class Head:
    """What decisions need to know of a stored instance."""

    execution_id: str
    history_length: int
    runtime_status: OrchestrationRuntimeStatus


def check_creatable(instance_id: str, head: Head | None, *, replace_unfinished: bool) -> None:
    """Let a client create an instance where there is none or only one that has ended."""
    if head is None or head.runtime_status.is_terminal or replace_unfinished:
        return
    raise InstanceAlreadyExistsError(instance_id, head.runtime_status)


def check_reachable(instance_id: str, head: Head | None) -> None:
    """Let a client send only to an instance that exists and has not ended, or to an entity."""
    if head is None:
        if is_entity(instance_id):
            return
        raise InstanceNotFoundError(instance_id)
    if head.runtime_status.is_terminal:
        raise InstanceCompletedError(instance_id, head.runtime_status)


def check_purgeable(instance_id: str, status: OrchestrationRuntimeStatus) -> None:
    """Let only an instance that has ended be purged."""
    if not status.is_terminal:
        raise InstanceConflictError(
            instance_id,
            status,
            f"The instance '{instance_id}' cannot be purged: it is {status.value}.",
        )


def no_longer_stored(instance_id: str) -> StaleCommitError:
    """Say that a commit came too late: its instance has been purged."""
    return StaleCommitError(f"The instance '{instance_id}' is no longer stored.")


def check_fence(commit: Commit, head: Head) -> None:
    """Let a commit take effect only over what its writer believes is stored."""
    fence = commit.fence
    if (head.execution_id, head.history_length) != (fence.execution_id, fence.history_length):
        raise StaleCommitError(
            f"The instance '{commit.instance_id}' changed under a commit: expected execution "
            f"'{fence.execution_id}' with {fence.history_length} events, stored is "
            f"'{head.execution_id}' with {head.history_length}."
        )


def check_consumed(commit: Commit, head: Head, stored: Callable[[], Collection[int]]) -> None:
    """Let a commit end an instance before its start only by messages that are still stored.

    Those of an instance that was replaced meanwhile are gone with it, and its writer may not have
    been told yet; what is stored later than the start cannot be taken for them.
    """
    if head.history_length > 0 or commit.started is not None:
        return
    kept = stored()
    if not all(message_id in kept for message_id in commit.consumed):
        raise StaleCommitError(
            f"The instance '{commit.instance_id}' was replaced under a commit: the messages that "
            "it consumes are gone."
        )


def head_after(commit: Commit) -> Head:
    """Give the head of an instance once the commit has taken effect."""
    status = commit.status.runtime_status
    if commit.started is not None:
        execution_id = commit.started.orchestration_instance.execution_id
        return Head(execution_id, len(commit.events), status)
    fence = commit.fence
    return Head(fence.execution_id, fence.history_length + len(commit.events), status)


def new_head(start: ExecutionStarted) -> Head:
    """Give the head of an instance that was just created."""
    return Head(start.orchestration_instance.execution_id, 0, OrchestrationRuntimeStatus.Pending)


def new_record(start: ExecutionStarted) -> InstanceRecord:
    """Give the status row of an instance that was just created: `Pending`."""
    return InstanceRecord(
        instance_id=start.orchestration_instance.instance_id,
        execution_id=start.orchestration_instance.execution_id,
        name=start.name,
        version=start.version,
        created_time=start.timestamp,
        last_updated_time=start.timestamp,
        runtime_status=OrchestrationRuntimeStatus.Pending,
        input=start.input,
    )


def entity_start(instance_id: str, moment: datetime) -> ExecutionStarted:
    """Give the start of an entity that its first message creates, as the extension does."""
    execution_id = uuid5(_NAMESPACE, f"{instance_id} {moment.isoformat()}").hex
    return ExecutionStarted(
        timestamp=moment,
        orchestration_instance=OrchestrationInstance(instance_id, execution_id),
        name=instance_id,
    )


def creating_start(instance_id: str, event: MessageEvent) -> ExecutionStarted | None:
    """Give the start of an instance that a message creates; None where it creates none."""
    if isinstance(event, ExecutionStarted):
        return event
    if isinstance(event, EventRaised) and is_entity(instance_id):
        return entity_start(instance_id, event.timestamp)
    return None


def is_delivered(event: MessageEvent, target: Head) -> bool:
    """Tell whether an instance takes this message: one that has ended takes only a new start."""
    return isinstance(event, ExecutionStarted) or not target.runtime_status.is_terminal


def survives_end(event_starts: str | None, ended_execution_id: str) -> bool:
    """Tell whether a waiting message outlives its instance: only the start of another run does."""
    return event_starts is not None and event_starts != ended_execution_id


def started_execution(event: MessageEvent) -> str | None:
    """Give the execution id that a start message starts; None for any other message."""
    if isinstance(event, ExecutionStarted):
        return event.orchestration_instance.execution_id
    return None


def timer_of(event: MessageEvent) -> int | None:
    """Give the event id of the timer that a message fires; None for any other message."""
    return event.timer_id if isinstance(event, TimerFired) else None


def matches(query: InstanceQuery, record: InstanceRecord) -> bool:
    """Tell whether an instance passes a filter."""
    created = record.created_time
    return (
        (query.created_time_from is None or created >= query.created_time_from)
        and (query.created_time_to is None or created <= query.created_time_to)
        and (query.runtime_status is None or record.runtime_status in query.runtime_status)
        and record.instance_id.startswith(query.instance_id_prefix or "")
    )


def token_after(instance_id: str) -> str:
    """Give the continuation token of the page that begins after this instance."""
    return urlsafe_b64encode((_MARK + instance_id).encode()).decode("ascii")


def position_of(token: str | None) -> str:
    """Give the instance id that a continuation token stands for; the empty string for none.

    Raises:
        ValueError: The token was not made by `token_after`.
    """
    if token is None:
        return ""
    try:
        text = urlsafe_b64decode(token.encode("ascii")).decode()
    except ValueError as error:
        raise ValueError(_bad_token(token)) from error
    if not text.startswith(_MARK) or token_after(text.removeprefix(_MARK)) != token:
        raise ValueError(_bad_token(token))
    return text.removeprefix(_MARK)


def _bad_token(token: str) -> str:
    return f"The continuation token {token[:40]!r} is not one of this store's."
