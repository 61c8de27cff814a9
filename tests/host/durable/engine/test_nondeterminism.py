"""A history that the code no longer fits: told in every form, with both steps and the line."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import RetryOptions, TaskFailedError
from func_bindings.errors import NonDeterminismError
from func_host.durable.history import EventSent, OrchestratorStarted, TaskScheduled
from tests.host.durable.engine.driving import SECOND, T0, Driver, activities

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]

LINE = re.compile(
    r" at .*(test_nondeterminism|driving)\.py:\d+\."
)  # driving.py awaits for a generator


def recorded(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    yield context.create_timer(SECOND)
    yield context.call_sub_orchestrator("child")
    yield context.wait_for_external_event("go")
    yield context.wait_for_external_event("end")
    return "done"


def record(shape: Shape, **options: Any) -> Driver:
    driver = Driver(shape(recorded), **options)
    driver.completes(0)
    driver.fires(1)
    driver.child_completes(2)
    driver.raises("go")
    return driver


def other_activity(context: OrchestrationContext) -> Steps:
    yield context.call_activity("b")


def timer_for_activity(context: OrchestrationContext) -> Steps:
    yield context.create_timer(SECOND)


def child_for_activity(context: OrchestrationContext) -> Steps:
    yield context.call_sub_orchestrator("child")


def activity_for_timer(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    yield context.call_activity("a")


def other_child(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    yield context.create_timer(SECOND)
    yield context.call_sub_orchestrator("sibling")


def child_of_another_id(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    yield context.create_timer(SECOND)
    yield context.call_sub_orchestrator("child", None, "mine")


def step_missing(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    yield context.create_timer(SECOND)
    yield context.wait_for_external_event("go")


def extra_step_beside(context: OrchestrationContext) -> Steps:
    context.call_activity("b")
    yield context.call_activity("a")


def extra_step_after(context: OrchestrationContext) -> Steps:
    yield from recorded(context)


def extra_step_later(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    yield context.create_timer(SECOND)
    yield context.call_sub_orchestrator("child")
    yield context.wait_for_external_event("go")
    yield context.call_activity("extra")


def earlier_end(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    return "done"


def end_while_it_waited(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    yield context.create_timer(SECOND)
    yield context.call_sub_orchestrator("child")
    yield context.wait_for_external_event("go")
    return "done"


def error_while_it_waited(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    raise ValueError("new")


def start_over_while_it_waited(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    yield context.create_timer(SECOND)
    yield context.call_sub_orchestrator("child")
    yield context.wait_for_external_event("go")
    context.continue_as_new()


def start_over_early(context: OrchestrationContext) -> Steps:
    yield context.call_activity("a")
    context.continue_as_new()


CHANGES: list[tuple[Callable[[OrchestrationContext], Steps], str, str]] = [
    (other_activity, "activity 'a' (step 0)", "activity 'b' (step 0)"),
    (timer_for_activity, "activity 'a' (step 0)", "a timer (step 0)"),
    (
        child_for_activity,
        "activity 'a' (step 0)",
        "sub-orchestration 'child' with id 'execution:0' (step 0)",
    ),
    (activity_for_timer, "a timer (step 1)", "activity 'a' (step 1)"),
    (
        other_child,
        "sub-orchestration 'child' with id 'execution:2' (step 2)",
        "sub-orchestration 'sibling' with id 'execution:2' (step 2)",
    ),
    (
        child_of_another_id,
        "sub-orchestration 'child' with id 'execution:2' (step 2)",
        "sub-orchestration 'child' with id 'mine' (step 2)",
    ),
    (
        step_missing,
        "sub-orchestration 'child' with id 'execution:2' (step 2)",
        "no such step",
    ),
    (extra_step_beside, "activity 'a' (step 0)", "activity 'b' (step 0)"),
    (extra_step_later, "no such step", "activity 'extra' (step 3)"),
    (earlier_end, "a timer (step 1)", "the end of the orchestration as Completed (step 1)"),
    (
        end_while_it_waited,
        "no such step",
        "the end of the orchestration as Completed (step 3)",
    ),
    (
        error_while_it_waited,
        "a timer (step 1)",
        "the end of the orchestration as Failed (step 1)",
    ),
    (start_over_while_it_waited, "no such step", "continue-as-new"),
    (start_over_early, "a timer (step 1)", "continue-as-new"),
]


@pytest.mark.parametrize(("changed", "expected", "actual"), CHANGES)
def test_every_form_is_told_with_both_steps_and_the_source_line(
    shape: Shape,
    changed: Callable[[OrchestrationContext], Steps],
    expected: str,
    actual: str,
) -> None:
    driver = record(shape)

    with pytest.raises(NonDeterminismError) as told:
        driver.replayed(function=shape(changed))

    message = str(told.value)
    assert f"history has {expected}, the code asks for {actual}" in message
    assert LINE.search(message), message
    assert "Orchestrator 'orchestrator'" in message


@pytest.mark.parametrize(("changed", "expected", "actual"), CHANGES)
def test_where_open_activities_are_not_recorded_all_is_told_but_for_one_more_of_them(
    shape: Shape,
    changed: Callable[[OrchestrationContext], Steps],
    expected: str,
    actual: str,
) -> None:
    driver = record(shape, records_open_activities=False)

    if changed is extra_step_later:
        run = driver.replayed(function=shape(changed))
        assert activities(run.take_actions()) == [(3, "extra", None)]
    else:
        with pytest.raises(NonDeterminismError, match=re.escape(f"{expected}, the code asks")):
            driver.replayed(function=shape(changed))


def test_the_line_is_that_of_the_step_that_does_not_fit(shape: Shape) -> None:
    driver = record(shape)

    with pytest.raises(NonDeterminismError) as told:
        driver.replayed(function=shape(activity_for_timer))

    line = activity_for_timer.__code__.co_firstlineno + 2
    assert f"test_nondeterminism.py:{line}." in str(told.value)


def test_the_same_code_fits_also_when_written_another_way(shape: Shape) -> None:
    driver = record(shape)

    run = driver.replayed(function=shape(extra_step_after))

    assert run.take_actions() == []


def test_names_compare_without_case_and_times_and_inputs_do_not_count(shape: Shape) -> None:
    def changed(context: OrchestrationContext) -> Steps:
        yield context.call_activity("A", "another input")
        yield context.create_timer(timedelta(days=500))
        yield context.call_sub_orchestrator("CHILD", "another input")
        yield context.wait_for_external_event("GO")
        yield context.wait_for_external_event("anything")

    assert record(shape).replayed(function=shape(changed)).take_actions() == []


def test_an_end_other_than_the_recorded_one_is_told(shape: Shape) -> None:
    def ends(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")

    def goes_on(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        yield context.wait_for_external_event("go")

    driver = Driver(shape(ends))
    driver.completes(0)

    with pytest.raises(NonDeterminismError, match=r"history has the end .* asks for no such step"):
        driver.replayed(function=shape(goes_on))


def test_a_retry_that_was_added_removed_or_changed_is_told(shape: Shape) -> None:
    def with_retry(attempts: int) -> Callable[[OrchestrationContext], Steps]:
        def orchestrator(context: OrchestrationContext) -> Steps:
            retry = RetryOptions(1000, attempts) if attempts else None
            try:
                yield context.call_activity("a", retry=retry)
            except TaskFailedError:
                yield context.call_activity("undo")
            yield context.call_activity("next")

        return orchestrator

    def history(attempts: int) -> Driver:
        driver = Driver(shape(with_retry(attempts)))
        step = 0
        for _ in range(attempts or 1):
            driver.fails(step)
            if attempts:
                driver.fires(step + 1)
            step += 2
        return driver

    for attempts, changed in ((2, 0), (0, 2), (2, 3), (3, 2)):
        driver = history(attempts)
        with pytest.raises(NonDeterminismError) as told:
            driver.replayed(function=shape(with_retry(changed)))
        message = str(told.value)
        assert LINE.search(message), message


def test_a_retry_that_does_not_fit_is_told_with_the_line_that_waits_for_it() -> None:
    def orchestrator(attempts: int) -> Callable[[OrchestrationContext], Steps]:
        def retried(context: OrchestrationContext) -> Steps:
            with suppress(TaskFailedError):
                yield context.call_activity("a", retry=RetryOptions(1000, attempts))
            yield context.call_activity("undo")

        return retried

    driver = Driver(orchestrator(2))
    for step in (0, 2):
        driver.fails(step)
        driver.fires(step + 1)

    with pytest.raises(NonDeterminismError) as told:
        driver.replayed(function=orchestrator(3))

    first = orchestrator.__code__.co_firstlineno
    match = LINE.search(str(told.value))
    assert match is not None
    assert "the code asks for activity 'a' (step 4)" in str(told.value)
    assert first < int(match[0].rpartition(":")[2].rstrip(".")) < first + 7


def test_a_sent_message_in_history_is_told_as_such(shape: Shape) -> None:
    driver = record(shape)
    history = list(driver.history)
    history[2] = EventSent(timestamp=T0, event_id=0, instance_id="@counter@a", name="op")

    with pytest.raises(NonDeterminismError, match=r"message 'op' to '@counter@a' \(step 0\)"):
        driver.replayed(history)


def test_activities_that_a_history_lacks_are_asked_for_again_where_the_store_leaves_them_out(
    shape: Shape,
) -> None:
    """They stand between steps that are there, in an episode that is closed."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.task_all(
            [
                context.call_activity("a", 0),
                context.call_sub_orchestrator("child"),
                context.call_activity("a", 2),
                context.create_timer(SECOND),
            ]
        )

    driver = Driver(shape(orchestrator), records_open_activities=False)
    stored = [event for event in driver.history if not isinstance(event, TaskScheduled)]

    for tail in ([], [OrchestratorStarted(timestamp=T0)]):
        run = driver.replayed([*stored, *tail])

        assert activities(run.take_actions()) == [(0, "a", 0), (2, "a", 2)]


@pytest.mark.parametrize("cut", range(2, 6))
def test_an_episode_that_is_left_open_asks_again_for_steps_of_any_kind(
    shape: Shape, cut: int
) -> None:
    """A long episode may be written in several transactions: a prefix may be all there is."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        context.create_timer(SECOND)
        context.call_sub_orchestrator("child")
        context.call_activity("a")
        return "done"
        yield

    driver = Driver(shape(orchestrator), records_open_activities=False)

    run = driver.replayed(driver.history[:cut])

    assert run.take_actions() == driver.actions[cut - 2 :]


def test_what_follows_an_episode_that_was_left_open_may_hold_its_steps(shape: Shape) -> None:
    """So a worker goes on that took over: it opens an episode of its own."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.task_all([context.create_timer(SECOND), context.call_activity("a")])

    driver = Driver(shape(orchestrator), records_open_activities=False)
    started, start, *steps = driver.history

    run = driver.replayed([started, start, OrchestratorStarted(timestamp=T0), *steps])

    assert run.take_actions() == []
