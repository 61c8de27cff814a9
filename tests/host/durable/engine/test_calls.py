"""Activities and children: what is asked for, and how the answers come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import TaskFailedError
from func_bindings.errors import SerializationError
from func_host.durable.actions import CreateSubOrchestration, ScheduleTask
from func_host.durable.history import Failure, OrchestrationInstance, ParentInstance
from tests.host.durable.engine.driving import Catalog, Driver, activities

if TYPE_CHECKING:
    from collections.abc import Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]


@dataclass
class Order:
    number: int


@dataclass
class Picky:
    number: int

    def __post_init__(self) -> None:
        raise KeyError("this class takes nothing")


def say_hello(city: str) -> str:
    return city


def test_an_activity_is_asked_for_by_name_or_by_function(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        first = yield context.call_activity("say_hello", "Tokyo")
        second = yield context.call_activity(say_hello, "London")
        return [first, second]

    driver = Driver(shape(orchestrator))
    driver.completes(0, "Hello Tokyo")
    driver.completes(1, "Hello London")

    assert activities(driver.actions) == [(0, "say_hello", "Tokyo"), (1, "say_hello", "London")]
    assert driver.result == ["Hello Tokyo", "Hello London"]
    assert driver.end.id == 2


def test_an_activity_is_scheduled_when_it_is_called_and_not_when_it_is_awaited(
    shape: Shape,
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        first = context.call_activity("a")
        second = context.call_activity("b")
        results = [(yield second)]
        results.append((yield first))
        return results

    driver = Driver(shape(orchestrator))
    assert [name for _, name, _ in activities(driver.actions)] == ["a", "b"]

    driver.completes(0, "first")
    driver.completes(1, "second")

    assert driver.result == ["second", "first"]


def test_a_task_may_be_awaited_any_number_of_times(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        task = context.call_activity("a")
        return [(yield task), (yield task), (yield task)]

    driver = Driver(shape(orchestrator))
    driver.completes(0, 7)

    assert driver.result == [7, 7, 7]


def test_a_failed_activity_raises_with_its_details_each_time(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        task = context.call_activity("a")
        caught: list[Any] = []
        for _ in range(2):
            try:
                yield task
            except TaskFailedError as error:
                details = error.details
                caught.append([str(error), details.error_type, details.is_caused_by(OSError)])
        return caught

    cause = Failure(error_type="OSError", error_message="disk full")
    failure = Failure(error_type="ValueError", error_message="bad", inner_failure=cause)
    driver = Driver(shape(orchestrator))
    driver.fails(0, "Activity function 'a' failed: ValueError: bad", failure)

    text = "Activity function 'a' failed: ValueError: bad"
    assert driver.result == [[text, "ValueError", True]] * 2


def test_an_uncaught_failure_of_an_activity_fails_the_instance_with_its_causes(
    shape: Shape,
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")

    failure = Failure(error_type="ValueError", error_message="bad")
    driver = Driver(shape(orchestrator))
    driver.fails(0, "Activity function 'a' failed: ValueError: bad", failure)

    assert driver.status == "Failed"
    assert driver.end.result == (
        "Orchestrator function 'orchestrator' failed: Activity function 'a' failed: ValueError: bad"
    )
    assert driver.end.failure is not None
    assert driver.end.failure.inner_failure == failure


def test_a_failure_without_details_has_the_two_texts_of_the_event(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        try:
            yield context.call_activity("a")
        except TaskFailedError as error:
            return [error.details.message, error.details.error_type]

    driver = Driver(shape(orchestrator))
    driver.fails(0, "the reason")

    assert driver.result == ["the reason", ""]


def test_a_result_is_read_as_the_expected_type(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        order = yield context.call_activity("a", None, Order)
        assert isinstance(order, Order)
        return order.number

    driver = Driver(shape(orchestrator))
    driver.completes(0, {"number": 3})

    assert driver.result == 3


def test_a_result_that_does_not_fit_the_expected_type_fails_at_the_await(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        task = context.call_activity("a", None, Order)
        try:
            yield task
        except SerializationError as error:
            return str(error)

    driver = Driver(shape(orchestrator))
    driver.completes(0, {"number": "three"})

    assert "$.number" in driver.result


def test_a_result_whose_class_refuses_it_with_any_error_fails_at_the_await(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        try:
            yield context.call_activity("a", None, Picky)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must come here
            return f"caught {error}"

    driver = Driver(shape(orchestrator))
    driver.completes(0, {"number": 3})

    assert "this class takes nothing" in driver.result


@pytest.mark.parametrize("annotated", [Order, Picky])
def test_a_result_that_does_not_fit_the_annotation_comes_as_plain_json(
    shape: Shape, annotated: type
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        return (yield context.call_activity("a"))

    driver = Driver(shape(orchestrator), catalog=Catalog({"a": annotated}))
    driver.completes(0, {"number": "three"})

    assert driver.result == {"number": "three"}


def test_an_input_that_cannot_be_written_fails_at_the_line_of_the_call(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        message = ""
        try:
            context.call_activity("a", {"items": [object()]})
        except SerializationError as error:
            message = str(error)
        yield context.call_activity("b")
        return message

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    assert activities(driver.actions) == [(0, "b", None)]
    assert "$.items[0]" in driver.result


@pytest.mark.parametrize("method", ["call_activity", "call_sub_orchestrator"])
def test_a_name_that_no_store_can_hold_is_refused_at_the_line_of_the_call(
    shape: Shape, method: str
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield getattr(context, method)("a\udc80")

    driver = Driver(shape(orchestrator))

    assert driver.status == "Failed"
    assert "UTF-8" in (driver.end.result or "")


def test_children_are_numbered_with_the_other_steps_and_named_after_the_execution(
    shape: Shape,
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        return [
            (yield context.call_sub_orchestrator("child", 1)),
            (yield context.call_sub_orchestrator("child", 2, "mine", "2.0")),
        ]

    driver = Driver(shape(orchestrator))
    driver.completes(0)
    driver.child_completes(1, "one")
    driver.child_completes(2, "two")

    assert driver.actions[1:3] == [
        CreateSubOrchestration(1, "child", "execution:1", "1", None),
        CreateSubOrchestration(2, "child", "mine", "2", "2.0"),
    ]
    assert driver.result == ["one", "two"]


def test_a_failed_child_raises(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        try:
            yield context.call_sub_orchestrator("child")
        except TaskFailedError as error:
            return str(error)

    driver = Driver(shape(orchestrator))
    driver.child_fails(0, "Orchestrator function 'child' failed: no")

    assert driver.result == "Orchestrator function 'child' failed: no"


@pytest.mark.parametrize("child_id", ["instance", "parent", "", "@x", "a/b", "x" * 257, "a\nb"])
def test_a_child_cannot_have_the_id_of_its_ancestors_or_a_forbidden_one(
    shape: Shape, child_id: str
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_sub_orchestrator("child", None, child_id)

    parent = ParentInstance(
        name="p", orchestration_instance=OrchestrationInstance("parent", "e"), task_schedule_id=0
    )
    driver = Driver(shape(orchestrator), parent=parent)

    assert driver.status == "Failed"
    assert driver.actions == [driver.end]


def test_a_late_or_a_second_answer_changes_nothing(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        first = yield context.call_activity("a")
        second = yield context.call_activity("b")
        return [first, second]

    driver = Driver(shape(orchestrator))
    driver.completes(0, "right")
    driver.completes(0, "wrong")
    driver.fails(0)
    driver.completes(17)
    driver.completes(1, "second")

    assert driver.result == ["right", "second"]


def test_open_activities_are_those_without_an_answer(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.task_all([context.call_activity("a", n) for n in range(3)])

    driver = Driver(shape(orchestrator))
    driver.completes(1)

    expected = [ScheduleTask(0, "a", "0"), ScheduleTask(2, "a", "2")]
    assert driver.run.open_activities() == expected
    assert driver.replayed().open_activities() == expected
