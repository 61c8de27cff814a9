"""What is open in an execution, as a fold over its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.engine.state import OrchestrationState
from func_host.durable.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from tests.host.durable.engine.driving import SECOND, T0, Driver

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext
    from func_host.durable.history import MessageEvent


async def opens(context: OrchestrationContext) -> None:
    context.call_activity("a")
    context.call_sub_orchestrator("child")
    context.create_timer(SECOND)
    await context.wait_for_external_event("go")


def completed(step: int) -> TaskCompleted:
    return TaskCompleted(timestamp=T0, task_scheduled_id=step)


def failed(step: int) -> TaskFailed:
    return TaskFailed(timestamp=T0, task_scheduled_id=step, reason="no")


def child_completed(step: int) -> SubOrchestrationInstanceCompleted:
    return SubOrchestrationInstanceCompleted(timestamp=T0, task_scheduled_id=step)


def child_failed(step: int) -> SubOrchestrationInstanceFailed:
    return SubOrchestrationInstanceFailed(timestamp=T0, task_scheduled_id=step, reason="no")


def fired(step: int) -> TimerFired:
    return TimerFired(timestamp=T0, timer_id=step, fire_at=T0)


SUSPENDED = ExecutionSuspended(timestamp=T0, reason="hold")
RESUMED = ExecutionResumed(timestamp=T0, reason="go")


def state_of(driver: Driver, *events: MessageEvent) -> OrchestrationState:
    return OrchestrationState([*driver.history, *events])


def test_an_empty_history_is_pending() -> None:
    state = OrchestrationState()

    assert (state.status.value, state.output, state.length) == ("Pending", None, 0)


def test_what_was_asked_for_is_open_until_it_is_answered() -> None:
    driver = Driver(opens)
    state = state_of(driver)
    assert (list(state.open_tasks), list(state.open_children)) == ([0], [1])
    assert state.open_timers == {2: T0 + SECOND}
    assert (state.last_event_id, state.length) == (2, len(driver.history))

    state = state_of(driver, completed(0), child_failed(1), fired(2))

    assert (state.open_tasks, state.open_children, state.open_timers) == ({}, {}, {})


@pytest.mark.parametrize(
    ("event", "is_accepted"),
    [
        (completed(0), True),
        (failed(0), True),
        (child_completed(1), True),
        (child_failed(1), True),
        (fired(2), True),
        (completed(1), False),
        (failed(2), False),
        (child_completed(0), False),
        (child_failed(9), False),
        (fired(0), False),
        (EventRaised(timestamp=T0, name="x"), True),
        (SUSPENDED, True),
        (RESUMED, False),
        (ExecutionTerminated(timestamp=T0), True),
    ],
    ids=repr,
)
def test_only_answers_to_what_is_open_are_taken(event: Any, *, is_accepted: bool) -> None:
    assert state_of(Driver(opens)).accepts(event) is is_accepted


def test_an_answer_is_taken_once() -> None:
    assert not state_of(Driver(opens), completed(0)).accepts(failed(0))


def test_nothing_is_taken_behind_the_end() -> None:
    driver = Driver(opens)
    driver.terminates()
    state = state_of(driver)

    for event in (completed(0), fired(2), EventRaised(timestamp=T0, name="go"), SUSPENDED):
        assert not state.accepts(event)


def test_suspending_shows_the_reason_and_is_taken_once() -> None:
    driver = Driver(opens)
    state = state_of(driver, SUSPENDED)
    assert (state.status.value, state.output) == ("Suspended", "hold")
    assert not state.accepts(SUSPENDED)
    assert state.accepts(RESUMED)

    state.apply(RESUMED)

    assert (state.status.value, state.output) == ("Running", "go")


def test_the_end_shows_its_result() -> None:
    driver = Driver(opens)
    driver.terminates("enough")
    state = state_of(driver)

    assert (state.status.value, state.output) == ("Terminated", "enough")
