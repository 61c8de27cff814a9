"""How an execution ends: by itself, by a mistake, from outside."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import TaskFailedError
from func_host.durable.actions import CreateTimer, ScheduleTask
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.history import (
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    GenericEvent,
    OrchestratorStarted,
    TaskCompleted,
)
from tests.host.durable.engine.driving import SECOND, T0, Driver

if TYPE_CHECKING:
    from collections.abc import Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]


# By itself


def test_the_end_does_not_wait_for_what_is_open(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        context.call_activity("a")
        context.call_sub_orchestrator("child")
        context.create_timer(SECOND)
        context.wait_for_external_event("go")
        yield context.call_activity("b")
        return "done"

    driver = Driver(shape(orchestrator))
    driver.completes(3)
    assert driver.result == "done"
    ended = list(driver.actions)

    driver.completes(0)
    driver.child_fails(1)
    driver.fires(2)
    driver.raises("go")

    assert driver.actions == ended


def test_a_plain_function_ends_at_once_and_its_calls_are_made() -> None:
    def orchestrator(context: OrchestrationContext) -> list[str]:
        context.call_activity("a")
        return [context.instance_id]

    driver = Driver(orchestrator)

    assert [type(action).__name__ for action in driver.actions] == [
        "ScheduleTask",
        "CompleteOrchestration",
    ]
    assert driver.result == ["instance"]


def test_a_plain_function_that_returns_a_coroutine_is_run_like_one() -> None:
    async def inner(context: OrchestrationContext) -> Any:
        return await context.call_activity("a")

    def orchestrator(context: OrchestrationContext) -> Any:
        coroutine = inner(context)
        return coroutine  # noqa: RET504 -- as a decorator that is not async does

    driver = Driver(orchestrator)
    driver.completes(0, 5)

    assert driver.result == 5


def test_an_orchestrator_without_return_ends_with_null(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    assert driver.end.result == "null"


# By a mistake


def test_an_exception_fails_the_instance_with_type_text_and_causes(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        raise ValueError("cannot save") from OSError("disk full")

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    failure = driver.end.failure
    assert driver.status == "Failed"
    assert driver.end.result == "Orchestrator function 'orchestrator' failed: cannot save"
    assert failure is not None
    assert (failure.error_type, failure.error_message) == ("ValueError", "cannot save")
    assert failure.inner_failure is not None
    assert failure.inner_failure.error_type == "OSError"
    assert 'raise ValueError("cannot save")' in (failure.stack_trace or "")
    assert "replay.py" not in (failure.stack_trace or "")


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopIteration(5),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("waits", [True, False])
def test_an_orchestrator_that_raises_what_ends_programs_just_fails(
    shape: Shape, error: BaseException, *, waits: bool
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        if waits:
            yield context.call_activity("a")
        raise error

    driver = Driver(shape(orchestrator))
    if waits:
        driver.completes(0)

    assert driver.status == "Failed"


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration(5), GeneratorExit()])
def test_a_plain_function_that_raises_what_ends_programs_just_fails(error: BaseException) -> None:
    def orchestrator(context: OrchestrationContext) -> None:
        raise error

    assert Driver(orchestrator).status == "Failed"


def test_a_result_that_cannot_be_written_fails_the_instance_and_names_the_place(
    shape: Shape,
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        return {"items": [1, object()]}

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    assert driver.status == "Failed"
    assert "$.items[1]" in (driver.end.result or "")


@pytest.mark.parametrize("yielded", [None, 3, [], "task", [1]])
def test_a_generator_that_yields_no_task_gets_an_error_there(yielded: object) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        message = ""
        try:
            yield yielded
        except TypeError as error:
            message = str(error)
        value = yield context.call_activity("a")
        return [message, value]

    driver = Driver(orchestrator)
    driver.completes(0, 1)

    message, value = driver.result
    assert "yields only tasks" in message
    assert type(yielded).__name__ in message
    assert value == 1


@pytest.mark.anyio
async def test_a_coroutine_that_awaits_something_else_gets_an_error_there() -> None:
    async def orchestrator(context: OrchestrationContext) -> Any:
        messages: list[str] = []
        for strange in (
            asyncio.sleep(0),  # noqa: TID251 -- the mistake under test
            asyncio.sleep(1),  # noqa: TID251 -- the mistake under test
            asyncio.get_running_loop().create_future(),
        ):
            try:
                await strange
            except TypeError as error:
                messages.append(str(error))
        messages.append(await context.call_activity("a"))
        return messages

    driver = Driver(orchestrator)
    driver.completes(0, "went on")

    assert len(driver.result) == 4
    assert all("awaits only tasks" in message for message in driver.result[:3])


@pytest.mark.parametrize("caught", [Exception, BaseException])
def test_a_loop_that_swallows_the_error_of_a_strange_await_ends(
    shape: Shape, caught: type[BaseException]
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        while True:
            try:
                yield 3
            except GeneratorExit:
                raise
            except caught:
                pass

    driver = Driver(orchestrator)

    assert driver.status == "Failed"
    driver.run.close()


def test_too_many_steps_fail_the_instance(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.task_all([context.call_activity("a") for _ in range(6)])

    driver = Driver(shape(orchestrator), actions_max=5)

    assert driver.status == "Failed"
    assert "maxOrchestrationActions" in (driver.end.result or "")
    assert driver.end.id == 5


def test_too_many_steps_end_a_loop_that_tries_again_whatever_fails(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        while True:
            with suppress(Exception):
                yield context.call_activity("a")

    driver = Driver(shape(orchestrator), actions_max=5)
    for step in range(5):
        driver.fails(step)

    assert driver.status == "Failed"


def test_a_retry_beyond_the_steps_fails_the_instance(shape: Shape) -> None:
    from func_bindings import RetryOptions  # noqa: PLC0415 -- only here

    def orchestrator(context: OrchestrationContext) -> Steps:
        try:
            yield context.call_activity("a", retry=RetryOptions(1, 100))
        except TaskFailedError:
            return "caught"

    driver = Driver(shape(orchestrator), actions_max=2)
    driver.fails(0)
    driver.fires(1)

    assert driver.status == "Failed"
    assert "maxOrchestrationActions" in (driver.end.result or "")


def test_an_exception_that_cannot_say_its_text_is_named_by_its_class(shape: Shape) -> None:
    class Mute(Exception):  # noqa: N818 -- a user's choice
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        raise Mute

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    assert driver.end.result == "Orchestrator function 'orchestrator' failed: Mute"


# From outside


def test_termination_ends_the_instance_where_it_waits(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator))
    driver.terminates("enough")
    driver.completes(0)

    assert driver.status == "Terminated"
    assert (driver.end.id, driver.end.result) == (1, "enough")
    assert len(driver.actions) == 2


def test_termination_without_reason(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator))
    driver.terminates(None)

    assert (driver.status, driver.end.result) == ("Terminated", None)


def test_what_comes_while_suspended_is_taken_in_on_resume(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        first = yield context.call_activity("a")
        second = yield context.wait_for_external_event("go")
        return [first, second, context.current_utc_datetime.isoformat()]

    driver = Driver(shape(orchestrator))
    driver.suspends()
    driver.completes(0, 1, after=SECOND)
    driver.raises("go", 2)
    assert len(driver.actions) == 1

    driver.now += SECOND
    driver.resumes()

    assert driver.result == [1, 2, (T0 + 2 * SECOND).isoformat()]


def test_suspending_and_resuming_twice_changes_nothing(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        return (yield context.call_activity("a"))

    driver = Driver(shape(orchestrator))
    driver.resumes()
    driver.suspends()
    driver.suspends()
    driver.completes(0, 1)
    driver.resumes()
    driver.resumes()

    assert driver.result == 1


def test_a_suspended_instance_can_be_terminated(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        yield context.call_activity("b")

    driver = Driver(shape(orchestrator))
    driver.suspends()
    driver.completes(0)
    driver.terminates()

    assert driver.status == "Terminated"
    assert len(driver.actions) == 2


def test_steps_recorded_behind_a_suspension_in_one_episode_are_confirmed(shape: Shape) -> None:
    """A host that feeds all messages of an episode before it asks for the steps records it so."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        yield context.create_timer(SECOND)

    driver = Driver(shape(orchestrator))
    actions = driver.feed(
        TaskCompleted(timestamp=T0, task_scheduled_id=0, result="1"),
        ExecutionSuspended(timestamp=T0),
    )
    assert actions == [CreateTimer(1, T0 + SECOND)]
    driver.fires(1)

    run = driver.replayed()
    for event in (OrchestratorStarted(timestamp=driver.now), ExecutionResumed(timestamp=T0)):
        run.feed(event)

    assert [type(action).__name__ for action in run.take_actions()] == ["CompleteOrchestration"]


def test_a_wake_up_without_meaning_changes_nothing(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator))

    assert driver.feed(GenericEvent(timestamp=T0, data="rewound")) == []
    assert driver.run.open_activities() == [ScheduleTask(0, "a", "null")]


def test_a_second_start_changes_nothing(shape: Shape) -> None:
    begun: list[str] = []

    def orchestrator(context: OrchestrationContext) -> Steps:
        begun.append(context.instance_id)
        return (yield context.call_activity("a"))

    driver = Driver(shape(orchestrator))
    again = driver.history[1]
    assert isinstance(again, ExecutionStarted)
    driver.feed(again)
    driver.completes(0, 5)

    assert begun == ["instance"]
    assert driver.result == 5
    assert OrchestrationState(driver.history).started is again


def test_termination_behind_the_end_changes_nothing(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator))
    driver.completes(0)

    assert driver.feed(ExecutionTerminated(timestamp=T0)) == []
    assert driver.status == "Completed"
