"""Records what one execution does: its episodes, their steps, and what follows from them.

A `Recording` feeds the orchestrator and keeps in a draft what the next commit makes durable. It is
what a `Session` has while its instance is loaded.

Two rules keep crashes harmless:

- What is asked for in an episode may start only once the messages of that episode are durable.
  Those of an opening episode (the start, or what continue-as-new has committed) are durable
  already, so its activities are ready at once; all other steps wait for the commit.
- An episode that only took in results and asked for nothing new stays open for a moment, so that
  the results of a fan-out share commits. That moment is the worker's; nothing waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_bindings.errors import FunctionNotFoundError
from func_host.durable.actions import (
    CompleteOrchestration,
    ContinueAsNew,
    CreateSubOrchestration,
    CreateTimer,
    ScheduleTask,
    SendEvent,
)
from func_host.durable.engine import commit as planning
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.history import (
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from func_host.clock import IdSource
    from func_host.durable.actions import OrchestratorAction
    from func_host.durable.backend import Commit, Fence, OutgoingMessage, StoredInstance
    from func_host.durable.engine.replay import OrchestratorRun
    from func_host.durable.executor import Executor
    from func_host.durable.history import ExecutionTerminated, HistoryEvent, MessageEvent


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


class Recording:
    """One execution: its state, its orchestrator, and what of it is not committed yet.

    Args:
        instance_id: The instance.
        executor: Runs its orchestrator.
        ids: Gives the id of the next execution.
        fence: What is stored.
        history: The stored history.
    """

    def __init__(
        self,
        instance_id: str,
        executor: Executor,
        ids: IdSource,
        fence: Fence,
        history: Iterable[HistoryEvent] = (),
    ) -> None:
        self.instance_id = instance_id
        self.fence = fence
        self.state = OrchestrationState(history)
        self.run: OrchestratorRun | None = None
        self.parked: str | None = None
        self.draft = planning.Draft()
        self.must_commit = False
        self.episode_is_open = False
        self._custom_status: str | None = None
        self._after_commit: list[ActivityCall] = []
        self._executor = executor
        self._ids = ids

    @property
    def instance(self) -> OrchestrationInstance:
        """The execution that is running."""
        assert self.state.started is not None
        return self.state.started.orchestration_instance

    @property
    def now(self) -> datetime:
        """Time of the current episode."""
        assert self.state.now is not None
        return self.state.now

    # The orchestrator

    def replay(self, stored: StoredInstance, advance: Advance) -> None:
        """Replay the stored history, and record what it leaves to ask for.

        Activities that are open are ready. So are those that an opening episode asks for: its
        messages are durable, its steps not yet recorded.
        """
        self._custom_status = stored.custom_status
        started = self.state.started
        if started is None or self.state.completed is not None:
            return
        self.run, self.parked = self._executor.replay(started, stored.history)
        if self.parked != stored.parked:
            self.draft.status_changed = advance.is_urgent = True
        if self.run is None:
            return
        for timer_id in self.run.cancelled_before:
            self.state.open_timers.pop(timer_id, None)
        for action in self.run.open_activities():
            if action.id in self.state.open_tasks and action.id not in stored.carried:
                advance.ready.append(ActivityCall(self.instance, action))
        self.episode_is_open = not isinstance(stored.history[-1], OrchestratorCompleted)
        self.record(self.run.take_actions(), advance, is_opening=True)

    def start(self, start: ExecutionStarted, advance: Advance) -> None:
        """Begin an execution with the message that starts it."""
        self.draft.started = start
        self.run, self.parked = self._executor.start(start)
        self.begin(max(start.timestamp, start.scheduled_start_time or start.timestamp))
        self.feed(start)
        if self.run is not None:
            self.record(self.run.take_actions(), advance, is_opening=True)
        else:
            advance.is_urgent = True

    def run_opening(self, start: ExecutionStarted, opening: Iterable[HistoryEvent]) -> bool:
        """Run the committed opening of a new execution; False where it is parked."""
        self.run, self.parked = self._executor.start(start)
        if self.run is None:
            self.draft.status_changed = True
            return False
        for event in opening:
            self.run.feed(event)
        return True

    def close(self) -> None:
        """Let the orchestrator go."""
        run, self.run = self.run, None
        if run is not None:
            run.close()

    # Episodes

    def begin(self, now: datetime) -> None:
        """Open an episode; one that is open is closed, unless its steps are still to be asked."""
        self._close_episode()
        if self.state.now is not None:
            now = max(now, self.state.now)
        event = OrchestratorStarted(timestamp=now)
        self._append(event)
        if self.run is not None:
            self.run.feed(event)
        self.episode_is_open = True

    def feed(self, event: MessageEvent) -> None:
        """Take a message into the open episode."""
        self._append(event)
        if self.run is not None:
            self.run.feed(event)

    def _close_episode(self) -> None:
        if self.episode_is_open and (self.parked is None or self.state.completed is not None):
            event = OrchestratorCompleted(timestamp=self.now)
            self._append(event)
            if self.run is not None:
                self.run.feed(event)
        self.episode_is_open = False

    def _append(self, event: HistoryEvent) -> None:
        self.draft.events.append(event)
        self.state.apply(event)

    # Steps

    def record_asked(self, advance: Advance) -> None:
        """Record what the orchestrator asks for now; it starts with the commit."""
        if self.run is None:
            advance.is_urgent = True
            return
        actions = self.run.take_actions()
        if actions:
            advance.is_urgent = True
        self.record(actions, advance, is_opening=False)

    def record(
        self, actions: list[OrchestratorAction], advance: Advance, *, is_opening: bool
    ) -> None:
        """Record steps; the activities of an opening episode are ready at once."""
        assert self.run is not None
        self._record_status(self.run)
        ready = advance.ready if is_opening else self._after_commit
        for action in actions:
            if isinstance(action, ContinueAsNew):
                self._continue_as_new(action)
                return
            self._append(
                planning.record_of(action, self.now, store_inputs=self._executor.store_inputs)
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
            self.draft.cancelled_timers.append(timer_id)
            self.state.open_timers.pop(timer_id, None)
        if run.custom_status != self._custom_status:
            self._custom_status = run.custom_status
            self.draft.status_changed = True

    def _record_effect(
        self, action: CreateTimer | CreateSubOrchestration | SendEvent | CompleteOrchestration
    ) -> None:
        outbox = self.draft.outbox
        match action:
            case CreateTimer():
                outbox.append(planning.timer_message(action, self.instance))
            case CreateSubOrchestration():
                outbox.append(self._child_message(action))
            case SendEvent():
                outbox.append(planning.sent_message(action, self.now))
            case CompleteOrchestration():
                self.must_commit = True
                self.tell_parent()

    def _child_message(self, action: CreateSubOrchestration) -> OutgoingMessage:
        started = self.state.started
        assert started is not None
        unknown = self._executor.why_unknown(action.name)
        message = planning.child_message(
            action,
            started,
            now=self.now,
            default_version=self._executor.default_version,
        )
        assert isinstance(message.event, ExecutionStarted)
        if unknown is None:
            return message
        assert message.event.parent_instance is not None
        return planning.child_refused(
            message.event.parent_instance, FunctionNotFoundError, unknown, self.now
        )

    def _continue_as_new(self, action: ContinueAsNew) -> None:
        """Replace the draft by the opening of the next execution: its start and unread events."""
        old = self.state.started
        assert old is not None
        now = self.now
        start = ExecutionStarted(
            timestamp=now,
            orchestration_instance=OrchestrationInstance(self.instance_id, self._ids.new_id()),
            name=old.name,
            version=old.version,
            input=action.input,
            parent_instance=old.parent_instance,
            tags=old.tags,
        )
        self.draft.started = start
        self.draft.events = [OrchestratorStarted(timestamp=now), start, *action.carryover]
        self.draft.cancelled_timers += self.state.open_timers
        self.state = OrchestrationState(self.draft.events)
        self.episode_is_open = False
        self.must_commit = True
        self.close()

    # Ends

    def tell_parent(self) -> None:
        """Tell the parent, where there is one, how the instance has ended."""
        started, completed = self.state.started, self.state.completed
        if started is None or completed is None or planning.is_detached(started):
            return
        if started.parent_instance is not None:
            self.draft.outbox.append(planning.parent_message(completed, started.parent_instance))

    def end_without_run(self, event: ExecutionTerminated) -> None:
        """Record the end of an instance that is terminated while its orchestrator does not run."""
        step = self.state.last_event_id + 1
        for release in self.state.asked_locks.releases(self.instance_id, step, self.now):
            self._append(planning.record_of(release, self.now, store_inputs=False))
            self.draft.outbox.append(planning.sent_message(release, self.now))
        action = CompleteOrchestration(
            self.state.last_event_id + 1, OrchestrationRuntimeStatus.Terminated, event.input
        )
        self._append(planning.record_of(action, self.now, store_inputs=False))
        self.parked = None
        self.must_commit = True
        self.tell_parent()

    # Committing

    def take_commit(self, now: datetime) -> Commit:
        """Freeze what has been done since the last commit."""
        self._close_episode()
        return planning.plan_commit(
            self.instance_id,
            self.fence,
            self.draft,
            self.state,
            now=now,
            custom_status=self._custom_status,
            parked=self.parked,
        )

    def committed(self) -> tuple[planning.Draft, list[ActivityCall]]:
        """Begin a new draft; give the one that is durable now, and the activities it lets start."""
        draft, ready = self.draft, self._after_commit
        execution_id = self.fence.execution_id
        if draft.started is not None:
            execution_id = draft.started.orchestration_instance.execution_id
        self.fence = replace(
            self.fence, execution_id=execution_id, history_length=self.state.length
        )
        self.draft = planning.Draft()
        self._after_commit = []
        self.must_commit = False
        return draft, ready
