"""A session: one active instance in memory, fed messages and results, drained into commits.

A session is synchronous and does no I/O; the worker around it loads, commits and dispatches. Its
orchestrator stays suspended between messages, so nothing is replayed; dropping the orchestrator
(`evict`) costs a replay and nothing else.

Two rules keep crashes harmless:

- What is asked for in an episode may start only once the messages of that episode are durable.
  Those of an opening episode (the start, or what continue-as-new has committed) are durable
  already, so its activities are ready at once; all other steps wait for the commit.
- An episode that only took in results and asked for nothing new stays open for a moment, so that
  the results of a fan-out share commits. That moment is the worker's; nothing waits for it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.actions import (
    CompleteOrchestration,
    ContinueAsNew,
    CreateSubOrchestration,
    CreateTimer,
    ScheduleTask,
)
from func_host.durable.backend import Fence, Message
from func_host.durable.engine import commit as planning
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.history import (
    ExecutionStarted,
    ExecutionTerminated,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from func_host.clock import IdSource
    from func_host.durable.actions import OrchestratorAction
    from func_host.durable.backend import Commit, MessageId, OutgoingMessage, StoredInstance
    from func_host.durable.engine.replay import OrchestratorRun
    from func_host.durable.executor import Executor
    from func_host.durable.history import HistoryEvent, MessageEvent

ActivityResult = TaskCompleted | TaskFailed


@dataclass(frozen=True, slots=True)
class ActivityCall:
    """An activity that may start now."""

    instance: OrchestrationInstance
    action: ScheduleTask


@dataclass(slots=True)
class Advance:
    """What came of feeding a session.

    Args:
        ready: Activities that may start now.
        is_urgent: True where something waits for the commit; else it may be put off a little.
    """

    ready: list[ActivityCall] = field(default_factory=list[ActivityCall])
    is_urgent: bool = False


class Session:
    """One active instance."""

    def __init__(self, instance_id: str, executor: Executor, ids: IdSource) -> None:
        """Make a session that has not been loaded."""
        self.instance_id = instance_id
        self.mailbox: deque[Message] = deque()
        self.results: deque[tuple[OrchestrationInstance, ActivityResult]] = deque()
        self.is_loaded = False
        self.is_lingering = False
        self.parked: str | None = None
        self.failures = 0
        self._executor = executor
        self._ids = ids
        self._reset(Fence("", 0))

    def _reset(self, fence: Fence, history: Iterable[HistoryEvent] = ()) -> None:
        self._fence = fence
        self._state = OrchestrationState(history)
        self._run: OrchestratorRun | None = None
        self._custom_status: str | None = None
        self._draft = planning.Draft()
        self._episode_is_open = False
        self._early: list[Message] = []
        self._after_commit: list[ActivityCall] = []
        self._must_commit = False
        self._held: set[MessageId] = {message.id for message in self.mailbox}

    # Life

    def load(
        self, stored: StoredInstance, is_dispatched: Callable[[OrchestrationInstance, int], bool]
    ) -> Advance:
        """Take the stored instance, replay it, and give what its history leaves to do.

        Activities that are open, and neither dispatched nor answered, are ready. So are those that
        an opening episode asks for: its messages are durable, its steps not yet recorded.
        """
        self._reset(stored.fence, stored.history)
        self._custom_status = stored.custom_status
        self.is_loaded = True
        self.parked = None
        advance = Advance()
        started = self._state.started
        if started is None or self._state.completed is not None:
            return advance
        self._run, self.parked = self._executor.replay(started, stored.history)
        if self.parked != stored.parked:
            self._draft.status_changed = advance.is_urgent = True
        if self._run is None:
            return advance
        for timer_id in self._run.cancelled_before:
            self._state.open_timers.pop(timer_id, None)
        for action in self._run.open_activities():
            if action.id in self._state.open_tasks:
                advance.ready.append(ActivityCall(self.instance, action))
        self._episode_is_open = not isinstance(stored.history[-1], OrchestratorCompleted)
        self._record(self._run.take_actions(), advance, is_opening=True)
        answered = {(instance, result.task_scheduled_id) for instance, result in self.results}
        advance.ready = [
            call
            for call in advance.ready
            if (call.instance, call.action.id) not in answered
            and not is_dispatched(call.instance, call.action.id)
        ]
        return advance

    def evict(self) -> None:
        """Drop the orchestrator and what is not committed; `load` comes before the next feeding."""
        self.is_loaded = False
        self._restart(Fence("", 0))

    def discard(self) -> None:
        """Drop everything, also what has arrived: the store will hand it out again."""
        self.mailbox.clear()
        self.results.clear()
        self.evict()

    @property
    def instance(self) -> OrchestrationInstance:
        """The execution that is running."""
        assert self._state.started is not None
        return self._state.started.orchestration_instance

    @property
    def committed_instance(self) -> OrchestrationInstance:
        """The execution that is stored."""
        return OrchestrationInstance(self.instance_id, self._fence.execution_id)

    @property
    def is_idle(self) -> bool:
        """True where neither feeding nor committing would do anything, and nothing is held."""
        return not (self.mailbox or self.results or self._early or self.has_draft)

    @property
    def has_work(self) -> bool:
        """True where `advance` would do something."""
        return bool(self.mailbox or self.results)

    @property
    def has_draft(self) -> bool:
        """True where something is waiting to be committed."""
        return not self._draft.is_empty

    @property
    def is_completed(self) -> bool:
        """True where the instance has ended, committed or not."""
        return self._state.completed is not None

    # Feeding

    def advance(self, now: datetime) -> Advance:
        """Feed everything that has arrived, and record what the orchestrator asks for.

        Feeding stops where a commit must come first: at the end of an execution.
        """
        advance = Advance()
        while self.results and not self._must_commit:
            self._feed_result(*self.results.popleft(), now, advance)
        is_first = True
        while self.mailbox and not self._must_commit:
            is_first = self._feed_message(self.mailbox.popleft(), now, advance, is_first=is_first)
        advance.is_urgent = advance.is_urgent or self._must_commit
        return advance

    def receive(self, messages: Iterable[Message], *, is_replaced: bool = False) -> None:
        """Take messages of the store; one that is held already (handed out twice) is ignored.

        What was held of an instance that a client has replaced is void.
        """
        if is_replaced:
            self.mailbox.clear()
            self._early.clear()
        for message in messages:
            if message.id not in self._held:
                self._held.add(message.id)
                self.mailbox.append(message)

    def receive_result(self, instance: OrchestrationInstance, result: ActivityResult) -> None:
        """Take the result of an activity; one of an execution that is over is dropped later."""
        self.results.append((instance, result))

    def _feed_result(
        self,
        instance: OrchestrationInstance,
        result: ActivityResult,
        now: datetime,
        advance: Advance,
    ) -> None:
        if self._state.started is None or self.instance != instance:
            return
        if not self._state.accepts(result):
            return
        if not self._episode_is_open:
            self._begin(now)
        self._feed(result)
        self._record_asked(advance)

    def _feed_message(
        self, message: Message, now: datetime, advance: Advance, *, is_first: bool
    ) -> bool:
        """Feed one message; give whether the next one needs an episode of its own."""
        event = message.event
        if isinstance(event, ExecutionStarted):
            self._feed_start(message, event, now, advance)
            return True
        if self._state.started is None and not isinstance(event, ExecutionTerminated):
            self._early.append(message)
            return is_first
        self._draft.consumed.append(message.id)
        if not self._is_for_us(message) or not self._state.accepts(event):
            return is_first
        if isinstance(event, TimerFired):
            now = max(now, event.fire_at)
        if is_first or not self._episode_is_open or now > self._now:
            self._begin(now)
        self._feed(event)
        advance.is_urgent = True
        if isinstance(event, ExecutionTerminated) and self._run is None:
            self._end_without_run(event)
        else:
            self._record_asked(advance)
        return False

    def _is_for_us(self, message: Message) -> bool:
        return message.execution_id is None or message.execution_id == self._fence.execution_id

    def _feed_start(
        self, message: Message, start: ExecutionStarted, now: datetime, advance: Advance
    ) -> None:
        running = None if self._state.completed else self._state.started
        consumed = [*self._draft.consumed, message.id]
        if self._state.started is not None and start.orchestration_instance == self.instance:
            self._draft.consumed.append(message.id)
            return
        # A row without history waits for the start that made it, maybe scheduled for later.
        execution_id = start.orchestration_instance.execution_id
        is_awaited = self._state.started is None and execution_id != self._fence.execution_id
        if (running is not None or is_awaited) and start.parent_instance is not None:
            self._draft.consumed.append(message.id)
            if running is None or running.parent_instance != start.parent_instance:
                reason = (
                    f"The sub-orchestration '{start.name}' could not be started: an instance with "
                    f"the id '{self.instance_id}' exists and has not ended."
                )
                self._draft.outbox.append(
                    planning.child_refused(start.parent_instance, reason, now)
                )
            advance.is_urgent = True
            return
        fence, early = self._fence, self._early
        if running is not None or self._state.started is None:
            fence = Fence(execution_id, 0)
        self._restart(fence)
        self._held.update(consumed, (each.id for each in early))
        self._draft.consumed = consumed
        self._draft.started = start
        self._start_run(start)
        self._begin(max(start.timestamp, start.scheduled_start_time or start.timestamp))
        self._feed(start)
        self.mailbox.extendleft(reversed(early))
        if self._run is not None:
            self._record(self._run.take_actions(), advance, is_opening=True)
        else:
            advance.is_urgent = True

    def _restart(self, fence: Fence) -> None:
        run = self._run
        self._reset(fence)
        if run is not None:
            run.close()

    def _start_run(self, start: ExecutionStarted) -> None:
        self._run, self.parked = self._executor.start(start)

    def _end_without_run(self, event: ExecutionTerminated) -> None:
        action = CompleteOrchestration(
            self._state.last_event_id + 1, OrchestrationRuntimeStatus.Terminated, event.input
        )
        self._append(planning.record_of(action, self._now, store_inputs=False))
        self.parked = None
        self._must_commit = True
        self._tell_parent()

    # Recording

    @property
    def _now(self) -> datetime:
        assert self._state.now is not None
        return self._state.now

    def _append(self, event: HistoryEvent) -> None:
        self._draft.events.append(event)
        self._state.apply(event)

    def _begin(self, now: datetime) -> None:
        """Open an episode; one that is open is closed, unless its steps are still to be asked."""
        self._close_episode()
        if self._state.now is not None:
            now = max(now, self._state.now)
        event = OrchestratorStarted(timestamp=now)
        self._append(event)
        if self._run is not None:
            self._run.feed(event)
        self._episode_is_open = True

    def _close_episode(self) -> None:
        if self._episode_is_open and (self.parked is None or self.is_completed):
            event = OrchestratorCompleted(timestamp=self._now)
            self._append(event)
            if self._run is not None:
                self._run.feed(event)
        self._episode_is_open = False

    def _feed(self, event: MessageEvent) -> None:
        self._append(event)
        if self._run is not None:
            self._run.feed(event)

    def _record_asked(self, advance: Advance) -> None:
        if self._run is None:
            advance.is_urgent = True
            return
        actions = self._run.take_actions()
        if actions:
            advance.is_urgent = True
        self._record(actions, advance, is_opening=False)

    def _record(
        self, actions: list[OrchestratorAction], advance: Advance, *, is_opening: bool
    ) -> None:
        assert self._run is not None
        self._record_status(self._run)
        ready = advance.ready if is_opening else self._after_commit
        for action in actions:
            if isinstance(action, ContinueAsNew):
                self._continue_as_new(action, self._run)
                return
            self._append(
                planning.record_of(action, self._now, store_inputs=self._executor.store_inputs)
            )
            if isinstance(action, ScheduleTask):
                ready.append(ActivityCall(self.instance, action))
            else:
                advance.is_urgent = True
                self._record_effect(action)
        if actions:
            self._close_episode()

    def _record_status(self, run: OrchestratorRun) -> None:
        for timer_id in run.take_cancelled_timers():
            self._draft.cancelled_timers.append(timer_id)
            self._state.open_timers.pop(timer_id, None)
        is_set, custom_status = run.custom_status
        if is_set and custom_status != self._custom_status:
            self._custom_status = custom_status
            self._draft.status_changed = True

    def _record_effect(
        self, action: CreateTimer | CreateSubOrchestration | CompleteOrchestration
    ) -> None:
        outbox = self._draft.outbox
        match action:
            case CreateTimer():
                outbox.append(planning.timer_message(action, self.instance))
            case CreateSubOrchestration():
                outbox.append(self._child_message(action))
            case CompleteOrchestration():
                self._must_commit = True
                self._tell_parent()

    def _child_message(self, action: CreateSubOrchestration) -> OutgoingMessage:
        started = self._state.started
        assert started is not None
        unknown = self._executor.why_unknown(action.name)
        message = planning.child_message(
            action,
            started,
            now=self._now,
            execution_id=self._ids.new_id(),
            default_version=self._executor.default_version,
        )
        assert isinstance(message.event, ExecutionStarted)
        if unknown is None:
            return message
        assert message.event.parent_instance is not None
        return planning.child_refused(message.event.parent_instance, unknown, self._now)

    def _tell_parent(self) -> None:
        started, completed = self._state.started, self._state.completed
        if started is not None and started.parent_instance is not None and completed is not None:
            self._draft.outbox.append(planning.parent_message(completed, started.parent_instance))

    def _continue_as_new(self, action: ContinueAsNew, run: OrchestratorRun) -> None:
        """Replace the draft by the opening of the next execution: its start and unread events."""
        old = self._state.started
        assert old is not None
        now = self._now
        start = ExecutionStarted(
            timestamp=now,
            orchestration_instance=OrchestrationInstance(self.instance_id, self._ids.new_id()),
            name=old.name,
            version=old.version,
            input=action.input,
            parent_instance=old.parent_instance,
            tags=old.tags,
        )
        self._draft.started = start
        self._draft.events = [OrchestratorStarted(timestamp=now), start, *action.carryover]
        self._draft.outbox = [
            message for message in self._draft.outbox if not isinstance(message.event, TimerFired)
        ]
        self._draft.cancelled_timers += self._state.open_timers
        self._state = OrchestrationState(self._draft.events)
        self._episode_is_open = False
        self._must_commit = True
        self._run = None
        run.close()

    # Committing

    def take_commit(self, now: datetime) -> Commit:
        """Freeze what has been done since the last commit; `committed` or `evict` comes next."""
        self._close_episode()
        return planning.plan_commit(
            self.instance_id,
            self._fence,
            self._draft,
            self._state,
            now=now,
            custom_status=self._custom_status,
            parked=self.parked,
        )

    def committed(self) -> Advance:
        """Go on after the commit: what waited for it is ready; a new execution is opened."""
        started = self._draft.started
        advance = Advance(self._after_commit)
        if started is not None:
            execution_id = started.orchestration_instance.execution_id
            self._fence = Fence(execution_id, self._state.length)
        else:
            self._fence = Fence(self._fence.execution_id, self._state.length)
        opening = self._draft.events
        is_new_execution = started is not None and self._run is None and self.parked is None
        self._held.difference_update(self._draft.consumed)
        self._draft = planning.Draft()
        self._after_commit = []
        self._must_commit = False
        self.failures = 0
        if self.is_completed:
            self._drop_late_messages()
        if is_new_execution and not self.is_completed:
            assert started is not None
            self._open_execution(started, opening, advance)
        return advance

    def _drop_late_messages(self) -> None:
        """Forget what came behind the end; the store has kept only the start of another run."""
        kept = [
            each
            for each in self.mailbox
            if isinstance(each.event, ExecutionStarted)
            and each.event.orchestration_instance != self.committed_instance
        ]
        self._held.difference_update(each.id for each in self.mailbox if each not in kept)
        self.mailbox = deque(kept)

    def _open_execution(
        self, start: ExecutionStarted, opening: list[HistoryEvent], advance: Advance
    ) -> None:
        self._start_run(start)
        if self._run is None:
            self._draft.status_changed = advance.is_urgent = True
            return
        for event in opening:
            self._run.feed(event)
        if self._is_terminated_next():
            return
        self._episode_is_open = True
        self._record(self._run.take_actions(), advance, is_opening=True)
        advance.is_urgent = advance.is_urgent or self._must_commit

    def _is_terminated_next(self) -> bool:
        """Put a termination that has arrived before all else, so that nothing is begun any more.

        Else an orchestrator that starts over again and again would outrun its end.
        """
        for position, message in enumerate(self.mailbox):
            if isinstance(message.event, ExecutionTerminated):
                del self.mailbox[position]
                self.mailbox.appendleft(message)
                return True
        return False
