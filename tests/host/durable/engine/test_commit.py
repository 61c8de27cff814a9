"""What an instance has done, turned into one commit and its messages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_bindings.errors import FunctionNotFoundError
from func_host.durable.actions import (
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    ScheduleTask,
)
from func_host.durable.backend import Fence, MessageId, OutgoingMessage
from func_host.durable.engine import commit as planning
from func_host.durable.engine import identity
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.history import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    Failure,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    ParentInstance,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from tests.host.durable.engine.driving import SECOND, T0, Driver

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext
    from func_host.durable.backend import Commit

ME = OrchestrationInstance("me", "run")
PARENT = ParentInstance(
    name="p",
    orchestration_instance=OrchestrationInstance("parent", "its run"),
    task_schedule_id=3,
)
FAILURE = Failure(error_type="E", error_message="bad", stack_trace="where it was")


async def two_activities(context: OrchestrationContext) -> None:
    await context.task_all([context.call_activity("a"), context.call_activity("b")])


def plan(
    draft: planning.Draft, state: OrchestrationState | None = None, parked: str | None = None
) -> Commit:
    return planning.plan_commit(
        "me",
        Fence("run", 0),
        draft,
        state or OrchestrationState(Driver(two_activities).history),
        now=T0 + SECOND,
        custom_status='"shown"',
        parked=parked,
    )


@pytest.mark.parametrize(
    ("action", "event"),
    [
        (
            ScheduleTask(0, "a", "1"),
            TaskScheduled(timestamp=T0, event_id=0, name="a"),
        ),
        (
            CreateTimer(1, T0 + SECOND),
            TimerCreated(timestamp=T0, event_id=1, fire_at=T0 + SECOND),
        ),
        (
            CreateSubOrchestration(2, "c", "id", "1", None),
            SubOrchestrationInstanceCreated(timestamp=T0, event_id=2, name="c", instance_id="id"),
        ),
        (
            CompleteOrchestration(3, Status.Failed, "no", FAILURE),
            ExecutionCompleted(
                timestamp=T0,
                event_id=3,
                orchestration_status=Status.Failed,
                result="no",
                failure_details=FAILURE,
            ),
        ),
    ],
)
def test_each_step_is_recorded_under_its_number_without_input(action: Any, event: Any) -> None:
    assert planning.record_of(action, T0, store_inputs=False) == event


@pytest.mark.parametrize(
    "action", [ScheduleTask(0, "a", "1"), CreateSubOrchestration(0, "c", "id", "1", "2.0")]
)
def test_inputs_are_recorded_where_the_setting_says_so(action: Any) -> None:
    event: Any = planning.record_of(action, T0, store_inputs=True)

    assert event.input == "1"
    assert event.version == getattr(action, "version", "")


def test_a_timer_wakes_its_own_execution_when_it_is_due() -> None:
    due = T0 + SECOND

    assert planning.timer_message(CreateTimer(4, due), ME) == OutgoingMessage(
        instance_id="me",
        execution_id="run",
        event=TimerFired(timestamp=due, timer_id=4, fire_at=due),
        visible_at=due,
    )


@pytest.mark.parametrize(("version", "expected"), [(None, "default"), ("", ""), ("2", "2")])
def test_a_child_knows_its_parent_and_inherits_its_tags(version: str | None, expected: str) -> None:
    parent = ExecutionStarted(
        timestamp=T0, orchestration_instance=ME, name="shop", version="7", tags={"a": "b"}
    )
    message = planning.child_message(
        CreateSubOrchestration(5, "c", "child", "1", version),
        parent,
        now=T0,
        default_version="default",
    )

    execution_id = identity.child_execution_id("run", 5)
    assert message == OutgoingMessage(
        instance_id="child",
        execution_id=execution_id,
        event=ExecutionStarted(
            timestamp=T0,
            orchestration_instance=OrchestrationInstance("child", execution_id),
            name="c",
            version=expected,
            input="1",
            parent_instance=ParentInstance(
                name="shop", orchestration_instance=ME, task_schedule_id=5, version="7"
            ),
            tags={"a": "b"},
        ),
    )


def ended(status: Status, result: str | None, failure: Failure | None = None) -> ExecutionCompleted:
    return ExecutionCompleted(
        timestamp=T0, orchestration_status=status, result=result, failure_details=failure
    )


@pytest.mark.parametrize(
    ("completed", "expected"),
    [
        (
            ended(Status.Completed, "1"),
            SubOrchestrationInstanceCompleted(timestamp=T0, task_scheduled_id=3, result="1"),
        ),
        (
            ended(Status.Failed, "no", FAILURE),
            SubOrchestrationInstanceFailed(
                timestamp=T0,
                task_scheduled_id=3,
                reason="no",
                details="where it was",
                failure_details=FAILURE,
            ),
        ),
        (
            ended(Status.Terminated, "enough"),
            SubOrchestrationInstanceFailed(timestamp=T0, task_scheduled_id=3, reason="enough"),
        ),
        (
            ended(Status.Terminated, None),
            SubOrchestrationInstanceFailed(timestamp=T0, task_scheduled_id=3, reason=""),
        ),
    ],
)
def test_the_parent_is_told_how_its_child_ended(
    completed: ExecutionCompleted, expected: object
) -> None:
    message = planning.parent_message(completed, PARENT)

    assert (message.instance_id, message.execution_id) == ("parent", "its run")
    assert message.event == expected


def start_by(parent: ParentInstance | None, execution_id: str) -> ExecutionStarted:
    return ExecutionStarted(
        timestamp=T0,
        orchestration_instance=OrchestrationInstance("child", execution_id),
        name="c",
        parent_instance=parent,
    )


@pytest.mark.parametrize("others", [{}, {"team": "blue"}])
def test_a_child_of_one_that_nobody_waits_for_is_waited_for(others: dict[str, str]) -> None:
    """Fire-and-forget is between an entity and what it starts."""
    started = ExecutionStarted(
        timestamp=T0,
        orchestration_instance=ME,
        name="detached",
        tags={planning.FIRE_AND_FORGET: "", **others},
    )
    action = CreateSubOrchestration(4, "child", "kid", None, None)
    child = planning.child_message(action, started, now=T0, default_version="").event

    assert isinstance(child, ExecutionStarted)
    assert planning.is_detached(started)
    assert not planning.is_detached(child)
    assert child.tags == (others or None)


def test_a_start_is_the_same_by_its_execution_or_by_the_step_of_its_parent() -> None:
    start = start_by(PARENT, "first")
    another_step = replace(PARENT, task_schedule_id=4)
    another_run = replace(PARENT, orchestration_instance=OrchestrationInstance("parent", "next"))

    assert planning.is_same_start(start, start_by(PARENT, "second"))
    assert planning.is_same_start(start, start_by(replace(PARENT, version="2"), "second"))
    assert planning.is_same_start(start_by(None, "first"), start_by(None, "first"))
    assert not planning.is_same_start(start, start_by(another_step, "second"))
    assert not planning.is_same_start(start, start_by(another_run, "second"))
    assert not planning.is_same_start(start, start_by(None, "second"))
    assert not planning.is_same_start(start_by(None, "first"), start_by(None, "second"))


def test_the_parent_is_told_why_its_child_was_not_started() -> None:
    message = planning.child_refused(PARENT, FunctionNotFoundError, "nobody", T0)

    assert message.event == SubOrchestrationInstanceFailed(
        timestamp=T0,
        task_scheduled_id=3,
        reason="nobody",
        failure_details=Failure(
            error_type="func_bindings.errors.FunctionNotFoundError", error_message="nobody"
        ),
    )


def test_a_commit_holds_the_draft_and_the_status_row() -> None:
    event = EventRaised(timestamp=T0, name="x")
    outgoing = OutgoingMessage(instance_id="other", event=event)
    draft = planning.Draft(
        events=[OrchestratorCompleted(timestamp=T0)],
        outbox=[outgoing],
        cancelled_timers=[7],
        consumed=[MessageId(9)],
    )

    commit = plan(draft)

    assert commit.events == (OrchestratorCompleted(timestamp=T0),)
    assert (commit.outbox, commit.cancelled_timers, commit.consumed) == ((outgoing,), (7,), (9,))
    assert commit.status.runtime_status is Status.Running
    assert commit.status.last_updated_time == T0 + SECOND
    assert commit.status.custom_status == '"shown"'
    assert commit.open_activities == 2


def test_only_an_own_timer_that_was_given_up_is_not_sent() -> None:
    due = T0 + timedelta(hours=1)
    kept = planning.timer_message(CreateTimer(1, due), ME)
    given_up = planning.timer_message(CreateTimer(2, due), ME)
    of_another = planning.timer_message(CreateTimer(2, due), OrchestrationInstance("other", "x"))
    draft = planning.Draft(outbox=[kept, given_up, of_another], cancelled_timers=[2])

    assert plan(draft).outbox == (kept, of_another)


def test_what_must_be_looked_at_again_after_a_crash_counts_as_open() -> None:
    idle = OrchestrationState()
    closed = planning.Draft(events=[OrchestratorCompleted(timestamp=T0)])
    unanswered = planning.Draft(events=[OrchestratorStarted(timestamp=T0)])

    assert plan(closed, idle).open_activities == 0
    assert plan(closed, idle, parked="why").open_activities == 1
    assert plan(unanswered, idle).open_activities == 1


def test_an_empty_draft_says_so() -> None:
    assert planning.Draft().is_empty
    assert not planning.Draft(consumed=[MessageId(1)]).is_empty
    assert not planning.Draft(status_changed=True).is_empty
