"""The steps of one execution: what has been asked for, and what of it has not ended.

Every step that history records takes the next number: activities, children, timers (each leg of a
long one), the timers of retries, messages to entities, and the end. Waits for external events take
none.

A step that is asked for stays unconfirmed until history shows the event of its number, or until the
actions are taken to be recorded. One that a closed episode lacks is a change of the code, unless it
is an activity and the store records those only with their result. The numbers and the order must be
those of the Durable Task Framework, so that a history recorded by either replays in the other.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from func_bindings.durable.tasks import Task
from func_bindings.errors import TaskCancelledError
from func_host.durable.actions import (
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    ScheduleTask,
    SendEvent,
)
from func_host.durable.engine import failures, nondeterminism
from func_host.durable.engine.retries import RetryState

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from func_bindings.durable.retry import RetryOptions
    from func_bindings.durable.status import OrchestrationRuntimeStatus
    from func_host.durable.engine.options import RunOptions
    from func_host.durable.history import (
        EventRaised,
        Failure,
        ScheduledEvent,
        SubOrchestrationInstanceCompleted,
        SubOrchestrationInstanceFailed,
        TaskCompleted,
        TaskFailed,
        TimerFired,
    )

Step = ScheduleTask | CreateTimer | CreateSubOrchestration | SendEvent | CompleteOrchestration


FINER_TIME = timedelta(microseconds=10)
"""What times may lose on their way: the Durable Task Framework counts in 100 ns."""


class TooManyStepsError(BaseException):
    """The execution asked for more steps than the setting allows.

    No `Exception`, so that a loop which tries again whatever fails ends all the same.
    """


@dataclass(slots=True)
class _Call:
    """An activity or a child that has not ended."""

    action: ScheduleTask | CreateSubOrchestration
    task: Task[Any]
    read: Callable[[str], Any]
    retry: RetryState | None


@dataclass(slots=True)
class Timer:
    """A timer that has not fired, by the number of its current leg."""

    id: int
    fire_at: datetime
    on_fired: Callable[[], None]
    is_split: bool = False


class Steps:
    """What one execution has asked for."""

    def __init__(self, name: str, options: RunOptions) -> None:
        """Begin an execution of the orchestrator of this name."""
        self.name = name
        self.is_replaying = False
        self.is_detached = False
        self.cancelled_timers: list[int] = []
        self._options = options
        self._now: datetime | None = None
        self._next_id = 0
        self._unconfirmed: dict[int, tuple[Step, str | None]] = {}
        self._must_be_recorded: set[int] = set()
        self._calls: dict[int, _Call] = {}
        self._timers: dict[int, Timer] = {}
        self._waits: defaultdict[str, deque[tuple[Task[Any], Callable[[str], Any]]]] = defaultdict(
            deque
        )
        self._unread: list[EventRaised] = []

    @property
    def now(self) -> datetime:
        """Time of the current episode."""
        if self._now is None:
            raise RuntimeError("a run is fed OrchestratorStarted before anything else")
        return self._now

    def advance_to(self, moment: datetime) -> None:
        """Move the time on; it never goes back."""
        self._now = moment if self._now is None else max(self._now, moment)

    # What the context asks for

    def call_activity(
        self, name: str, text: str | None, read: Callable[[str], Any], retry: RetryOptions | None
    ) -> Task[Any]:
        """Schedule an activity."""
        return self._call(lambda step: ScheduleTask(step, name, text), read, retry)

    def call_sub_orchestrator(
        self,
        make_action: Callable[[int], CreateSubOrchestration],
        read: Callable[[str], Any],
        retry: RetryOptions | None,
    ) -> Task[Any]:
        """Start a child."""
        return self._call(make_action, read, retry)

    def _call(
        self,
        make_action: Callable[[int], ScheduleTask | CreateSubOrchestration],
        read: Callable[[str], Any],
        retry: RetryOptions | None,
    ) -> Task[Any]:
        task: Task[Any] = Task()

        def schedule() -> None:
            action = make_action(self.next_step())
            self.ask(action)
            self._calls[action.id] = _Call(action, task, read, state)

        state = None if retry is None else RetryState(retry, self.now, schedule)
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

    def wait_for_event(self, name: str, read: Callable[[str], Any]) -> Task[Any]:
        """Wait for an external event, maybe one that has come already."""
        task: Task[Any] = Task()
        key = name.casefold()
        for position, event in enumerate(self._unread):
            if event.name.casefold() == key:
                if not self.is_detached:
                    del self._unread[position]
                    end_task(task, event.input, read)
                return task
        self._waits[key].append((task, read))
        return task

    def complete(
        self,
        status: OrchestrationRuntimeStatus,
        result: str | None,
        failure: Failure | None,
        line: str | None,
    ) -> None:
        """End the execution: its last step."""
        self._expect(CompleteOrchestration(self.owed_step(), status, result, failure), line)

    def next_step(self) -> int:
        """Take the number of the next step.

        Raises:
            TooManyStepsError: There have been too many.
        """
        step = self._next_id
        if step >= self._options.actions_max:
            raise TooManyStepsError(
                f"Orchestrator '{self.name}' has asked for {step} steps, the most that "
                "extensions.durableTask.maxOrchestrationActions allows: use continue_as_new to "
                "keep histories short."
            )
        return self.owed_step()

    def owed_step(self) -> int:
        """Take the number of a step that must be, however many there have been."""
        step, self._next_id = self._next_id, self._next_id + 1
        return step

    def ask(self, action: Step) -> None:
        """Ask for a step."""
        if not self.is_detached:
            line = nondeterminism.calling_line() if self.is_replaying else None
            self._expect(action, line)

    def _expect(self, action: Step, line: str | None) -> None:
        self._unconfirmed[action.id] = (action, line)
        if self._options.records_open_activities or not isinstance(action, ScheduleTask):
            self._must_be_recorded.add(action.id)

    def _start_leg(self, timer: Timer) -> None:
        leg_max = self._options.timer_leg_max
        leg_end = timer.fire_at
        timer.is_split = leg_max is not None and timer.fire_at - self.now > leg_max
        if leg_max is not None and timer.is_split:
            leg_end = self.now + leg_max
        timer.id = self.next_step()
        self.ask(CreateTimer(timer.id, leg_end))
        self._timers[timer.id] = timer

    # What arrives

    def on_completed(self, event: TaskCompleted | SubOrchestrationInstanceCompleted) -> None:
        """End a call with its result."""
        call = self._calls.pop(event.task_scheduled_id, None)
        if call is not None:
            end_task(call.task, event.result, call.read)

    def on_failed(self, event: TaskFailed | SubOrchestrationInstanceFailed) -> None:
        """End a call with its failure, or try it again."""
        call = self._calls.pop(event.task_scheduled_id, None)
        if call is None:
            return
        error = failures.task_failed(event.reason, event.details, event.failure_details)
        retry = call.retry
        delay = None
        if retry is not None:
            is_retriable = not error.details.is_non_retriable
            delay = retry.next_delay(self.now, is_retriable=is_retriable)
        if retry is None or delay is None:
            call.task.fail(error)
            return
        is_last = retry.attempts >= retry.options.max_number_of_attempts
        retry.attempts += 1
        self.start_timer(
            self.now + delay, (lambda: call.task.fail(error)) if is_last else retry.schedule
        )

    def on_timer_fired(self, event: TimerFired) -> None:
        """Let a timer fire, or start its next leg."""
        timer = self._timers.pop(event.timer_id, None)
        if timer is None:
            return
        # What history holds decides: a timer may be recorded whole that we would split, and one
        # whose length has changed in the code since then has fired all the same.
        if timer.is_split and timer.fire_at - event.fire_at > FINER_TIME:
            self._start_leg(timer)
        else:
            timer.on_fired()

    def on_event_raised(self, event: EventRaised) -> None:
        """Give the event to the first that waits for it, or keep it."""
        waits = self._waits.get(event.name.casefold())
        while waits:
            task, read = waits.popleft()
            if not task.is_completed:
                end_task(task, event.input, read)
                return
        self.keep(event)

    def keep(self, event: EventRaised) -> None:
        """Keep an event that nobody has read."""
        self._unread.append(event)

    # What history confirms

    def confirm(
        self, event: ScheduledEvent, suspended_line: Callable[[], str | None], nothing: str
    ) -> Step:
        """Check a recorded step against what was asked for, and give that.

        `nothing` says what is asked for instead where no step of that number is.

        Raises:
            NonDeterminismError: The code asks for another step, or for none.
        """
        action, line = self._unconfirmed.pop(event.event_id, (None, None))
        self._must_be_recorded.discard(event.event_id)
        if action is None or not nondeterminism.fits(action, event):
            raise nondeterminism.mismatch(
                self.name,
                nondeterminism.describe_event(event),
                nothing if action is None else nondeterminism.describe_action(action),
                line or suspended_line(),
            )
        return action

    def check_nothing_is_missing(self, suspended_line: Callable[[], str | None]) -> None:
        """Check, after a closed episode, that history has what the code asked for.

        An activity that has not ended may be missing where the store does not record those.

        Raises:
            NonDeterminismError: The code asks for a step that history does not have.
        """
        if self._must_be_recorded:
            action, line = self._unconfirmed[min(self._must_be_recorded)]
            actual = nondeterminism.describe_action(action)
            raise nondeterminism.mismatch(
                self.name, "no such step", actual, line or suspended_line()
            )

    def take_unconfirmed(self) -> list[Step]:
        """Give what is not confirmed yet, in order; it counts as recorded from now on."""
        actions = [action for action, _ in self._unconfirmed.values()]
        self._unconfirmed.clear()
        self._must_be_recorded.clear()
        return actions

    def take_unread(self) -> tuple[EventRaised, ...]:
        """Give the events that nobody has read."""
        unread = tuple(self._unread)
        self._unread.clear()
        return unread

    def open_activities(self) -> list[ScheduleTask]:
        """Give the activities that have been asked for and have not ended."""
        return [
            call.action for call in self._calls.values() if isinstance(call.action, ScheduleTask)
        ]


def end_task(task: Task[Any], text: str | None, read: Callable[[str], Any]) -> None:
    """End a task with a result that is read from text, or with why that cannot be read."""
    try:
        value = None if text is None else read(text)
    except Exception as error:  # noqa: BLE001 -- a user's class may refuse its fields with anything
        task.fail(error)
    else:
        task.complete(value)
