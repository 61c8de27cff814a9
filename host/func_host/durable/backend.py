"""The role of a store: what a task hub promises to the worker and to clients.

The unit of durability is the `Commit`. A call that has returned is durable; a call that raised
has either had no effect or, where the error is a `BackendUnavailableError`, may or may not have
had it. Every implementation passes `func_host.testing.conformance`.

How the worker uses it: `next_work_item` hands over new messages of an instance, each message once
in the life of the backend object. They stay stored until a commit names them in `consumed`.
After a failure the worker calls `abandon` and gets what is unconsumed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, NewType, Protocol, Self

from func_bindings.errors import FunctionsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from func_bindings.durable.dead_letters import DeadLetter
    from func_bindings.durable.status import OrchestrationRuntimeStatus
    from func_host.durable.actions import ScheduleTask
    from func_host.durable.history import (
        ExecutionStarted,
        HistoryEvent,
        MessageEvent,
        OrchestrationInstance,
        TaskCompleted,
        TaskFailed,
    )

MessageId = NewType("MessageId", int)

OPERATION_ID_KEPT: Final = timedelta(hours=1)
"""How long a store knows the operation ids of messages: a repeated one does nothing meanwhile."""

DEAD_LETTERS_LISTED_MAX: Final = 1000
"""A list of dead letters is no longer than this: the rest shows once these are gone."""


class BackendError(FunctionsError):
    """The store could not do what it was asked."""


class BackendUnavailableError(BackendError):
    """A passing fault: try again; the call may or may not have taken effect."""


class StaleCommitError(BackendError):
    """The instance changed under the commit (purged, replaced, taken over): nothing was written."""


class StoreInUseError(BackendError):
    """Another process owns the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFeatures:
    """What an implementation can and cannot do.

    Args:
        timer_leg_max: Longest timer the store can hold; longer ones are split. None for no limit.
        records_open_activities: False where an activity enters history only with its result, so
            that one missing from history is work to redo and not a change of the code. Any other
            step of an episode that history closes is in history.
        sorts_by_utf16: True where ids are in order of their UTF-16 units, False where of their
            code points: an emoji comes before U+FFEE, or behind it.
        has_one_owner: True where a second backend is refused while one is open.
        dead_letters: True where a message may be set aside; elsewhere none ever is.
        shares_activities: True where several hosts share a hub, and an activity can be handed from
            one to another.
        keeps_order: True where what one sender sends to an instance arrives in order and once.
    """

    timer_leg_max: timedelta | None = None
    records_open_activities: bool = True
    sorts_by_utf16: bool = False
    has_one_owner: bool = True
    dead_letters: bool = False
    shares_activities: bool = False
    keeps_order: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """Something that arrived at an instance and is stored until a commit consumes it.

    `execution_id` names the run it is meant for; None is whatever run is current.
    """

    id: MessageId
    event: MessageEvent
    execution_id: str | None = None


