"""Runs an orchestrator over its history and over new messages, and collects what it asks for.

One `OrchestratorRun` is one execution of one instance, suspended in memory between events. Every
event goes through `feed`, in the order of the history: a message completes tasks and lets the
function run on; a scheduled event confirms the action of the same number. What is left unconfirmed
after the last event is new.

The function sees time only as the timestamp of the episode it runs in, so feeding messages one by
one or all at once makes no difference, and a replay gives the same actions as the first run.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_bindings.durable.tasks import Task
from func_bindings.errors import NonDeterminismError, SerializationError, TaskCancelledError
from func_host.durable.actions import (
    CompleteOrchestration,
    ContinueAsNew,
    CreateSubOrchestration,
    CreateTimer,
    ScheduleTask,
)
from func_host.durable.engine import failures, nondeterminism
from func_host.durable.engine.context import ReplayContext
from func_host.durable.engine.retries import RetryState
from func_host.durable.engine.routine import Returned, Routine
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
from func_host.invocation.values import dump_json, load_json

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, timedelta

    from func_bindings.durable.retry import RetryOptions
    from func_host.durable.actions import OrchestratorAction
    from func_host.durable.history import HistoryEvent, ScheduledEvent


class FunctionCatalog(Protocol):
    """What the engine asks about the functions of the app."""

    def activity_name(self, function: str | Callable[..., Any]) -> str:
        """Give the name under which an activity is called.

        Raises:
            TypeError: The function is not an activity.
        """
        ...

    def activity_result_type(self, name: str) -> Any:
        """Give the annotated result type of an activity; `Any` where there is none."""
        ...

    def orchestrator_name(self, function: str | Callable[..., Any]) -> str:
        """Give the name under which an orchestrator is started.

        Raises:
            TypeError: The function is not an orchestrator.
        """
        ...

    def orchestrator_result_type(self, name: str) -> Any:
        """Give the annotated result type of an orchestrator; `Any` where there is none."""
        ...

    def is_user_file(self, filename: str) -> bool:
        """Tell whether a stack trace should show frames of this file."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is told about its world.

    Args:
        catalog: The functions of the app.
        replay_safe: Wraps a logger (or the name of one) so that it is silent while the second
            argument says so.
        timer_leg_max: Longest timer the store can hold; longer ones are split. None for no limit.
        whole_episodes: True where every stored episode holds all steps asked for in it.
        actions_max: How many steps an execution may ask for before it is failed.
    """

    catalog: FunctionCatalog
    replay_safe: Callable[
        [logging.Logger | str, Callable[[], bool]], logging.LoggerAdapter[logging.Logger]
    ]
    timer_leg_max: timedelta | None = None
    whole_episodes: bool = True
    actions_max: int = 100_000


@dataclass(slots=True)
class _Call:
    """An activity or a child that has not ended."""

    action: ScheduleTask | CreateSubOrchestration
    task: Task[Any]
    result_type: Any
    retry: RetryState | None


@dataclass(slots=True)
class Timer:
    """A timer that has not fired, by its current leg."""

    id: int
    fire_at: datetime
    on_fired: Callable[[], None]


class OrchestratorRun:
    """One execution of an orchestrator, suspended between events."""

    def __init__(self, name: str, function: Callable[[Any], Any], options: RunOptions) -> None:
        """Prepare a run; nothing of the function runs before `ExecutionStarted` is fed."""
        self.name = name
        self.options = options
        self.is_replaying = False
        self.is_detached = False
        self.now: datetime | None = None
        self.started: ExecutionStarted | None = None
        self.custom_status: str | None = None
        self.custom_status_is_set = False
        self.continue_as_new_input: str | None = None
        self.will_continue_as_new = False
        self.cancelled_timers: list[int] = []
        self._function = function
        self._routine: Routine | None = None
        self._next_id = 0
        self._is_finished = False
        self._episode_is_closed = True
        self._is_suspended = False
        self._held: deque[HistoryEvent] = deque()
        self._unconfirmed: dict[int, tuple[OrchestratorAction, str | None]] = {}
        self._outcome: ContinueAsNew | None = None
        self._calls: dict[int, _Call] = {}
        self._timers: dict[int, Timer] = {}
        self._waits: defaultdict[str, deque[tuple[Task[Any], Any]]] = defaultdict(deque)
        self._unread: list[EventRaised] = []

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
        self.is_replaying = True
        for event in history[:closed]:
            self.feed(event)
        self.is_replaying = False
        if self.options.whole_episodes:
            self._check_episode_is_whole()
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
            _HANDLERS[type(event)](self, event)

    def take_actions(self) -> list[OrchestratorAction]:
        """Give what is asked for and not confirmed yet, in order; they count as recorded now."""
        actions = [action for action, _ in self._unconfirmed.values()]
        self._unconfirmed.clear()
        if self._outcome is not None:
            actions.append(ContinueAsNew(self._outcome.input, self._take_unread()))
            self._outcome = None
        return actions

    def take_cancelled_timers(self) -> tuple[int, ...]:
        """Give the timers given up since the last call."""
        cancelled = tuple(self.cancelled_timers)
        self.cancelled_timers.clear()
        return cancelled

    def open_activities(self) -> Iterable[ScheduleTask]:
        """Give the activities that have been asked for and have not ended."""
        return [
            call.action for call in self._calls.values() if isinstance(call.action, ScheduleTask)
        ]

    def close(self) -> None:
        """Let the function go; nothing that it still asks for has any effect."""
        self.is_detached = True
        if self._routine is not None:
            self._routine.close()
            self._routine = None

    # What the context asks for

    def call_activity(
        self, name: str, input_text: str | None, result_type: Any, retry: RetryOptions | None
    ) -> Task[Any]:
        """Schedule an activity."""
        task: Task[Any] = Task()

        def schedule() -> None:
            action = ScheduleTask(self._take_id(), name, input_text)
            self._ask(action.id, action)
            self._calls[action.id] = _Call(action, task, result_type, state)

        state = self._retry_state(retry, schedule)
        schedule()
        return task

    def call_sub_orchestrator(
        self,
        name: str,
        input_text: str | None,
        result_type: Any,
        retry: RetryOptions | None,
        *,
        make_instance_id: Callable[[int], str],
        version: str | None,
    ) -> Task[Any]:
        """Start a child."""
        task: Task[Any] = Task()

        def schedule() -> None:
            step = self._take_id()
            action = CreateSubOrchestration(step, name, make_instance_id(step), input_text, version)
            self._ask(step, action)
            self._calls[step] = _Call(action, task, result_type, state)

        state = self._retry_state(retry, schedule)
        schedule()
        return task

    def start_timer(self, fire_at: datetime, on_fired: Callable[[], None]) -> Timer:
        """Start a timer of any length: in legs where the store cannot hold it whole."""
        timer = Timer(0, fire_at, on_fired)
        self._start_leg(timer)
        return timer

    def cancel_timer(self, timer: Timer, task: Task[Any]) -> None:
        """Give a timer up."""
        if self._timers.pop(timer.id, None) is not None and not self.is_detached:
            self.cancelled_timers.append(timer.id)
        task.fail(TaskCancelledError("The timer was cancelled."))

    def wait_for_event(self, name: str, result_type: Any) -> Task[Any]:
        """Wait for an external event, maybe one that has come already."""
        task: Task[Any] = Task()
        key = name.casefold()
        for position, event in enumerate(self._unread):
            if event.name.casefold() == key and not self.is_detached:
                del self._unread[position]
                _complete(task, event.input, result_type)
                return task
        self._waits[key].append((task, result_type))
        return task

    # Steps

    def _take_id(self) -> int:
        step = self._next_id
        if step >= self.options.actions_max:
            raise RuntimeError(
                f"Orchestrator '{self.name}' has asked for {step} steps, the most that "
                "extensions.durableTask.maxOrchestrationActions allows: use continue_as_new to "
                "keep histories short."
            )
        self._next_id = step + 1
        return step

    def _ask(self, step: int, action: OrchestratorAction) -> None:
        if not self.is_detached:
            line = nondeterminism.calling_line() if self.is_replaying else None
            self._unconfirmed[step] = (action, line)

    def _retry_state(
        self, options: RetryOptions | None, schedule: Callable[[], None]
    ) -> RetryState | None:
        if options is None:
            return None
        assert self.now is not None
        return RetryState(options, self.now, schedule)

    def _start_leg(self, timer: Timer) -> None:
        assert self.now is not None
        leg_max = self.options.timer_leg_max
        leg_end = timer.fire_at
        if leg_max is not None and timer.fire_at - self.now > leg_max:
            leg_end = self.now + leg_max
        timer.id = self._take_id()
        self._ask(timer.id, CreateTimer(timer.id, leg_end))
        self._timers[timer.id] = timer

    # Events

    def _on_orchestrator_started(self, event: OrchestratorStarted) -> None:
        if self._episode_is_closed and self.options.whole_episodes:
            self._check_episode_is_whole()
        self._episode_is_closed = False
        if self.now is None or event.timestamp > self.now:
            self.now = event.timestamp

    def _on_orchestrator_completed(self, _event: OrchestratorCompleted) -> None:
        self._episode_is_closed = True

    def _on_execution_started(self, event: ExecutionStarted) -> None:
        if self.started is not None:
            return
        self.started = event
        try:
            self._routine = Routine(self._function, ReplayContext(self))
        except Returned as returned:
            self._finish(returned.value)
        except BaseException as error:  # noqa: BLE001 -- user code may raise anything
            self._fail(error)
        self._run_on()

    def _on_completed(self, event: TaskCompleted | SubOrchestrationInstanceCompleted) -> None:
        call = self._calls.pop(event.task_scheduled_id, None)
        if call is not None:
            _complete(call.task, event.result, call.result_type)
            self._run_on()

    def _on_failed(self, event: TaskFailed | SubOrchestrationInstanceFailed) -> None:
        call = self._calls.pop(event.task_scheduled_id, None)
        if call is None:
            return
        error = failures.task_failed(event.reason, event.details, event.failure_details)
        retry = call.retry
        delay = None
        if retry is not None and not self._is_finished:
            assert self.now is not None
            retriable = not error.details.is_non_retriable
            delay = retry.next_delay(self.now, is_retriable=retriable)
        if retry is None or delay is None:
            call.task.fail(error)
        else:
            assert self.now is not None
            self._try_again(retry, call.task, error, self.now + delay)
        self._run_on()

    def _try_again(
        self, retry: RetryState, task: Task[Any], error: Exception, at: datetime
    ) -> None:
        is_last = retry.attempts >= retry.options.max_number_of_attempts
        retry.attempts += 1
        self._guarded(
            lambda: self.start_timer(at, (lambda: task.fail(error)) if is_last else retry.schedule)
        )

    def _on_timer_fired(self, event: TimerFired) -> None:
        timer = self._timers.pop(event.timer_id, None)
        if timer is None:
            return
        assert self.now is not None
        if event.fire_at < timer.fire_at:
            self._guarded(lambda: self._start_leg(timer))
        else:
            self._guarded(timer.on_fired)
        self._run_on()

    def _on_event_raised(self, event: EventRaised) -> None:
        waits = None if self._is_finished else self._waits.get(event.name.casefold())
        while waits:
            task, result_type = waits.popleft()
            if not task.is_completed:
                _complete(task, event.input, result_type)
                self._run_on()
                return
        self._unread.append(event)

    def _on_suspended(self, _event: ExecutionSuspended) -> None:
        self._is_suspended = True

    def _on_resumed(self, _event: ExecutionResumed) -> None:
        self._is_suspended = False
        while self._held and not self._is_suspended:
            self.feed(self._held.popleft())

    def _on_terminated(self, event: ExecutionTerminated) -> None:
        if not self._is_finished:
            self._is_suspended = False
            self._complete_with(OrchestrationRuntimeStatus.Terminated, event.input, None)

    def _on_generic(self, event: GenericEvent) -> None:
        """A wake-up says nothing."""

    def _on_scheduled(self, event: ScheduledEvent) -> None:
        asked = self._unconfirmed.pop(event.event_id, None)
        if asked is None:
            line = None
            if self._routine is not None:
                line = nondeterminism.suspended_line(self._routine.suspended)
            raise self._mismatch(event, None, line)
        action, line = asked
        if not nondeterminism.fits(action, event):
            raise self._mismatch(event, action, line)

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

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except RuntimeError as error:
            self._fail(error)

    def _finish(self, value: object) -> None:
        if self.will_continue_as_new:
            self._is_finished = True
            self._outcome = ContinueAsNew(self.continue_as_new_input, ())
            return
        try:
            result = dump_json(value)
        except SerializationError as error:
            self._fail(error)
            return
        self._complete_with(OrchestrationRuntimeStatus.Completed, result, None)

    def _fail(self, error: BaseException) -> None:
        failure = failures.failure_of(error, self.options.catalog.is_user_file)
        text = f"Orchestrator function '{self.name}' failed: {failure.error_message}"
        self._complete_with(OrchestrationRuntimeStatus.Failed, text, failure)

    def _complete_with(
        self,
        status: OrchestrationRuntimeStatus,
        result: str | None,
        failure: Any,
    ) -> None:
        if self._is_finished:
            return
        self._is_finished = True
        step, self._next_id = self._next_id, self._next_id + 1
        action = CompleteOrchestration(step, status, result, failure)
        line = None
        if self.is_replaying and self._routine is not None:
            line = nondeterminism.suspended_line(self._routine.suspended)
        self._unconfirmed[step] = (action, line)

    def _take_unread(self) -> tuple[EventRaised, ...]:
        unread = tuple(self._unread)
        self._unread.clear()
        return unread

    def _check_episode_is_whole(self) -> None:
        for action, line in self._unconfirmed.values():
            raise nondeterminism.mismatch(
                self.name, "no such step", nondeterminism.describe_action(action), line
            )

    def _mismatch(
        self, event: ScheduledEvent, action: OrchestratorAction | None, line: str | None
    ) -> NonDeterminismError:
        return nondeterminism.mismatch(
            self.name,
            nondeterminism.describe_event(event),
            nondeterminism.describe_action(action),
            line,
        )


def _complete(task: Task[Any], text: str | None, result_type: Any) -> None:
    try:
        value = None if text is None else load_json(text, result_type)
    except SerializationError as error:
        task.fail(error)
    else:
        task.complete(value)


_WHILE_SUSPENDED = (
    OrchestratorStarted,
    OrchestratorCompleted,
    ExecutionResumed,
    ExecutionTerminated,
    ExecutionCompleted,
)

_HANDLERS: dict[type[HistoryEvent], Callable[[OrchestratorRun, Any], None]] = {
    OrchestratorStarted: OrchestratorRun._on_orchestrator_started,
    OrchestratorCompleted: OrchestratorRun._on_orchestrator_completed,
    ExecutionStarted: OrchestratorRun._on_execution_started,
    TaskCompleted: OrchestratorRun._on_completed,
    SubOrchestrationInstanceCompleted: OrchestratorRun._on_completed,
    TaskFailed: OrchestratorRun._on_failed,
    SubOrchestrationInstanceFailed: OrchestratorRun._on_failed,
    TimerFired: OrchestratorRun._on_timer_fired,
    EventRaised: OrchestratorRun._on_event_raised,
    ExecutionSuspended: OrchestratorRun._on_suspended,
    ExecutionResumed: OrchestratorRun._on_resumed,
    ExecutionTerminated: OrchestratorRun._on_terminated,
    GenericEvent: OrchestratorRun._on_generic,
    TaskScheduled: OrchestratorRun._on_scheduled,
    SubOrchestrationInstanceCreated: OrchestratorRun._on_scheduled,
    TimerCreated: OrchestratorRun._on_scheduled,
    EventSent: OrchestratorRun._on_scheduled,
    ExecutionCompleted: OrchestratorRun._on_scheduled,
}
