"""A session of an entity: its messages in, one batch of operations at a time, one commit each.

It is synchronous and does no I/O: `begin` says what is to be run, the worker runs it, `finish`
takes how it went. Each commit replaces what is stored, as continue-as-new does: the new history is
the start event, whose input is the entity. Nothing of a batch is durable, or has left the process,
before its commit is.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from func_bindings.durable.entities import EntityId
from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_bindings.errors import FunctionNotFoundError
from func_host.durable.backend import Commit, Fence, OutgoingMessage, StatusChange
from func_host.durable.engine import commit as planning
from func_host.durable.engine.entities import messages, scheduler
from func_host.durable.engine.entities.scheduler import Batch, EntityScheduler
from func_host.durable.engine.failures import type_name
from func_host.durable.history import (
    EventRaised,
    ExecutionStarted,
    Failure,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    ParentInstance,
)
from func_host.durable.worker.mailbox import MailboxSession

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from func_host.clock import IdSource
    from func_host.durable.backend import MessageId, StoredInstance
    from func_host.durable.engine.entities.messages import Request, Stamp
    from func_host.durable.entity_executor import (
        BatchResult,
        OperationOutcome,
        SentSignal,
        StartedOrchestration,
    )
    from func_host.durable.history import HistoryEvent

_NAMESPACE: Final = uuid.UUID("b0b30ad0-3d28-4d6a-9f0c-3f6a0f3c8f51")


@dataclass(slots=True)
class _Draft:
    """What the next commit holds."""

    execution_id: str
    started_at: datetime
    batch: Batch
    consumed: list[MessageId]
    outbox: list[OutgoingMessage] = field(default_factory=list[Any])
    sent: int = 0

    def new_request_id(self) -> str:
        """Give an id that is the same where this commit is written a second time."""
        self.sent += 1
        return str(uuid.uuid5(_NAMESPACE, f"{self.execution_id}:{self.sent}"))


class EntitySession(MailboxSession):
    """One active entity.

    Args:
        instance_id: The instance that stands for it.
        ids: Gives the ids of executions.
        window: The reorder window in stamps; 0 where the store keeps order.
        batch_max: How many operations share a commit.
        default_version: Version of orchestrations that it starts without one.
    """

    def __init__(
        self,
        instance_id: str,
        ids: IdSource,
        *,
        window: Stamp,
        batch_max: int,
        default_version: str = "",
    ) -> None:
        super().__init__(instance_id)
        self.entity_id = EntityId.parse(instance_id)
        self._ids = ids
        self._window = window
        self._batch_max = batch_max
        self._default_version = default_version
        self._draft: _Draft | None = None
        self.unreadable: list[str] = []  # why messages of the last batch could not be read
        self._reset()

    def _reset(self) -> None:
        self.fence = Fence("", 0)
        self.parked: str | None = None
        self._stored = ""
        self._draft = None
        self._scheduler = EntityScheduler(scheduler.read_state(None), window=self._window)
        self._held = {message.id for message in self.mailbox}

    # Life

    def load(self, stored: StoredInstance) -> None:
        """Take the stored entity.

        Raises:
            ValueError: What is stored is not an entity.
        """
        self._reset()
        self.fence = stored.fence
        self.parked = stored.parked
        self._stored = _input_of(stored.history) or ""
        state = scheduler.read_state(self._stored or None)
        self._scheduler = EntityScheduler(state, window=self._window)
        self.is_loaded = True

    def evict(self) -> None:
        """Drop what is in memory and not committed; `load` comes before the next batch."""
        self.is_loaded = False
        self._reset()

    def discard(self) -> None:
        """Drop everything, also what has arrived: the store will hand it out again."""
        self.mailbox.clear()
        self.is_void = False
        self.evict()

    @property
    def committed_instance(self) -> OrchestrationInstance:
        """The execution that is stored."""
        return OrchestrationInstance(self.instance_id, self.fence.execution_id)

    @property
    def state(self) -> str | None:
        """The state of the entity as JSON text."""
        return self._scheduler.state.state

    @property
    def lock(self) -> scheduler.SchedulerState | None:
        """The entity where it is locked; None where it is not."""
        state = self._scheduler.state
        return None if state.locked_by is None else state

    @property
    def is_idle(self) -> bool:
        """True where there is nothing to do."""
        return not self.mailbox and self._draft is None

    @property
    def has_work(self) -> bool:
        """True where something has arrived."""
        return bool(self.mailbox)

    # A batch

    def begin(self, now: datetime, why_unknown: str | None) -> Batch | None:
        """Take what has arrived, and give what is to be run; None where there is nothing to commit.

        `why_unknown` says why no function can run operations; None where one can.
        """
        draft = _Draft(self._ids.new_id(), now, Batch(), [])
        self.unreadable.clear()
        self._draft = draft
        was_parked = self.parked
        while self.mailbox and len(draft.consumed) < self._batch_max:
            message = self.mailbox.popleft()
            draft.consumed.append(message.id)
            if isinstance(message.event, EventRaised):
                self._take(message.event, draft)
        can_run = why_unknown is None
        draft.batch = self._scheduler.take_batch(self._batch_max, now, can_run=can_run)
        self.parked = why_unknown if self._scheduler.state.queue and not can_run else None
        if draft.consumed or not draft.batch.is_empty or self.parked != was_parked:
            return draft.batch
        self._draft = None
        return None

    def _take(self, event: EventRaised, draft: _Draft) -> None:
        try:
            if messages.is_request(event):
                request = messages.read_request(event)
                if not self._send_on_its_way(event, request, draft):
                    self._scheduler.receive(request)
            elif event.name == messages.RELEASE:
                self._scheduler.release(messages.read_release(event), draft.started_at)
        except ValueError as error:
            self.unreadable.append(str(error))

    def _send_on_its_way(self, event: EventRaised, request: Request, draft: _Draft) -> bool:
        """Send a request on that is not due yet: a queue holds a message for some days only."""
        if request.due is None:
            return False
        due = messages.moment_of(request.due)
        if due <= draft.started_at:
            return False
        draft.outbox.append(
            OutgoingMessage(instance_id=self.instance_id, event=event, visible_at=due)
        )
        return True

    def finish(self, result: BatchResult | None, why_unknown: str | None, now: datetime) -> None:
        """Take how the operations went, and write down what follows from them."""
        draft = self._draft
        assert draft is not None
        if result is not None:
            self._scheduler.set_state(result.state)
            for request, outcome in zip(draft.batch.operations, result.outcomes, strict=True):
                self._answer(request, _response(outcome), draft, now)
                for signal in outcome.signals:
                    self._signal(signal, draft, now)
                for start in outcome.starts:
                    self._start(start, draft, now)
        for request in draft.batch.refused:
            self._answer(request, _unknown(why_unknown or ""), draft, now)
        if draft.batch.lock is not None:
            self._grant(draft.batch.lock, draft, now)

    def _answer(
        self, request: Request, response: messages.Response, draft: _Draft, now: datetime
    ) -> None:
        if request.signal or request.parent is None:
            return
        draft.outbox.append(
            OutgoingMessage(
                instance_id=request.parent,
                execution_id=request.parent_execution,
                event=messages.response_event(request, response, now),
            )
        )

    def _signal(self, signal: SentSignal, draft: _Draft, now: datetime) -> None:
        target = str(signal.entity)
        stamp, predecessor = (0, 0) if signal.at else self._scheduler.stamp(target, now)
        request = messages.operation(
            id=draft.new_request_id(),
            op=signal.operation,
            input=signal.input,
            is_signal=True,
            parent=self.instance_id,
            due=signal.at,
            stamp=stamp,
            predecessor=predecessor,
        )
        event = messages.request_event(request, now)
        draft.outbox.append(OutgoingMessage(instance_id=target, event=event, visible_at=signal.at))

    def _start(self, start: StartedOrchestration, draft: _Draft, now: datetime) -> None:
        execution_id = uuid.uuid5(_NAMESPACE, f"{draft.execution_id}:{start.instance_id}").hex
        version = self._default_version if start.version is None else start.version
        event = ExecutionStarted(
            timestamp=now,
            orchestration_instance=OrchestrationInstance(start.instance_id, execution_id),
            name=start.name,
            version=version,
            input=start.input,
            parent_instance=ParentInstance(
                name=self.instance_id,
                orchestration_instance=OrchestrationInstance(self.instance_id, draft.execution_id),
                task_schedule_id=draft.sent,
            ),
            tags={planning.FIRE_AND_FORGET: ""},
        )
        draft.sent += 1
        draft.outbox.append(
            OutgoingMessage(instance_id=start.instance_id, execution_id=execution_id, event=event)
        )

    def _grant(self, request: Request, draft: _Draft, now: datetime) -> None:
        target, forwarded = self._scheduler.grant(request, now)
        if forwarded is None:
            outgoing = OutgoingMessage(
                instance_id=target,
                execution_id=request.parent_execution,
                event=messages.granted_event(request, now),
            )
        else:
            event = messages.request_event(forwarded, now)
            outgoing = OutgoingMessage(instance_id=target, event=event)
        draft.outbox.append(outgoing)

    # Committing

    def take_commit(self, now: datetime) -> Commit:
        """Freeze the batch; `committed` or `evict` comes next."""
        draft = self._draft
        assert draft is not None
        self._stored = self._scheduler.text()
        instance = OrchestrationInstance(self.instance_id, draft.execution_id)
        start = ExecutionStarted(
            timestamp=now,
            orchestration_instance=instance,
            name=self.instance_id,
            input=self._stored,
        )
        return Commit(
            instance_id=self.instance_id,
            fence=self.fence,
            started=start,
            events=(
                OrchestratorStarted(timestamp=now),
                start,
                OrchestratorCompleted(timestamp=now),
            ),
            status=StatusChange(
                runtime_status=OrchestrationRuntimeStatus.Running,
                last_updated_time=now,
                custom_status=self._scheduler.status_text(),
                parked=self.parked,
            ),
            outbox=tuple(draft.outbox),
            consumed=tuple(draft.consumed),
            # What waits in the queue must be looked at again when a store is opened, and so must a
            # lock: its owner may be gone, and nothing else would tell this process of it.
            open_activities=1 if self._scheduler.state.queue or self.lock else 0,
        )

    def committed(self) -> bool:
        """Go on after the commit; give whether the queue has more to do."""
        draft = self._draft
        assert draft is not None
        self.fence = replace(self.fence, execution_id=draft.execution_id, history_length=3)
        self._held.difference_update(draft.consumed)
        self.failures = 0
        self._draft = None
        return self._scheduler.has_turn(can_run=self.parked is None)


def _input_of(history: Sequence[HistoryEvent]) -> str | None:
    for event in history:
        if isinstance(event, ExecutionStarted):
            return event.input
    return None


def _response(outcome: OperationOutcome) -> messages.Response:
    if outcome.failure is None:
        return messages.Response(result=outcome.result)
    return messages.Response(
        result=outcome.error_text or outcome.failure.error_message,
        exception_type=outcome.failure.error_type,
        failure_details=outcome.failure,
    )


def _unknown(why: str) -> messages.Response:
    error_type = type_name(FunctionNotFoundError(why))
    return messages.Response(
        result=why,
        exception_type=error_type,
        failure_details=Failure(error_type=error_type, error_message=why),
    )