class Release(Enum):
    """What a worker is asked to hand over, so that every host can go on with it."""

    ACTIVITIES = "activities"
    """The activities in flight: they last long, and other hosts shall see them in the history."""

    INSTANCE = "instance"
    """All of it: another host takes the instance over."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """An instance that has something to do, with its new messages in order of arrival.

    `messages` is empty for an instance that must be looked at because a previous process left it
    with activities in flight. `is_replaced` is True where a client has put a new instance in place
    of one whose messages had been handed out: what the worker still holds of those is void.
    With `release` the worker commits what it has, and hands over what the store asks for.
    """

    instance_id: str
    messages: tuple[Message, ...] = ()
    is_replaced: bool = False
    release: Release | None = None


@dataclass(frozen=True, slots=True)
class SharedActivity:
    """An activity that every host of a hub could run, held by this one.

    `ticket` means something to its store only.
    """

    instance: OrchestrationInstance
    action: ScheduleTask
    ticket: object


@dataclass(frozen=True, slots=True)
class Fence:
    """What the writer believes is stored: a commit takes effect only where it is.

    `epoch` counts how often this process has become the owner of the instance: what was read under
    an earlier ownership is not to be gone on with.
    """

    execution_id: str
    history_length: int
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """An instance as its worker needs it: the history of the current execution and the fence.

    The history of an instance that has not run yet is empty. `carried` are activities in flight
    that some other message stands for: their results arrive, and they must not be started here.
    """

    instance_id: str
    fence: Fence
    runtime_status: OrchestrationRuntimeStatus
    custom_status: str | None
    history: Sequence[HistoryEvent]
    parked: str | None = None
    carried: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message to an instance (maybe the sender itself), visible from `visible_at` (None: now).

    An `ExecutionStarted` to an instance that does not exist creates it as `Pending`; to one that
    exists it is delivered like any message, and that instance's worker decides. An `EventRaised` to
    an entity (`@name@key`) that does not exist creates it, too: see `entity_start`. Any other
    message to an instance that does not exist or has ended is dropped.
    """

    instance_id: str
    event: MessageEvent
    execution_id: str | None = None
    visible_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """The status row after a commit.

    `output` and `custom_status` are stored text as it is shown: JSON, or plain text for failures
    and reasons. `parked` is the reason why the instance does not run, or None.
    """

    runtime_status: OrchestrationRuntimeStatus
    last_updated_time: datetime
    custom_status: str | None = None
    output: str | None = None
    parked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One step of one instance, all or nothing.

    Args:
        instance_id: The instance.
        fence: What must be stored for the commit to take effect.
        started: Where this commit begins an execution (first commit, continue-as-new, a start over
            a finished instance): its start event. The stored history is replaced by `events`, and
            name, input, version, created time and execution id of the status row by those of the
            event.
        events: Appended to the history (or all of it, with `started`).
        status: The status row afterwards.
        outbox: Messages to send; timers of the instance itself are `TimerFired` messages with
            `visible_at`.
        cancelled_timers: Event ids of own timers whose message is to be deleted.
        consumed: Messages that are deleted with this commit.
        open_activities: How many activities are in flight afterwards: with more than none, the
            instance is handed out again when a store is opened.
    """

    instance_id: str
    fence: Fence
    events: tuple[HistoryEvent, ...]
    status: StatusChange
    started: ExecutionStarted | None = None
    outbox: tuple[OutgoingMessage, ...] = ()
    cancelled_timers: tuple[int, ...] = ()
    consumed: tuple[MessageId, ...] = ()
    open_activities: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """The status row of an instance; `input`, `output`, `custom_status` are stored text."""

    instance_id: str
    execution_id: str
    name: str
    version: str
    created_time: datetime
    last_updated_time: datetime
    runtime_status: OrchestrationRuntimeStatus
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    parked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuery:
    """A filter over instances; every part that is given must match, times are inclusive.

    `runtime_status` of None is every status; an empty tuple matches nothing.
    """

    created_time_from: datetime | None = None
    created_time_to: datetime | None = None
    runtime_status: tuple[OrchestrationRuntimeStatus, ...] | None = None
    instance_id_prefix: str | None = None
    page_size: int = 100
    continuation_token: str | None = None
    fetch_input: bool = True


@dataclass(frozen=True, slots=True)
class InstancePage:
    """Some instances by id, and the token of the next page; None on the last."""

    instances: tuple[InstanceRecord, ...]
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCount:
    """How often a store has asked a service for an operation with this outcome.

    `status` is that of HTTP; 0 where no answer came.
    """

    service: str
    operation: str
    status: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSummary:
    """How many instances there are by status; entities, which have none, are not counted."""

    instances: Mapping[OrchestrationRuntimeStatus, int]

    @property
    def unfinished(self) -> int:
        """How many have not ended."""
        return sum(n for status, n in self.instances.items() if not status.is_terminal)


class Backend(Protocol):
    """A task hub."""

    @property
    def features(self) -> BackendFeatures:
        """What this store can do; fixed for its life."""
        ...

    def request_counts(self) -> Sequence[RequestCount]:
        """Give what the store has asked of others so far, by kind; empty for one that asks nobody.

        The counts only grow, and can be had at any time, also when the store is closed.
        """
        ...

    async def __aenter__(self) -> Self:
        """Open the store and take what must be owned.

        Raises:
            StoreInUseError: Another process owns it.
            BackendError: It cannot be opened; the message says why and what to do.
        """
        ...

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish commits in progress and release what is owned; safe to call twice."""
        ...

    async def create_instance(
        self, start: ExecutionStarted, *, replace_unfinished: bool = False
    ) -> None:
        """Store a new instance as `Pending` and its start message.

        The message becomes visible at `start.scheduled_start_time`, or now. An instance of this id
        that has ended is replaced: its history, messages and result are gone; the worker gets only
        the new start. With `replace_unfinished` one that still runs is replaced too.

        Raises:
            InstanceAlreadyExistsError: An instance with this id exists and has not ended.
        """
        ...

    async def send_message(
        self,
        instance_id: str,
        event: MessageEvent,
        *,
        visible_at: datetime | None = None,
        operation_id: str | None = None,
    ) -> None:
        """Store a message to an instance that exists and has not ended, or to an entity.

        It becomes visible at `visible_at`, or now. Where a message with this operation id has been
        sent to the instance within `OPERATION_ID_KEPT`, it is the same one: nothing is sent.
        Messages to an entity from a caller who waits for each call to return arrive in order.

        Raises:
            InstanceNotFoundError: There is no such instance.
            InstanceCompletedError: The instance has ended.
        """
        ...

    async def next_work_item(self) -> WorkItem:
        """Wait for an instance that has something to do, in order of waiting.

        Messages of one instance come in order of arrival (of `visible_at` for delayed ones), and
        never before they are visible. After opening, every instance that has messages comes once,
        and so does every unfinished one that has open activities.
        """
        ...

    async def load(self, instance_id: str) -> StoredInstance | None:
        """Give the instance with its whole history, or None where there is none."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Write one step, all or nothing; when this returns it is durable.

        Raises:
            StaleCommitError: What is stored is not what the fence says: nothing was written.
            BackendUnavailableError: A passing fault.
        """
        ...

    async def abandon(self, instance_id: str) -> None:
        """Forget what was delivered to this instance: what is unconsumed is handed out again.

        As after opening, an instance with open activities comes even without messages.
        """
        ...

    # What hosts share

    def owns(self, instance_id: str) -> bool:
        """Tell whether this process may act for the instance at this very moment."""
        ...

    @property
    def has_peers(self) -> bool:
        """Whether other hosts are there that could run an activity."""
        ...

    async def share_activities(
        self,
        instance_id: str,
        *,
        waiting: Sequence[ScheduleTask] = (),
        running: Sequence[ScheduleTask] = (),
    ) -> Sequence[SharedActivity]:
        """Let other hosts run committed activities; give those that run here, which stay here.

        From then on the result of each goes through `complete_activity`, whoever runs it.

        Raises:
            StaleCommitError: The instance is not this process's any more; nothing was shared.
            BackendUnavailableError: A passing fault; some may have been shared.
        """
        ...

    async def release_instance(self, instance_id: str) -> None:
        """Note that nothing of an instance is in flight here any more, as was asked for."""
        ...

    async def next_activity(self) -> SharedActivity:
        """Wait for an activity that another host, or this one, has shared."""
        ...

    async def complete_activity(
        self, activity: SharedActivity, result: TaskCompleted | TaskFailed
    ) -> None:
        """Send the result of a shared activity to its instance; it may be repeated after a fault.

        Raises:
            BackendUnavailableError: A passing fault.
        """
        ...

    # Clients and everybody

    async def get_instance(
        self, instance_id: str, *, fetch_input: bool = True
    ) -> InstanceRecord | None:
        """Give the status row as last committed; its cost does not grow with the history."""
        ...

    async def get_history(self, instance_id: str) -> Sequence[HistoryEvent]:
        """Give the committed history of the current execution; empty where there is none."""
        ...

    async def query_instances(self, query: InstanceQuery) -> InstancePage:
        """Give one page of the instances that match, ordered by id: see `features`.

        Raises:
            ValueError: The continuation token is not one of this store's.
        """
        ...

    async def purge_instance(self, instance_id: str) -> bool:
        """Delete all that is stored of an instance that has ended; False where there is none.

        Raises:
            InstanceConflictError: The instance has not ended.
        """
        ...

    async def purge_entity(self, instance_id: str, execution_id: str) -> bool:
        """Delete all that is stored of an entity where this is still its execution.

        False where it is not, and where a message waits for the entity: nothing was deleted.
        """
        ...

    async def purge_instances(self, query: InstanceQuery) -> int:
        """Delete the instances that match and have ended, whatever the page size; give how many."""
        ...

    async def wait_for_completion(self, instance_id: str) -> InstanceRecord:
        """Wait until the instance has ended, woken by the commit that ends it.

        Raises:
            InstanceNotFoundError: There is no such instance.
        """
        ...

    async def summary(self) -> HubSummary:
        """Count the instances by status, without entities."""
        ...

    async def dead_letters(self) -> Sequence[DeadLetter]:
        """Give the messages that were set aside, oldest first: `DEAD_LETTERS_LISTED_MAX` at most.

        A message is set aside where handling it has raised again and again, so that it does not
        hold up others.
        """
        ...

    async def retry_dead_letter(self, letter_id: str) -> bool:
        """Put a message back, to be handled anew at once; False where there is no such letter."""
        ...

    async def drop_dead_letter(self, letter_id: str) -> bool:
        """Delete a message that was set aside; False where there is no such letter."""
        ...
