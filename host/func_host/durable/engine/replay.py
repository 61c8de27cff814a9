"""Runs an orchestrator over its history and over new messages, and collects what it asks for.

One `OrchestratorRun` is one execution of one instance, suspended in memory between events. Every
event goes through `feed`, in the order of the history: a message completes tasks and lets the
function run on; a scheduled event confirms the step of the same number. What is left unconfirmed
after the last event is new.

The function sees time only as the timestamp of the episode it runs in, so feeding messages one by
one or all at once makes no difference, and a replay gives the same actions as the first run.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.actions import ContinueAsNew, SendEvent
from func_host.durable.engine import failures, nondeterminism
from func_host.durable.engine.context import ReplayContext
from func_host.durable.engine.routine import Returned, Routine
from func_host.durable.engine.steps import Steps, TooManyStepsError
from func_host.durable.history import (
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    GenericEvent,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from func_host.invocation.values import dump_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from func_host.durable.actions import OrchestratorAction, ScheduleTask
    from func_host.durable.engine.options import RunOptions
    from func_host.durable.history import Failure, HistoryEvent, ScheduledEvent

Handler: TypeAlias = "Callable[[Any], None]"


class OrchestratorRun:
    """One execution of an orchestrator, suspended between events."""

    def __init__(self, name: str, function: Callable[[Any], Any], options: RunOptions) -> None:
        """Prepare a run; nothing of the function runs before `ExecutionStarted` is fed."""
        self._function = function
        self._options = options
        self._steps = Steps(name, options)
        self._context: ReplayContext | None = None
        self._routine: Routine | None = None
        self._is_finished = False
        self._continues_as_new = False
        self._episode_is_closed = True
        self._is_suspended = False
        self._held: deque[HistoryEvent] = deque()
        self.cancelled_before: tuple[int, ...] = ()
        """Timers given up in episodes that were replayed: their messages are gone already."""
        self._take_event = self._then_run_on(self._deliver)
        self._handlers = self._make_handlers()

    @property
    def custom_status(self) -> str | None:
        """The custom status that this execution has set last, as JSON text; None for none.

        Each execution begins without one: continue-as-new takes it back, as the extension does.
        """
        return None if self._context is None else self._context.custom_status_text

    def replay(self, history: Sequence[HistoryEvent]) -> None:
        """Run over a stored history; what it leaves unconfirmed is new.

        Events after the last closed episode are durable but have not been answered yet, so they
        count as new.

        Raises:
            NonDeterminismError: The code asks for other steps than the history has.
        """
        closed = len(history)
        while closed > 0 and not isinstance(history[closed - 1], OrchestratorCompleted):
            closed -= 1
        self._steps.is_replaying = True
        for event in history[:closed]:
            self.feed(event)
        self._check_episode()
        self.cancelled_before = self.take_cancelled_timers()
        self._steps.is_replaying = False
        for event in history[closed:]:
            self.feed(event)

    def feed(self, event: HistoryEvent) -> None:
        """Take one event of the history, or one new message.

        Raises:
            NonDeterminismError: The code asks for another step than the event records.
        """
        if self._is_suspended and not isinstance(event, _WHILE_SUSPENDED):
            self._held.append(event)
        else:
            self._handlers[type(event)](event)

    def take_actions(self) -> list[OrchestratorAction]:
        """Give what is asked for and not confirmed yet, in order; it counts as recorded now."""
        actions: list[OrchestratorAction] = [*self._steps.take_unconfirmed()]
        if self._continues_as_new and self._context is not None:
            self._continues_as_new = False
            actions.append(ContinueAsNew(self._context.next_input, self._steps.take_unread()))
        return actions

    def take_cancelled_timers(self) -> tuple[int, ...]:
        """Give the timers given up since the last call."""
        cancelled = tuple(self._steps.cancelled_timers)
        self._steps.cancelled_timers.clear()
        return cancelled

    def open_activities(self) -> list[ScheduleTask]:
        """Give the activities that have been asked for and have not ended."""
        return self._steps.open_activities()

    def close(self) -> None:
        """Let the function go; nothing that it still asks for has any effect."""
        self._steps.is_detached = True
        if self._routine is not None:
            self._routine.close()
            self._routine = None

    # Events

    def _make_handlers(self) -> dict[type[HistoryEvent], Handler]:
        steps = self._steps
        return {
            OrchestratorStarted: self._on_orchestrator_started,
            OrchestratorCompleted: self._on_orchestrator_completed,
            ExecutionStarted: self._on_execution_started,
            TaskCompleted: self._then_run_on(steps.on_completed),
            SubOrchestrationInstanceCompleted: self._then_run_on(steps.on_completed),
            TaskFailed: self._then_run_on(steps.on_failed),
            SubOrchestrationInstanceFailed: self._then_run_on(steps.on_failed),
            TimerFired: self._then_run_on(steps.on_timer_fired),
            EventRaised: self._on_event_raised,
            ExecutionSuspended: self._on_suspended,
            ExecutionResumed: self._on_resumed,
            ExecutionTerminated: self._on_terminated,
            GenericEvent: _on_generic,
            TaskScheduled: self._on_scheduled,
            SubOrchestrationInstanceCreated: self._on_scheduled,
            TimerCreated: self._on_scheduled,
            EventSent: self._on_scheduled,
            ExecutionCompleted: self._on_scheduled,
        }

    def _then_run_on(self, take: Handler) -> Handler:
        def handle(event: Any) -> None:
            if self._is_finished:
                return
            try:
                take(event)
            except (Exception, TooManyStepsError) as error:  # noqa: BLE001 -- tasks of tasks of tasks nest as deep as user code likes
                self._fail(error)
            self._run_on()

        return handle

    def _on_orchestrator_started(self, event: OrchestratorStarted) -> None:
        if self._episode_is_closed:
            self._check_episode()
        self._episode_is_closed = False
        self._steps.advance_to(event.timestamp)

    def _check_episode(self) -> None:
        """Check, after a closed episode, that history has what the code asked for."""
        self._steps.check_nothing_is_missing(self._suspended_line)
        if self._continues_as_new:
            raise nondeterminism.mismatch(
                self._steps.name, "no such step", "continue-as-new", self._suspended_line()
            )

    def _on_orchestrator_completed(self, _event: OrchestratorCompleted) -> None:
        self._episode_is_closed = True

    def _on_execution_started(self, event: ExecutionStarted) -> None:
        if self._context is not None:
            return
        self._context = ReplayContext(event, self._steps, self._options)
        try:
            self._routine = Routine(self._function, self._context, self._options.call)
        except Returned as returned:
            self._finish(returned.value)
        except BaseException as error:  # noqa: BLE001 -- user code may raise anything
            self._fail(error)
        self._run_on()

    def _on_event_raised(self, event: EventRaised) -> None:
        if not self._is_finished:
            self._take_event(event)
        elif self._context is None or not self._context.sent.knows(event):
            self._steps.keep(event)

    def _deliver(self, event: EventRaised) -> None:
        if self._context is not None and self._context.sent.knows(event):
            self._context.sent.on_answer(event)
        else:
            self._steps.on_event_raised(event)

    def _on_suspended(self, _event: ExecutionSuspended) -> None:
        self._is_suspended = True

    def _on_resumed(self, _event: ExecutionResumed) -> None:
        self._is_suspended = False
        while self._held and not self._is_suspended:
            self.feed(self._held.popleft())

    def _on_terminated(self, event: ExecutionTerminated) -> None:
        self._is_suspended = False
        if self._continues_as_new:  # asked for, but not taken: the end comes first
            self._continues_as_new = self._is_finished = False
        self._complete(OrchestrationRuntimeStatus.Terminated, event.input, None)

    def _on_scheduled(self, event: ScheduledEvent) -> None:
        nothing = "continue-as-new" if self._continues_as_new else "no such step"
        action = self._steps.confirm(event, self._suspended_line, nothing)
        if isinstance(event, EventSent) and isinstance(action, SendEvent):
            assert self._context is not None
            self._context.sent.on_confirmed(action, event)

    # The function

    def _run_on(self) -> None:
        if self._routine is None or self._is_finished:
            return
        try:
            self._routine.run()
        except Returned as returned:
            self._finish(returned.value)
        except BaseException as error:  # noqa: BLE001 -- user code may raise anything
            self._fail(error)

    def _finish(self, value: object) -> None:
        if self._context is not None and self._context.will_continue_as_new:
            self._is_finished = self._continues_as_new = True
            self._context.sent.release_all()
            return
        try:
            result = dump_json(value)
        except BaseException as error:  # noqa: BLE001 -- how a user's class is written is user code too
            self._fail(error)
        else:
            self._complete(OrchestrationRuntimeStatus.Completed, result, None)

    def _fail(self, error: BaseException) -> None:
        failure = failures.failure_of(error, self._options.catalog.is_user_file)
        text = f"Orchestrator function '{self._steps.name}' failed: {failure.error_message}"
        self._complete(OrchestrationRuntimeStatus.Failed, text, failure)

    def _complete(
        self, status: OrchestrationRuntimeStatus, result: str | None, failure: Failure | None
    ) -> None:
        if not self._is_finished:
            self._is_finished = True
            if self._context is not None:
                self._context.sent.release_all()
            line = self._suspended_line() if self._steps.is_replaying else None
            self._steps.complete(status, result, failure, line)

    def _suspended_line(self) -> str | None:
        routine = self._routine
        return None if routine is None else nondeterminism.suspended_line(routine.suspended)


def _on_generic(_event: GenericEvent) -> None:
    """A wake-up says nothing."""


_WHILE_SUSPENDED = (
    OrchestratorStarted,
    OrchestratorCompleted,
    ExecutionResumed,
    ExecutionTerminated,
    TaskScheduled,
    SubOrchestrationInstanceCreated,
    TimerCreated,
    EventSent,
    ExecutionCompleted,
)
