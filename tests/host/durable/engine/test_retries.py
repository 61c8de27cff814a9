"""Calls that are tried again, and the steps they take in history."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import RetryOptions, TaskFailedError
from func_host.durable.actions import CreateSubOrchestration, CreateTimer, ScheduleTask
from func_host.durable.history import Failure
from tests.host.durable.engine.driving import SECOND, T0, Driver

if TYPE_CHECKING:
    from collections.abc import Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Orchestrator, Shape

    Steps = Generator[Any, Any, Any]

NAN = float("nan")


def calling(retry: RetryOptions) -> Orchestrator:
    def orchestrator(context: OrchestrationContext) -> Steps:
        try:
            return (yield context.call_activity("a", 1, retry=retry))
        except TaskFailedError as error:
            return f"gave up: {error}"

    return orchestrator


def kinds(driver: Driver) -> list[tuple[str, int]]:
    return [(type(action).__name__, action.id) for action in driver.actions]  # type: ignore[union-attr]  # no continue-as-new here


def test_two_attempts_take_four_steps_as_in_the_durable_task_framework(shape: Shape) -> None:
    driver = Driver(shape(calling(RetryOptions(1000, 2))))
    driver.fails(0, "first")
    driver.fires(1)
    driver.fails(2, "second")
    driver.fires(3)

    assert kinds(driver) == [
        ("ScheduleTask", 0),
        ("CreateTimer", 1),
        ("ScheduleTask", 2),
        ("CreateTimer", 3),
        ("CompleteOrchestration", 4),
    ]
    assert driver.actions[1] == CreateTimer(1, T0 + SECOND)
    assert driver.actions[3] == CreateTimer(3, T0 + SECOND)
    assert driver.result == "gave up: second"


def test_both_ways_to_ask_for_retries_are_the_same(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        return (yield context.call_activity_with_retry("a", RetryOptions(1000, 2), 1))

    driver = Driver(shape(orchestrator))
    driver.fails(0)
    driver.fires(1)
    driver.completes(2, "at last")

    assert driver.actions[:3] == [
        ScheduleTask(0, "a", "1"),
        CreateTimer(1, T0 + SECOND),
        ScheduleTask(2, "a", "1"),
    ]
    assert driver.result == "at last"


def test_the_wait_grows_by_the_coefficient_up_to_the_longest(shape: Shape) -> None:
    retry = RetryOptions(1000, 5, 3.0, max_retry_interval_in_milliseconds=5000)
    driver = Driver(shape(calling(retry)))
    waits: list[timedelta] = []
    for attempt in range(4):
        before = driver.now
        driver.fails(2 * attempt)
        timer = driver.actions[-1]
        assert isinstance(timer, CreateTimer)
        waits.append(timer.fire_at - before)
        driver.fires(timer.id)

    assert [wait.total_seconds() for wait in waits] == [1, 3, 5, 5]


def test_no_attempt_starts_after_the_retry_timeout(shape: Shape) -> None:
    retry = RetryOptions(1000, 100, retry_timeout_in_milliseconds=2500)
    driver = Driver(shape(calling(retry)))
    for attempt in range(3):
        driver.fails(2 * attempt)
        driver.fires(2 * attempt + 1)
    driver.fails(6)

    assert driver.result == "gave up: it failed"
    assert driver.end.id == 7


def test_a_failure_at_the_very_end_of_the_retry_timeout_is_the_last(shape: Shape) -> None:
    retry = RetryOptions(1000, 100, retry_timeout_in_milliseconds=2000)
    driver = Driver(shape(calling(retry)))
    for attempt in range(2):
        driver.fails(2 * attempt)
        driver.fires(2 * attempt + 1)
    driver.fails(4)

    assert driver.now - T0 == 2 * SECOND
    assert driver.result == "gave up: it failed"


def test_a_failure_that_says_so_is_not_retried(shape: Shape) -> None:
    failure = Failure(error_type="E", error_message="no", is_non_retriable=True)
    driver = Driver(shape(calling(RetryOptions(1000, 3))))
    driver.fails(0, "no", failure)

    assert kinds(driver) == [("ScheduleTask", 0), ("CompleteOrchestration", 1)]


def test_one_attempt_still_takes_the_extra_timer(shape: Shape) -> None:
    driver = Driver(shape(calling(RetryOptions(1000, 1))))
    driver.fails(0)
    driver.fires(1)

    assert kinds(driver) == [
        ("ScheduleTask", 0),
        ("CreateTimer", 1),
        ("CompleteOrchestration", 2),
    ]


@pytest.mark.parametrize(
    "policy", [(1e12, 50, 1e300), (1e12, 50, 10.0), (1e300, 50), (float("inf"), 50, 1.0, 1e300)]
)
def test_no_policy_leaves_the_calendar(shape: Shape, policy: tuple[Any, ...]) -> None:
    driver = Driver(shape(calling(RetryOptions(*policy))))
    driver.fails(0)
    driver.fires(1)
    driver.fails(2)

    timer = driver.actions[-1]
    assert isinstance(timer, CreateTimer)
    assert timer.fire_at - driver.now <= timedelta(days=365 * 100)


@pytest.mark.parametrize("timeout", [1e300, float("inf")])
def test_a_retry_timeout_beyond_the_calendar_is_none(shape: Shape, timeout: float) -> None:
    retry = RetryOptions(1000, 3, retry_timeout_in_milliseconds=timeout)
    driver = Driver(shape(calling(retry)))
    driver.fails(0)

    assert driver.actions[-1] == CreateTimer(1, T0 + SECOND)


def test_a_retried_child_gets_a_new_default_id_and_keeps_a_given_one(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        retry = RetryOptions(1000, 2)
        first = context.call_sub_orchestrator("child", retry=retry)
        second = context.call_sub_orchestrator_with_retry("child", retry, None, "mine")
        return (yield context.task_all([first, second]))

    driver = Driver(shape(orchestrator))
    driver.child_fails(0)
    driver.child_fails(1)
    driver.fires(2)
    driver.fires(3)
    driver.child_completes(4, "a")
    driver.child_completes(5, "b")

    children = [each for each in driver.actions if isinstance(each, CreateSubOrchestration)]
    assert [(each.id, each.instance_id) for each in children] == [
        (0, "execution:0"),
        (1, "mine"),
        (4, "execution:4"),
        (5, "mine"),
    ]
    assert driver.result == ["a", "b"]


def test_parallel_retries_do_not_disturb_each_other(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        retry = RetryOptions(1000, 3)
        tasks = [context.call_activity("a", n, retry=retry) for n in range(2)]
        return (yield context.task_all(tasks))

    driver = Driver(shape(orchestrator))
    driver.fails(1)
    driver.fails(0)
    driver.fires(3)
    driver.fires(2)
    driver.completes(5, "one")
    driver.completes(4, "zero")

    retried = [each for each in driver.actions if isinstance(each, ScheduleTask) and each.id > 1]
    assert [(each.id, each.input) for each in retried] == [(4, "0"), (5, "1")]
    assert driver.result == ["zero", "one"]


def test_a_retry_timer_is_split_into_legs_where_the_store_needs_it(shape: Shape) -> None:
    day = timedelta(days=1)
    retry = RetryOptions(day.total_seconds() * 4000, 2)
    driver = Driver(shape(calling(retry)), timer_leg_max=3 * day)
    driver.fails(0)
    driver.fires(1)
    driver.fires(2)

    assert driver.actions[1:] == [
        CreateTimer(1, T0 + 3 * day),
        CreateTimer(2, T0 + 4 * day),
        ScheduleTask(3, "a", "1"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 2),
        (-1, 2),
        (NAN, 2),
        (1, 0),
        (1, 2, 0.5),
        (1, 2, NAN),
        (1, 2, 1.0, 0),
        (1, 2, 1.0, NAN),
        (1, 2, 1.0, None, -5),
    ],
)
def test_a_policy_that_could_not_work_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RetryOptions(*arguments)
