"""What the context says of itself: the same on every replay."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from func_bindings.errors import SerializationError
from func_host.durable.actions import ContinueAsNew
from func_host.durable.history import OrchestrationInstance, OrchestratorStarted, ParentInstance
from tests.host.durable.engine.driving import SECOND, T0, Driver

if TYPE_CHECKING:
    from collections.abc import Generator

    import pytest

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]


def test_the_context_names_the_instance_its_parent_and_its_version(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        return [
            context.instance_id,
            context.parent_instance_id,
            context.name,
            context.version,
            context.get_input(),
        ]

    parent = ParentInstance(
        name="p", orchestration_instance=OrchestrationInstance("above", "e"), task_schedule_id=0
    )
    driver = Driver(shape(orchestrator), [1], name="MyName", version="2.0", parent=parent)
    driver.completes(0)

    assert driver.result == ["instance", "above", "MyName", "2.0", [1]]


def test_an_instance_without_input_or_parent_gets_none(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        return [context.get_input(), context.get_input(dict), context.parent_instance_id]

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    assert driver.result == [None, None, None]


def test_an_input_that_does_not_fit_the_type_asked_for_raises(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        try:
            context.get_input(int)
        except SerializationError:
            return "refused"

    driver = Driver(shape(orchestrator), "text")
    driver.completes(0)

    assert driver.result == "refused"


def test_time_is_that_of_the_episode_and_never_goes_back(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        times = [context.current_utc_datetime]
        for name in "abc":
            yield context.call_activity(name)
            times.append(context.current_utc_datetime)
        return [time.isoformat() for time in times]

    driver = Driver(shape(orchestrator))
    driver.completes(0, after=SECOND)
    driver.completes(1, after=timedelta(days=-1))
    driver.completes(2, after=timedelta(days=1, seconds=1))

    times = [T0, T0 + SECOND, T0 + SECOND, T0 + 2 * SECOND]
    assert driver.result == [time.isoformat() for time in times]


def test_uuids_differ_within_a_run_and_are_the_same_on_replay(shape: Shape) -> None:
    seen: list[list[str]] = []

    def orchestrator(context: OrchestrationContext) -> Steps:
        uuids: list[str] = []
        seen.append(uuids)
        uuids += [context.new_uuid(), context.new_uuid(), str(context.new_guid())]
        yield context.call_activity("a")
        uuids.append(context.new_uuid())
        yield context.call_activity("b")

    driver = Driver(shape(orchestrator))
    driver.completes(0)
    driver.replayed()

    assert len(set(seen[0])) == 4
    assert seen[0] == seen[1]


def test_replaying_ends_with_what_history_has(shape: Shape) -> None:
    seen: list[bool] = []

    def orchestrator(context: OrchestrationContext) -> Steps:
        seen.append(context.is_replaying)
        yield context.call_activity("a")
        seen.append(context.is_replaying)
        yield context.call_activity("b")
        seen.append(context.is_replaying)

    driver = Driver(shape(orchestrator))
    driver.completes(0)
    assert seen == [False, False]

    seen.clear()
    driver.run = driver.replayed()
    assert seen == [True, True]

    driver.completes(1)
    assert seen == [True, True, False]
    assert driver.status == "Completed"


def test_what_came_after_the_last_answered_episode_is_no_replay(shape: Shape) -> None:
    seen: list[bool] = []

    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        seen.append(context.is_replaying)
        yield context.call_activity("b")

    driver = Driver(shape(orchestrator))
    driver.completes(0)
    seen.clear()
    message = driver.history[5]
    run = driver.replayed([*driver.history[:4], OrchestratorStarted(timestamp=T0), message])

    assert seen == [False]
    assert [action.name for action in run.open_activities()] == ["b"]


def test_the_logger_is_silent_while_replaying(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    own = logging.getLogger("shop")

    def orchestrator(context: OrchestrationContext) -> Steps:
        mine = context.create_replay_safe_logger(own)
        context.logger.info("started %s", 1)
        mine.warning("careful", extra={"order": 7})
        yield context.call_activity("a")
        context.logger.info("went on")
        yield context.call_activity("b")

    with caplog.at_level(logging.INFO):
        driver = Driver(shape(orchestrator), name="MyName")
        driver.completes(0)
        driver.run = driver.replayed()
        driver.completes(1)

    assert [(each.name, each.getMessage()) for each in caplog.records] == [
        ("MyName", "started 1"),
        ("shop", "careful"),
        ("MyName", "went on"),
    ]
    assert vars(caplog.records[1])["order"] == 7


def test_the_custom_status_is_the_last_one_set_and_can_be_taken_back(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        context.set_custom_status({"done": 0})
        assert context.custom_status == {"done": 0}
        yield context.call_activity("b")
        context.set_custom_status(0)
        yield context.call_activity("c")
        context.set_custom_status(None)
        assert context.custom_status is None
        yield context.call_activity("d")

    driver = Driver(shape(orchestrator))
    seen = [driver.run.custom_status]
    for task_id in range(3):
        driver.completes(task_id)
        seen.append(driver.run.custom_status)

    assert seen == [None, '{"done":0}', "0", None]
    assert driver.replayed().custom_status is None


def test_a_custom_status_that_cannot_be_written_fails_at_its_line(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        context.set_custom_status("good")
        try:
            context.set_custom_status(object())
        except SerializationError:
            context.set_custom_status([context.custom_status])
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator))

    assert driver.run.custom_status == '["good"]'


def test_continue_as_new_takes_effect_when_the_function_returns(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        assert not context.will_continue_as_new
        context.continue_as_new({"round": 1})
        assert context.will_continue_as_new
        yield context.call_activity("a")
        context.continue_as_new({"round": 2})
        return "dropped"

    driver = Driver(shape(orchestrator))
    assert len(driver.actions) == 1

    driver.completes(0)

    assert driver.actions[1:] == [ContinueAsNew('{"round":2}', ())]
    assert driver.run.take_actions() == []


def test_an_exception_after_continue_as_new_fails_the_instance(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        context.continue_as_new()
        yield context.call_activity("a")
        raise ValueError("no")

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    assert driver.status == "Failed"


def test_an_input_for_continue_as_new_that_cannot_be_written_fails_at_its_line(
    shape: Shape,
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        try:
            context.continue_as_new(object())
        except SerializationError:
            return context.will_continue_as_new

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    assert driver.result is False
