"""External events: kept until they are read, and given in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from func_bindings.errors import SerializationError
from func_host.durable.actions import ContinueAsNew
from func_host.durable.history import EventRaised
from tests.host.durable.engine.driving import SECOND, T0, Driver

if TYPE_CHECKING:
    from collections.abc import Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]


@dataclass
class Vote:
    by: str


def test_an_event_ends_the_wait_of_its_name_without_case(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        return (yield context.wait_for_external_event("Approval"))

    driver = Driver(shape(orchestrator))
    driver.raises("other", 1)
    driver.raises("aPPROVAL", 2)

    assert driver.result == 2


def test_an_event_that_comes_before_the_wait_is_kept(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        first = yield context.wait_for_external_event("go")
        second = yield context.wait_for_external_event("GO")
        return [first, second]

    driver = Driver(shape(orchestrator))
    driver.raises("Go", 1)
    driver.raises("gO", 2)
    driver.completes(0)

    assert driver.result == [1, 2]


def test_several_waits_for_one_name_are_served_in_order(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        waits = [context.wait_for_external_event("go") for _ in range(3)]
        return (yield context.task_all(waits))

    driver = Driver(shape(orchestrator))
    for number in range(3):
        driver.raises("go", number)

    assert driver.result == [0, 1, 2]


def test_waits_take_no_step(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.wait_for_external_event("go")
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator))
    assert driver.actions == []
    driver.raises("go")

    assert [action.id for action in driver.run.open_activities()] == [0]


def test_an_event_without_data_gives_none(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        return [(yield context.wait_for_external_event("go"))]

    driver = Driver(shape(orchestrator))
    driver.feed(EventRaised(timestamp=T0, name="go"))

    assert driver.result == [None]


def test_an_event_is_read_as_the_expected_type_or_fails_at_the_await(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        good = yield context.wait_for_external_event("vote", Vote)
        try:
            yield context.wait_for_external_event("vote", Vote)
        except SerializationError as error:
            return [good.by, str(error)]

    driver = Driver(shape(orchestrator))
    driver.raises("vote", {"by": "me"})
    driver.raises("vote", {"by": 7})

    assert driver.result[0] == "me"
    assert "$.by" in driver.result[1]


def test_an_event_wins_against_a_timer_which_can_then_be_cancelled(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        timer = context.create_timer(SECOND)
        event = context.wait_for_external_event("go")
        winner = yield context.task_any([timer, event])
        assert winner is event
        timer.cancel()
        return winner.result

    driver = Driver(shape(orchestrator))
    driver.raises("go", "now")

    assert driver.result == "now"
    assert driver.run.take_cancelled_timers() == (0,)


def test_a_timer_wins_against_an_event(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        timer = context.create_timer(SECOND)
        event = context.wait_for_external_event("go")
        winner = yield context.task_any([timer, event])
        return winner is timer

    driver = Driver(shape(orchestrator))
    driver.fires(0)

    assert driver.result is True


def test_unread_events_are_carried_over_by_continue_as_new(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.wait_for_external_event("go")
        context.continue_as_new()

    driver = Driver(shape(orchestrator))
    other = EventRaised(timestamp=T0, name="other", input="1")
    go = EventRaised(timestamp=T0, name="go", input="2")
    late = EventRaised(timestamp=T0, name="go", input="3")
    actions = driver.feed(other, go, late)

    assert actions == [ContinueAsNew("null", (other, late))]
