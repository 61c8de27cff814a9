"""Tasks made of tasks: all of them, the first of them, nested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import TaskFailedError
from tests.host.durable.engine.driving import SECOND, Driver

if TYPE_CHECKING:
    from collections.abc import Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]


def test_all_gives_the_results_in_the_order_of_the_tasks(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        return (yield context.task_all([context.call_activity("a", n) for n in range(3)]))

    driver = Driver(shape(orchestrator))
    for task_id in (2, 0, 1):
        driver.completes(task_id, task_id)

    assert driver.result == [0, 1, 2]


@pytest.mark.parametrize("method", ["task_all", "when_all"])
def test_all_of_nothing_is_an_empty_list_at_once(shape: Shape, method: str) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        return (yield getattr(context, method)([]))

    assert Driver(shape(orchestrator)).result == []


@pytest.mark.parametrize("method", ["task_any", "when_any"])
def test_any_of_nothing_is_refused(shape: Shape, method: str) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield getattr(context, method)([])

    driver = Driver(shape(orchestrator))

    assert driver.status == "Failed"
    assert "at least one task" in (driver.end.result or "")


def test_all_fails_with_the_first_failure_at_once_while_the_others_run(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        tasks = [context.call_activity("a", n) for n in range(3)]
        try:
            yield context.task_all(tasks)
        except TaskFailedError as error:
            return [str(error), [task.is_completed for task in tasks]]

    driver = Driver(shape(orchestrator))
    driver.fails(1, "the first")

    assert driver.result == ["the first", [False, True, False]]


def test_a_second_failure_does_not_change_that_of_all(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        both = context.task_all([context.call_activity("a"), context.call_activity("b")])
        yield context.wait_for_external_event("go")
        try:
            yield both
        except TaskFailedError as error:
            return str(error)

    driver = Driver(shape(orchestrator))
    driver.fails(1, "the first")
    driver.fails(0, "the second")
    driver.raises("go")

    assert driver.result == "the first"


def test_any_gives_the_task_that_ended_first_even_if_it_failed(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        tasks = [context.call_activity("a"), context.call_activity("b")]
        first = yield context.task_any(tasks)
        second = yield context.task_any([task for task in tasks if task is not first])
        return [first is tasks[1], first.is_failed, str(first.exception), second.result]

    driver = Driver(shape(orchestrator))
    driver.fails(1, "no")
    driver.completes(0, 5)

    assert driver.result == [True, True, "no", 5]


def test_any_of_tasks_that_have_ended_gives_the_first_of_them(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        tasks = [context.call_activity("a"), context.call_activity("b")]
        yield context.task_all(tasks)
        return (yield context.task_any(reversed(tasks))) is tasks[1]

    driver = Driver(shape(orchestrator))
    driver.completes(0)
    driver.completes(1)

    assert driver.result is True


def test_compound_tasks_nest_in_both_ways(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        pair = context.task_all([context.call_activity("a"), context.call_activity("b")])
        either = context.task_any([pair, context.create_timer(SECOND)])
        event = context.wait_for_external_event("go")
        winner, data = yield context.task_all([either, event])
        return [winner is pair, pair.result, data]

    driver = Driver(shape(orchestrator))
    driver.completes(1, "b")
    driver.raises("go", "data")
    driver.completes(0, "a")

    assert driver.result == [True, ["a", "b"], "data"]


def test_one_task_may_stand_in_a_list_twice(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        task = context.call_activity("a")
        return (yield context.task_all([task, task]))

    driver = Driver(shape(orchestrator))
    driver.completes(0, 1)

    assert driver.result == [1, 1]


@pytest.mark.parametrize("method", ["task_all", "task_any"])
@pytest.mark.parametrize("strange", [None, 3, "task", []])
def test_what_is_no_task_is_refused_by_its_position(
    shape: Shape, method: str, strange: object
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield getattr(context, method)([context.call_activity("a"), strange])

    driver = Driver(shape(orchestrator))

    assert driver.status == "Failed"
    assert "item 1" in (driver.end.result or "")


def test_a_fan_out_of_thousands_is_not_quadratic(shape: Shape) -> None:
    count = 5_000

    def orchestrator(context: OrchestrationContext) -> Steps:
        results = yield context.task_all([context.call_activity("a", n) for n in range(count)])
        return len(results)

    driver = Driver(shape(orchestrator))
    for task_id in range(count):
        driver.completes(task_id)

    assert driver.result == count


def test_tasks_nested_too_deep_fail_the_instance(shape: Shape) -> None:
    """What completes a task completes the tasks around it, each within the one before."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        task = inner = context.call_activity("a")
        for _ in range(20_000):
            task = context.task_all([task])
        yield task
        return inner.result

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    assert driver.status == "Failed"
    assert "recursion" in (driver.end.result or "")
