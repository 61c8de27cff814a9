"""One session by itself: what it takes, in which episodes, and what its commits say."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import Fence, Message, MessageId, StoredInstance
from func_host.durable.catalog import AppCatalog
from func_host.durable.executor import InProcessExecutor
from func_host.durable.history import (
    EventRaised,
    ExecutionStarted,
    ExecutionTerminated,
    OrchestrationInstance,
    OrchestratorStarted,
    ParentInstance,
    TaskCompleted,
    TimerFired,
)
from func_host.durable.worker.session import Session
from func_host.testing.clock import START
from tests.host.durable.worker.world import CountingIds, index_of, kinds

if TYPE_CHECKING:
    from collections.abc import Callable

    from func_bindings import OrchestrationContext
    from func_host.durable.backend import Commit
    from func_host.durable.history import MessageEvent
    from func_host.durable.worker.recording import Advance

SECOND = timedelta(seconds=1)
ME = OrchestrationInstance("i", "mine")
AGAIN = OrchestrationInstance("i", "again")
PARENT = ParentInstance(
    name="p", orchestration_instance=OrchestrationInstance("p", "e"), task_schedule_id=0
)
OPENING = ["<", "ExecutionStarted"]


async def waits(context: OrchestrationContext) -> Any:
    return await context.wait_for_external_event("go")


async def fan_out(context: OrchestrationContext) -> list[Any]:
    return await context.task_all([context.call_activity("a", n) for n in range(3)])


async def calls_child(context: OrchestrationContext) -> Any:
    return await context.call_sub_orchestrator(waits)


async def sleeps(context: OrchestrationContext) -> str:
    await context.create_timer(timedelta(hours=1))
    return context.current_utc_datetime.isoformat()


async def forgets(context: OrchestrationContext) -> str:
    context.call_activity("a")
    return "done"


async def starts_over(context: OrchestrationContext) -> None:
    if context.get_input() == 2:
        context.set_custom_status("second round")
        await context.wait_for_external_event("end")
    else:
        context.create_timer(timedelta(hours=1))
        await context.wait_for_external_event("go")
        context.continue_as_new(2)


def start_of(
    function: Callable[..., Any],
    instance: OrchestrationInstance = ME,
    parent: ParentInstance | None = None,
) -> ExecutionStarted:
    return ExecutionStarted(
        timestamp=START,
        orchestration_instance=instance,
        name=function.__name__,
        parent_instance=parent,
    )


def raised(name: str = "go", data: str | None = None) -> EventRaised:
    return EventRaised(timestamp=START, name=name, input=data)


def result(task_id: int) -> TaskCompleted:
    return TaskCompleted(timestamp=START, task_scheduled_id=task_id, result=str(task_id))


class Driven:
    """A session over an instance that has just been created, with commits that always succeed."""

    def __init__(self) -> None:
        functions = [waits, fan_out, calls_child, sleeps, forgets, starts_over]
        executor = InProcessExecutor(AppCatalog(index_of(functions)))
        self.session = Session("i", executor, CountingIds())
        self.now = START
        self.message_id = 0
        stored = StoredInstance(
            instance_id="i",
            fence=Fence("mine", 0),
            runtime_status=OrchestrationRuntimeStatus.Pending,
            custom_status=None,
            history=(),
        )
        self.session.load(stored, lambda _, __: False)

    def message(self, event: MessageEvent, execution_id: str | None = None) -> Message:
        self.message_id += 1
        return Message(MessageId(self.message_id), event, execution_id)

    def feed(self, *events: MessageEvent, execution_id: str | None = None) -> Advance:
        self.session.receive([self.message(event, execution_id) for event in events])
        return self.session.advance(self.now)

    def answer(self, *task_ids: int) -> Advance:
        for task_id in task_ids:
            self.session.receive_result(ME, result(task_id))
        return self.session.advance(self.now)

    def commit(self) -> Commit:
        commit = self.session.take_commit(self.now)
        self.session.committed()
        return commit

    def opened(self, function: Callable[..., Any]) -> Driven:
        self.feed(start_of(function))
        self.commit()
        return self


def test_a_message_for_another_execution_is_consumed_and_not_fed() -> None:
    driven = Driven().opened(sleeps)
    fired = TimerFired(timestamp=START, timer_id=0, fire_at=START)
    driven.feed(fired, execution_id="another")

    commit = driven.commit()
    assert commit.events == ()
    assert commit.consumed == (MessageId(2),)


def test_a_timer_that_comes_early_by_a_clock_that_went_back_is_stamped_with_its_time() -> None:
    driven = Driven().opened(sleeps)
    due = START + timedelta(hours=1)
    driven.now = due - 5 * SECOND
    driven.feed(TimerFired(timestamp=due, timer_id=0, fire_at=due), execution_id="mine")

    commit = driven.commit()
    assert times(commit) == [due]
    assert commit.status.output == f'"{due.isoformat()}"'


def test_time_in_history_never_goes_back() -> None:
    driven = Driven().opened(waits)
    driven.now = START + SECOND
    driven.feed(raised("x"))
    driven.commit()
    driven.now = START - SECOND
    driven.feed(raised("y"))

    assert times(driven.commit()) == [START + SECOND]


def test_results_share_an_episode_and_a_later_message_gets_its_own_with_its_time() -> None:
    driven = Driven().opened(fan_out)
    driven.answer(0)
    driven.now += SECOND
    driven.answer(1)
    driven.feed(raised("x"))

    commit = driven.commit()
    assert kinds(commit.events) == [
        "<",
        "TaskCompleted 0",
        "TaskCompleted 1",
        ">",
        "<",
        "EventRaised",
        ">",
    ]
    assert times(commit) == [START, START + SECOND]


def test_messages_that_come_together_share_an_episode() -> None:
    driven = Driven().opened(waits)
    driven.feed(raised("x"), raised("y"))

    assert kinds(driven.commit().events) == ["<", "EventRaised", "EventRaised", ">"]


def test_the_result_of_another_execution_is_dropped() -> None:
    driven = Driven().opened(fan_out)
    driven.session.receive_result(OrchestrationInstance("i", "another"), result(0))
    driven.session.advance(driven.now)

    assert not driven.session.has_draft


def test_a_result_is_fed_once() -> None:
    driven = Driven().opened(fan_out)
    driven.answer(0, 0)
    driven.answer(0)

    assert kinds(driven.commit().events).count("TaskCompleted 0") == 1


def test_what_is_handed_out_again_before_the_commit_is_fed_once() -> None:
    driven = Driven()
    early, start = driven.message(raised("x")), driven.message(start_of(waits))
    driven.session.receive([early, start])
    driven.session.advance(driven.now)
    driven.session.receive([early, start])
    driven.session.advance(driven.now)

    commit = driven.commit()
    assert kinds(commit.events) == [*OPENING, ">", "<", "EventRaised", ">"]
    assert sorted(commit.consumed) == [early.id, start.id]


def test_a_new_start_waits_until_the_end_before_it_is_committed() -> None:
    driven = Driven().opened(waits)
    next_run = OrchestrationInstance("i", "next")
    driven.feed(raised("go", "5"), start_of(waits, next_run, PARENT))
    ended = driven.commit()
    assert ended.status.runtime_status is OrchestrationRuntimeStatus.Completed
    assert ended.started is None

    driven.session.advance(driven.now)
    commit = driven.commit()

    assert commit.started is not None
    assert commit.started.orchestration_instance == next_run
    assert commit.fence == Fence("mine", len(ended.events) + 3)


@pytest.mark.parametrize("again", [ME, AGAIN], ids=["same execution", "another execution"])
def test_a_second_start_by_the_same_step_of_the_same_parent_is_ignored(
    again: OrchestrationInstance,
) -> None:
    driven = Driven()
    driven.feed(start_of(waits, ME, PARENT))
    driven.commit()
    driven.feed(start_of(waits, again, PARENT))

    commit = driven.commit()
    assert commit.outbox == commit.events == ()
    assert commit.consumed == (MessageId(2),)


@pytest.mark.parametrize("again", [ME, AGAIN], ids=["same execution", "another execution"])
def test_a_second_start_of_a_child_that_has_ended_tells_the_parent_again_and_runs_nothing(
    again: OrchestrationInstance,
) -> None:
    driven = Driven()
    driven.feed(start_of(waits, ME, PARENT))
    driven.commit()
    driven.feed(raised("go", "5"))
    ended = driven.commit()
    assert driven.feed(start_of(waits, again, PARENT)).is_urgent

    commit = driven.commit()
    assert (commit.started, commit.events) == (None, ())
    assert commit.consumed == (MessageId(3),)
    assert commit.outbox == ended.outbox
    assert commit.outbox[0].execution_id == "e"
    assert commit.status.output == "5"


def test_a_second_start_of_a_child_that_has_started_over_is_ignored() -> None:
    driven = Driven()
    driven.feed(start_of(starts_over, ME, PARENT))
    driven.feed(raised())
    driven.commit()
    driven.commit()
    driven.feed(start_of(starts_over, ME, PARENT))

    commit = driven.commit()
    assert commit.outbox == commit.events == ()
    assert commit.started is None


def test_a_start_by_the_next_step_of_the_same_parent_runs_a_child_again() -> None:
    driven = Driven()
    driven.feed(start_of(waits, ME, PARENT))
    driven.commit()
    driven.feed(raised("go", "5"))
    driven.commit()
    driven.feed(start_of(waits, AGAIN, replace(PARENT, task_schedule_id=1)))

    commit = driven.commit()
    assert commit.started is not None
    assert commit.started.orchestration_instance == AGAIN


def test_a_child_that_is_asked_for_again_is_started_as_the_same_execution() -> None:
    """Where a host dies before it has recorded the start, maybe after it has sent it."""
    driven = Driven()
    driven.feed(start_of(calls_child))
    first = driven.session.take_commit(driven.now)
    driven.session.discard()

    driven = Driven()
    driven.feed(start_of(calls_child))
    assert driven.session.take_commit(driven.now).outbox == first.outbox


def test_an_instance_that_has_ended_has_no_open_activities() -> None:
    driven = Driven()
    driven.feed(start_of(forgets))

    assert driven.commit().open_activities == 0


def test_continue_as_new_takes_back_timers_that_are_stored() -> None:
    driven = Driven().opened(starts_over)
    driven.feed(raised())

    commit = driven.session.take_commit(driven.now)

    assert commit.cancelled_timers == (0,)
    assert commit.open_activities == 1  # the new execution has yet to ask for its first steps


def test_the_first_episode_of_a_continued_execution_shows_its_custom_status() -> None:
    driven = Driven().opened(starts_over)
    driven.feed(raised())
    driven.commit()

    assert driven.session.has_draft
    assert driven.commit().status.custom_status == '"second round"'


def test_a_termination_overtakes_what_a_continued_execution_would_do() -> None:
    driven = Driven().opened(starts_over)
    driven.feed(raised(), raised("end"), ExecutionTerminated(timestamp=START, input="enough"))
    driven.commit()
    driven.session.advance(driven.now)

    commit = driven.commit()
    assert commit.status.runtime_status is OrchestrationRuntimeStatus.Terminated
    assert commit.status.output == "enough"


def test_a_session_that_was_dropped_is_loaded_again_to_the_same_state() -> None:
    driven = Driven()
    driven.feed(start_of(fan_out))
    commit = driven.session.take_commit(driven.now)
    driven.session.committed()
    driven.session.evict()
    stored = StoredInstance(
        instance_id="i",
        fence=Fence("mine", len(commit.events)),
        runtime_status=OrchestrationRuntimeStatus.Running,
        custom_status=None,
        history=commit.events,
    )
    running = {1}
    advance = driven.session.load(stored, lambda _, task: task in running)
    assert [call.action.id for call in advance.ready] == [0, 2]

    driven.session.evict()
    driven.session.receive_result(ME, result(0))
    advance = driven.session.load(stored, lambda _, task: task in running)

    assert [call.action.id for call in advance.ready] == [2]
    assert not advance.is_urgent


def times(commit: Commit) -> list[datetime]:
    return [each.timestamp for each in commit.events if isinstance(each, OrchestratorStarted)]
