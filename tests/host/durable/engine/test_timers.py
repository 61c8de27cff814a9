"""Durable timers: of any length, cancellable, in legs where a store needs it."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import TaskCancelledError
from func_host.durable.actions import CreateTimer
from func_host.durable.history import TimerFired
from tests.host.durable.engine.driving import SECOND, T0, Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    "fire_at",
    [
        T0 + SECOND,
        (T0 + SECOND).replace(tzinfo=None),
        SECOND,
        (T0 + SECOND).astimezone(timezone(timedelta(hours=5))),
    ],
    ids=["aware", "naive is UTC", "from now", "another zone"],
)
def test_a_timer_wakes_the_instance_at_its_time(
    shape: Shape, fire_at: datetime | timedelta
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        nothing = yield context.create_timer(fire_at)
        return [nothing, context.current_utc_datetime.isoformat()]

    driver = Driver(shape(orchestrator))
    assert driver.actions == [CreateTimer(0, T0 + SECOND)]

    driver.fires(0)

    assert driver.result == [None, (T0 + SECOND).isoformat()]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be changed here")
def test_a_naive_time_is_utc_whatever_the_zone_of_the_machine(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.create_timer((T0 + SECOND).replace(tzinfo=None))

    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/Los_Angeles")
        time.tzset()
        driver = Driver(shape(orchestrator))
    time.tzset()

    assert driver.actions == [CreateTimer(0, T0 + SECOND)]


def test_a_timer_in_the_past_is_asked_for_all_the_same(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.create_timer(-DAY)

    driver = Driver(shape(orchestrator))

    assert driver.actions == [CreateTimer(0, T0 - DAY)]


@pytest.mark.parametrize("fire_at", [date(2026, 1, 1), 5, "tomorrow", None, timedelta.max])
def test_what_is_no_time_fails_at_the_line_of_the_call(shape: Shape, fire_at: Any) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.create_timer(fire_at)

    assert Driver(shape(orchestrator)).status == "Failed"


def test_a_timer_that_is_cancelled_before_it_fires_raises_where_it_is_awaited(
    shape: Shape,
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        timer = context.create_timer(DAY)
        yield context.call_activity("a")
        timer.cancel()
        timer.cancel()
        assert timer.is_cancelled
        try:
            yield timer
        except TaskCancelledError:
            return "cancelled"

    driver = Driver(shape(orchestrator))
    assert driver.run.take_cancelled_timers() == ()

    driver.completes(1)

    assert driver.result == "cancelled"
    assert driver.run.take_cancelled_timers() == (0,)
    assert driver.run.take_cancelled_timers() == ()


def test_a_timer_that_has_fired_cannot_be_cancelled(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        timer = context.create_timer(SECOND)
        yield timer
        try:
            timer.cancel()
        except ValueError as error:
            return str(error)

    driver = Driver(shape(orchestrator))
    driver.fires(0)

    assert "already fired" in driver.result
    assert driver.run.take_cancelled_timers() == ()


def test_a_cancelled_timer_that_fires_late_is_ignored(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        context.create_timer(SECOND).cancel()
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator))
    driver.fires(0)
    driver.completes(1)

    assert driver.status == "Completed"


def test_a_timer_beyond_the_stores_limit_takes_a_step_for_each_leg(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.create_timer(10 * DAY)
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator), timer_leg_max=3 * DAY)
    for leg in range(4):
        driver.fires(leg)

    assert driver.actions[:4] == [
        CreateTimer(0, T0 + 3 * DAY),
        CreateTimer(1, T0 + 6 * DAY),
        CreateTimer(2, T0 + 9 * DAY),
        CreateTimer(3, T0 + 10 * DAY),
    ]
    assert driver.actions[4].id == 4  # type: ignore[union-attr]  # an activity, which has one
    assert driver.replayed().take_actions() == []


def test_a_long_timer_is_one_step_where_the_store_has_no_limit(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.create_timer(3650 * DAY)

    driver = Driver(shape(orchestrator))
    driver.fires(0)

    assert driver.status == "Completed"


def test_cancelling_a_long_timer_gives_up_the_leg_that_runs(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        timer = context.create_timer(10 * DAY)
        yield context.wait_for_external_event("stop")
        timer.cancel()
        yield context.wait_for_external_event("end")

    driver = Driver(shape(orchestrator), timer_leg_max=3 * DAY)
    driver.fires(0)
    driver.raises("stop")

    assert driver.run.take_cancelled_timers() == (1,)


def test_what_a_replay_cancels_again_is_told_apart_from_what_is_new(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        first = context.create_timer(DAY)
        second = context.create_timer(DAY)
        yield context.wait_for_external_event("one")
        first.cancel()
        yield context.wait_for_external_event("two")
        second.cancel()
        yield context.wait_for_external_event("three")

    driver = Driver(shape(orchestrator))
    driver.raises("one")
    closed = list(driver.history)
    driver.raises("two")
    unanswered = driver.history[: len(closed) + 2]

    run = driver.replayed(unanswered)

    assert run.cancelled_before == (0,)
    assert run.take_cancelled_timers() == (1,)


def test_a_timer_recorded_whole_is_not_split_by_a_smaller_limit(shape: Shape) -> None:
    """Microsoft's extension splits only timers of more than six days, then into legs of three."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.create_timer(5 * DAY)
        yield context.call_activity("a")

    recorded = Driver(shape(orchestrator))
    recorded.fires(0)

    split = Driver(shape(orchestrator), timer_leg_max=3 * DAY)
    run = split.replayed(recorded.history)

    assert [action.id for action in run.open_activities()] == [1]


@pytest.mark.parametrize("leg_max", [None, 3 * DAY])
def test_a_timer_whose_length_has_changed_in_the_code_has_fired_as_recorded(
    shape: Shape, leg_max: timedelta | None
) -> None:
    def sleeping(length: timedelta) -> Callable[[OrchestrationContext], Steps]:
        def orchestrator(context: OrchestrationContext) -> Steps:
            yield context.create_timer(length)
            yield context.call_activity("a")

        return orchestrator

    recorded = Driver(shape(sleeping(SECOND)), timer_leg_max=leg_max)
    recorded.fires(0)

    run = recorded.replayed(function=shape(sleeping(DAY)))

    assert [action.id for action in run.open_activities()] == [1]


def test_times_recorded_a_little_finer_than_ours_do_not_add_a_leg(shape: Shape) -> None:
    """The framework counts in 100 ns; what is read of it is cut to microseconds."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.create_timer(5 * DAY)
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator), timer_leg_max=3 * DAY)
    recorded = T0 + 5 * DAY - timedelta(microseconds=1)
    driver.feed(TimerFired(timestamp=recorded, timer_id=0, fire_at=recorded))

    assert [action.id for action in driver.run.open_activities()] == [1]
