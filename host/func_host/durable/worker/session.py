"""A session: one active orchestration in memory, fed messages and results, drained into commits.

A session is synchronous and does no I/O; the worker around it loads, commits and dispatches. Its
orchestrator stays suspended between messages, so nothing is replayed; dropping the orchestrator
(`evict`) costs a replay and nothing else. What it does is written down by its `Recording`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from func_bindings.errors import InstanceAlreadyExistsError
from func_host.durable.backend import Fence
from func_host.durable.engine import commit as planning
from func_host.durable.history import (
    ExecutionStarted,
    ExecutionTerminated,
    OrchestrationInstance,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from func_host.durable.worker.mailbox import MailboxSession
from func_host.durable.worker.recording import Advance, Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from func_host.clock import IdSource
    from func_host.durable.backend import Commit, Message, StoredInstance
    from func_host.durable.executor import Executor
    from func_host.durable.history import HistoryEvent

ActivityResult = TaskCompleted | TaskFailed


class Session(MailboxSession):
    """One active orchestration."""

    def __init__(self, instance_id: str, executor: Executor, ids: IdSource) -> None:
        """Make a session that has not been loaded."""
        super().__init__(instance_id)
        self.results: deque[tuple[OrchestrationInstance, ActivityResult]] = deque()
        self._executor = executor
        self._ids = ids
        self._reset(Fence("", 0))

    def _reset(self, fence: Fence, history: Iterable[HistoryEvent] = ()) -> None:
        self._recording = Recording(self.instance_id, self._executor, self._ids, fence, history)
        self._early: list[Message] = []
        self._held = {message.id for message in self.mailbox}

    # Life

    def load(
        self, stored: StoredInstance, is_dispatched: Callable[[OrchestrationInstance, int], bool]
    ) -> Advance:
        """Take the stored instance, replay it, and give what its history leaves to do.

        Activities that are open, and neither dispatched nor answered, are ready.
        """
        self._reset(stored.fence, stored.history)
        self.is_loaded = True
        advance = Advance()
        self._recording.replay(stored, advance)
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
        self.is_void = False
        self.evict()

    def _restart(self, fence: Fence) -> None:
        dropped = self._recording
        self._reset(fence)
        dropped.close()

    @property
    def committed_instance(self) -> OrchestrationInstance:
        """The execution that is stored."""
        return OrchestrationInstance(self.instance_id, self._recording.fence.execution_id)

    @property
    def parked(self) -> str | None:
        """Why the instance does not run; None where it does."""
        return self._recording.parked

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
        return not self._recording.draft.is_empty

    @property
    def is_to_share(self) -> bool:
        """True where something is to be handed over, once all that has arrived is committed."""
        return self.release is not None or self.has_excess

    @property
    def is_completed(self) -> bool:
        """True where the instance has ended, committed or not."""
        return self._recording.state.completed is not None

    # Feeding

    def advance(self, now: datetime) -> Advance:
        """Feed everything that has arrived, and record what the orchestrator asks for.

        Feeding stops where a commit must come first: at the end of an execution.
        """
        advance = Advance()
        while self.results and not self._recording.must_commit:
            self._feed_result(*self.results.popleft(), now, advance)
        is_first = True
        while self.mailbox and not self._recording.must_commit:
            is_first = self._feed_message(self.mailbox.popleft(), now, advance, is_first=is_first)
        advance.is_urgent = advance.is_urgent or self._recording.must_commit
        return advance

    def take_result(self, instance: OrchestrationInstance, task_id: int) -> ActivityResult | None:
        """Give and forget the result of an activity that has arrived and was not fed yet."""
        for position, (one, result) in enumerate(self.results):
            if one == instance and result.task_scheduled_id == task_id:
                del self.results[position]
                return result
        return None

    def forget_mail(self) -> None:
        """Drop what has arrived and was not consumed."""
        super().forget_mail()
        self._early.clear()

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
        recording = self._recording
        if recording.state.started is None or recording.instance != instance:
            return
        if not recording.state.accepts(result):
            return
        if not recording.episode_is_open:
            recording.begin(now)
        recording.feed(result)
        recording.record_asked(advance)

    def _feed_message(
        self, message: Message, now: datetime, advance: Advance, *, is_first: bool
    ) -> bool:
        """Feed one message; give whether the next one needs an episode of its own."""
        recording, event = self._recording, message.event
        if isinstance(event, ExecutionStarted):
            self._feed_start(message, event, now, advance)
            return True
        if recording.state.started is None and not isinstance(event, ExecutionTerminated):
            self._early.append(message)
            return is_first
        recording.draft.consumed.append(message.id)
        if not self._is_for_us(message) or not recording.state.accepts(event):
            return is_first
        if isinstance(event, TimerFired):
            now = max(now, event.fire_at)
        if is_first or not recording.episode_is_open or now > recording.now:
            recording.begin(now)
        recording.feed(event)
        advance.is_urgent = True
        if isinstance(event, ExecutionTerminated) and recording.run is None:
            recording.end_without_run(event)
        else:
            recording.record_asked(advance)
        return False

    def _is_for_us(self, message: Message) -> bool:
        return message.execution_id in {None, self._recording.fence.execution_id}

    def _feed_start(
        self, message: Message, start: ExecutionStarted, now: datetime, advance: Advance
    ) -> None:
        recording = self._recording
        started, fence = recording.state.started, recording.fence
        if started is not None and planning.is_same_start(start, started):
            recording.draft.consumed.append(message.id)
            if recording.state.completed is not None:
                # A parent that asks again may have missed the answer: it ignores a second one.
                recording.tell_parent()
                advance.is_urgent = True
            return
        running = None if recording.state.completed else started
        # A row without history waits for the start that made it, maybe scheduled for later.
        execution_id = start.orchestration_instance.execution_id
        is_awaited = started is None and execution_id != fence.execution_id
        if (running is not None or is_awaited) and start.parent_instance is not None:
            recording.draft.consumed.append(message.id)
            advance.is_urgent = True
            self._refuse_child(start, now)
            return
        if running is not None or started is None:
            fence = replace(fence, execution_id=execution_id, history_length=0)
        consumed, early = [*recording.draft.consumed, message.id], self._early
        self._restart(fence)
        self._held.update(consumed, (each.id for each in early))
        self._recording.draft.consumed = consumed
        self._recording.start(start, advance)
        self.mailbox.extendleft(reversed(early))

    def _refuse_child(self, start: ExecutionStarted, now: datetime) -> None:
        assert start.parent_instance is not None
        if planning.is_detached(start):
            return
        reason = (
            f"The sub-orchestration '{start.name}' could not be started: an instance with the id "
            f"'{self.instance_id}' exists and has not ended."
        )
        self._recording.draft.outbox.append(
            planning.child_refused(start.parent_instance, InstanceAlreadyExistsError, reason, now)
        )

    # Committing

    def take_commit(self, now: datetime) -> Commit:
        """Freeze what has been done since the last commit; `committed` or `evict` comes next."""
        return self._recording.take_commit(now)

    def committed(self) -> Advance:
        """Go on after the commit: what waited for it is ready; a new execution is opened."""
        recording = self._recording
        draft, ready = recording.committed()
        advance = Advance(ready)
        self._held.difference_update(draft.consumed)
        self.failures = 0
        if self.is_completed:
            self._drop_late_messages()
        elif draft.started is not None and recording.run is None and recording.parked is None:
            self._open_execution(draft.started, draft.events, advance)
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
        self, start: ExecutionStarted, opening: Iterable[HistoryEvent], advance: Advance
    ) -> None:
        recording = self._recording
        if not recording.run_opening(start, opening):
            advance.is_urgent = True
            return
        assert recording.run is not None
        if self._is_terminated_next():
            return
        recording.episode_is_open = True
        recording.record(recording.run.take_actions(), advance, is_opening=True)
        advance.is_urgent = advance.is_urgent or recording.must_commit

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
