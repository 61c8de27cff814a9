"""Replaying any stored history asks for the same actions; how messages are batched changes nothing.

A program is a small tree of steps that one orchestrator interprets; a script of answers drives it.
What happened live is compared with what each prefix of the history gives when it is replayed, and
with what a history gives that lacks the activities which have not ended.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from func_bindings import EntityId, RetryOptions, TaskFailedError
from func_bindings.durable.tasks import TimerTask
from func_bindings.errors import NonDeterminismError
from func_host.durable.actions import (
    ContinueAsNew,
    CreateTimer,
    ScheduleTask,
    SendEvent,
)
from func_host.durable.engine.commit import record_of
from func_host.durable.engine.entities.messages import (
    Request,
    Response,
    is_request,
    read_request,
    response_event,
)
from func_host.durable.engine.replay import OrchestratorRun
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.history import (
    EventRaised,
    EventSent,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
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
from tests.host.durable.engine.driving import SHAPES, Driver

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import datetime

    from func_bindings import OrchestrationContext
    from func_host.durable.history import HistoryEvent, MessageEvent
    from tests.host.durable.engine.driving import Orchestrator

    Program = tuple[Any, ...]

LEAVES = st.one_of(
    st.tuples(st.just("activity"), st.sampled_from("ab")),
    st.tuples(st.just("retried"), st.integers(1, 3)),
    st.tuples(st.just("child"), st.booleans()),
    st.tuples(st.just("timer"), st.integers(0, 3)),
    st.tuples(st.just("event"), st.sampled_from(["x", "Y"])),
    st.tuples(st.just("call"), st.sampled_from("kl")),
    st.tuples(st.just("signal"), st.integers(0, 1)),
    st.tuples(st.just("cancelled")),
    st.tuples(st.just("status"), st.integers(0, 3)),
    st.tuples(st.just("uuid")),
)
PROGRAMS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("sequence"), st.lists(inner, max_size=4).map(tuple)),
        st.tuples(st.just("all"), st.lists(LEAVES, max_size=3).map(tuple)),
        st.tuples(st.just("any"), st.lists(LEAVES, min_size=1, max_size=3).map(tuple)),
        st.tuples(st.just("guarded"), inner),
        st.tuples(st.just("locked"), inner),
    ),
    max_leaves=8,
)
ENTITIES = {key: EntityId("Counter", key) for key in "klm"}
ENDS = st.sampled_from(["return", "raise", "again"])
ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["answer"] * 8 + ["fail"] * 3 + ["event", "event", "suspend", "resume", "terminate"]
        ),
        st.integers(0, 5),
        st.booleans(),
    ),
    max_size=14,
)


def interpret(context: OrchestrationContext, program: Program) -> Generator[Any, Any, Any]:  # noqa: C901, PLR0911 -- one case for each kind of step
    match program:
        case ("sequence", steps):
            results: list[Any] = []
            for step in steps:
                result = yield from interpret(context, step)
                results += [result]
            return results
        case ("all" | "any" as kind, steps):
            tasks = [task for step in steps if (task := begin(context, step)) is not None]
            if kind == "all":
                return (yield context.task_all(tasks))
            if not tasks:
                return None
            winner = yield context.task_any(tasks)
            for task in tasks:
                if isinstance(task, TimerTask) and not task.is_completed:
                    task.cancel()
            return [index for index, task in enumerate(tasks) if task is winner]
        case ("locked", step):
            with (yield context.lock(ENTITIES["l"], ENTITIES["k"])):
                return (yield from interpret(context, step))
        case ("guarded", step):
            try:
                return (yield from interpret(context, step))
            except TaskFailedError as error:
                yield context.call_activity("undo", str(error))
        case _:
            task = begin(context, program)
            return None if task is None else (yield task)


def begin(context: OrchestrationContext, step: Program) -> Any:  # noqa: C901, PLR0911 -- as above
    match step:
        case ("activity", name):
            return context.call_activity(name, context.current_utc_datetime)
        case ("retried", attempts):
            return context.call_activity("r", retry=RetryOptions(700, attempts, 1.7))
        case ("child", is_named):
            return context.call_sub_orchestrator("c", None, "named" if is_named else None)
        case ("timer", days):
            return context.create_timer(timedelta(days=days, microseconds=days))
        case ("event", name):
            return context.wait_for_external_event(name)
        case ("call", key):
            return context.call_entity(ENTITIES[key], "add", context.current_utc_datetime)
        case ("signal", days):
            return context.signal_entity(
                ENTITIES["m"], "add", at=timedelta(days=days) if days else None
            )
        case ("cancelled",):
            context.create_timer(timedelta(days=5)).cancel()
        case ("status", number):
            context.set_custom_status([number, context.custom_status])
        case ("uuid",):
            context.call_activity("u", [context.new_uuid(), context.new_guid()])
        case _:
            raise AssertionError(step)
    return None


def orchestrator_of(program: Program, end: str) -> Orchestrator:
    def orchestrator(context: OrchestrationContext) -> Generator[Any, Any, Any]:
        result = yield from interpret(context, program)
        if end == "raise":
            raise ValueError(str(result))
        if end == "again":
            context.continue_as_new(result)
        return result

    return orchestrator


def message_for(life: Life, answer: tuple[str, int, bool]) -> Any:
    """Give the message that an answer means for this life, or None where it means nothing."""
    now = life.driver.now
    kind, choice, flag = answer
    match kind:
        case "event":
            return EventRaised(timestamp=now, name="xyXY"[choice % 4], input=str(choice))
        case "suspend":
            return ExecutionSuspended(timestamp=now)
        case "resume":
            return ExecutionResumed(timestamp=now)
        case "terminate":
            return ExecutionTerminated(timestamp=now, input="why") if flag else None
        case _:
            return answer_to(life.state, life.open_requests(), kind, choice, now)


def answer_to(
    state: OrchestrationState,
    requests: dict[int, Request],
    kind: str,
    choice: int,
    now: datetime,
) -> Any:
    open_steps = [*state.open_tasks, *state.open_children, *state.open_timers, *requests]
    if not open_steps:
        return None
    step = open_steps[choice % len(open_steps)]
    if step in requests:
        response = Response(result=str(step), exception_type="Error" if kind == "fail" else None)
        return response_event(requests[step], response, now)
    if step in state.open_timers:
        fire_at = state.open_timers[step]
        return TimerFired(timestamp=max(now, fire_at), timer_id=step, fire_at=fire_at)
    if step in state.open_tasks:
        completed, failed = TaskCompleted, TaskFailed
    else:
        completed, failed = SubOrchestrationInstanceCompleted, SubOrchestrationInstanceFailed  # type: ignore[assignment]  # a pair of a kind
    if kind == "answer":
        return completed(timestamp=now, task_scheduled_id=step, result=str(step))
    return failed(timestamp=now, task_scheduled_id=step, reason="no")


class Life:
    """A live run, its recorded history, and what it asked for after each episode."""

    def __init__(self, function: Orchestrator, **options: Any) -> None:
        self.driver = Driver(function, timer_leg_max=timedelta(days=2), **options)
        self.steps = [(len(self.driver.history), list(self.driver.actions))]
        self.state = OrchestrationState(self.driver.history)
        self.is_over = self._is_over(self.driver.actions)

    def take(self, message: MessageEvent) -> None:
        driver = self.driver
        before = len(driver.history)
        driver.now += timedelta(seconds=1)
        if isinstance(message, TimerFired):
            driver.now = max(driver.now, message.fire_at)
        actions = driver.feed(message)
        for event in driver.history[before:]:
            self.state.apply(event)
        self.steps.append((len(driver.history), actions))
        self.is_over = self._is_over(actions)

    def open_requests(self) -> dict[int, Request]:
        """Give the calls and locks, by step, that have not been answered."""
        history = self.driver.history
        answered = {event.name for event in history if isinstance(event, EventRaised)}
        requests = {
            event.event_id: read_request(event)
            for event in history
            if isinstance(event, EventSent) and is_request(event)
        }
        return {
            step: request
            for step, request in requests.items()
            if not request.signal and request.id not in answered
        }

    def until_over(self) -> int:
        """Give how many events there were before the one that ended it."""
        lengths = [0, *(length for length, _ in self.steps)]
        return lengths[-2] if self.is_over else lengths[-1]

    @staticmethod
    def _is_over(actions: Sequence[Any]) -> bool:
        return any(type(a).__name__ in {"CompleteOrchestration", "ContinueAsNew"} for a in actions)


def live(function: Orchestrator, answers: list[tuple[str, int, bool]], **options: Any) -> Life:
    life = Life(function, **options)
    for answer in answers:
        if life.is_over:
            break
        message = message_for(life, answer)
        if message is not None and life.state.accepts(message):
            life.take(message)
    return life


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PROGRAMS, ENDS, ANSWERS, st.sampled_from(SHAPES))
def test_every_prefix_of_a_history_replays_to_the_same_actions(
    program: Program, end: str, answers: list[tuple[str, int, bool]], shape: Any
) -> None:
    life = live(shape(orchestrator_of(program, end)), answers)
    driver = life.driver
    before = 0
    for length, actions in life.steps:
        episode = driver.history[before:length]
        messages = [event for event in episode if _is_message(event)]
        run = OrchestratorRun(driver.name, driver.function, driver.options)
        run.replay([*driver.history[:before], episode[0], *messages])
        assert run.take_actions() == actions
        run.close()
        if not any(isinstance(action, ContinueAsNew) for action in actions):
            again = driver.replayed(driver.history[:length])
            assert again.take_actions() == []
            again.close()
        before = length


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PROGRAMS, ENDS, ANSWERS, st.sampled_from(SHAPES))
def test_feeding_one_by_one_or_in_one_batch_asks_for_the_same_actions(
    program: Program, end: str, answers: list[tuple[str, int, bool]], shape: Any
) -> None:
    """The steps asked for are the same when they are taken at the end instead of after each."""
    life = live(shape(orchestrator_of(program, end)), answers)
    driver = life.driver

    batched = OrchestratorRun(driver.name, driver.function, driver.options)
    for event in driver.history:
        if _is_message(event) or isinstance(event, OrchestratorStarted):
            batched.feed(event)

    assert batched.take_actions() == driver.actions
    batched.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PROGRAMS, ENDS, ANSWERS, st.sampled_from(SHAPES), st.integers(0, 14))
def test_messages_that_were_kept_unanswered_are_answered_as_if_they_had_just_come(
    program: Program, end: str, answers: list[tuple[str, int, bool]], shape: Any, kept: int
) -> None:
    """So a parked instance goes on: its history ends with episodes that are not closed."""
    life = live(shape(orchestrator_of(program, end)), answers)
    driver = life.driver
    cut = [0, *(length for length, _ in life.steps)][min(kept, len(life.steps) - 1)]
    tail = [
        event
        for event in driver.history[cut:]
        if _is_message(event) or isinstance(event, OrchestratorStarted)
    ]

    run = OrchestratorRun(driver.name, driver.function, driver.options)
    run.replay([*driver.history[:cut], *tail])
    asked = run.take_actions()
    assert asked == [a for n, actions in life.steps if n > cut for a in actions]

    if not life.is_over:
        recorded: list[HistoryEvent] = [
            record_of(action, driver.now, store_inputs=False)  # type: ignore[arg-type]  # the run is not over
            for action in asked
        ]
        closed = OrchestratorCompleted(timestamp=driver.now)
        again = driver.replayed([*driver.history[:cut], *tail, *recorded, closed])
        assert again.take_actions() == []
        again.close()
    run.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PROGRAMS, ENDS, ANSWERS, st.sampled_from(SHAPES), st.sets(st.integers(0, 5)), st.booleans())
def test_a_history_that_lacks_open_activities_asks_for_them_again_and_for_nothing_else(
    program: Program,
    end: str,
    answers: list[tuple[str, int, bool]],
    shape: Any,
    kept: set[int],
    is_in_pairs: bool,
) -> None:
    """Some may be there all the same; and one that has ended may stand right before its result."""
    function = shape(orchestrator_of(program, end))
    life = live(function, answers, records_open_activities=False)
    driver = life.driver
    whole = driver.history[: life.until_over()]
    missing = set(OrchestrationState(whole).open_tasks) - kept
    stored = [e for e in whole if not (isinstance(e, TaskScheduled) and e.event_id in missing)]
    if missing:
        stored.pop()  # the last episode is left open
    if is_in_pairs:
        stored = in_pairs(stored)

    run = driver.replayed(stored)
    asked = run.take_actions()
    run.close()

    assert asked == [
        action
        for action in driver.actions
        if isinstance(action, ScheduleTask) and action.id in missing
    ]

    recorded: list[HistoryEvent] = [
        record_of(action, driver.now, store_inputs=False)
        for action in asked
        if isinstance(action, ScheduleTask)
    ]
    again = driver.replayed([*stored, *recorded, OrchestratorCompleted(timestamp=driver.now)])
    live_still = driver.replayed(whole)
    assert again.take_actions() == []
    assert again.open_activities() == live_still.open_activities()
    again.close()
    live_still.close()


def in_pairs(history: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Put each activity that has ended right before its result, as a store does that waits."""
    scheduled = {event.event_id: event for event in history if isinstance(event, TaskScheduled)}
    paired: list[HistoryEvent] = []
    open_tasks = OrchestrationState(history).open_tasks
    for event in history:
        if isinstance(event, TaskCompleted | TaskFailed):
            paired += [scheduled[event.task_scheduled_id], event]
        elif not isinstance(event, TaskScheduled) or event.event_id in open_tasks:
            paired.append(event)
    return paired


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PROGRAMS, ANSWERS, st.sampled_from(SHAPES), st.integers(0, 9))
def test_a_timer_a_child_or_a_message_that_a_closed_episode_lacks_is_told(
    program: Program, answers: list[tuple[str, int, bool]], shape: Any, choice: int
) -> None:
    function = shape(orchestrator_of(program, "return"))
    driver = live(function, answers, records_open_activities=False).driver
    steps = [
        event
        for event in driver.history
        if isinstance(event, TimerCreated | SubOrchestrationInstanceCreated | EventSent)
    ]
    assume(steps)
    lost = steps[choice % len(steps)]

    with pytest.raises(NonDeterminismError, match=rf"no such step.* \(step {lost.event_id}\)"):
        driver.replayed([event for event in driver.history if event is not lost])


def _is_message(event: HistoryEvent) -> bool:
    return event.event_id == -1 and not isinstance(
        event, OrchestratorStarted | OrchestratorCompleted
    )


def test_the_programs_reach_what_they_should() -> None:
    """A guard for the generator above: a program with everything runs to its end."""
    locked = ("locked", ("all", (("call", "k"), ("call", "l"), ("signal", 1))))
    program = ("sequence", (("retried", 2), ("timer", 3), ("child", True), ("event", "x"), locked))
    answers = [("fail", 0, True), ("event", 0, True), *[("answer", 0, True)] * 12]

    life = live(SHAPES[0](orchestrator_of(program, "return")), answers)

    assert life.is_over
    assert sum(isinstance(action, CreateTimer) for action in life.driver.actions) == 3
    assert sum(isinstance(action, SendEvent) for action in life.driver.actions) == 6
    assert life.driver.status == "Completed"
