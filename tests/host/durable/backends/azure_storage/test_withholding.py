"""Which events may be stored now, and which must wait for their results."""

from __future__ import annotations

from datetime import UTC, datetime

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backends.azure_storage.withholding import (
    after_last_message,
    before_sending,
    in_pairs,
    unanswered,
    writable,
)
from func_host.durable.history import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
    TimerCreated,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEGIN = OrchestratorStarted(timestamp=NOW)
FINISH = OrchestratorCompleted(timestamp=NOW)
START = ExecutionStarted(
    timestamp=NOW, orchestration_instance=OrchestrationInstance("one", "first"), name="f"
)
EVENT = EventRaised(timestamp=NOW, name="go")
TIMER = TimerCreated(timestamp=NOW, event_id=9, fire_at=NOW)
END = ExecutionCompleted(
    timestamp=NOW, event_id=8, orchestration_status=OrchestrationRuntimeStatus.Completed
)


def asked(number: int) -> HistoryEvent:
    return TaskScheduled(timestamp=NOW, event_id=number, name="work")


def done(number: int) -> HistoryEvent:
    return TaskCompleted(timestamp=NOW, task_scheduled_id=number)


def test_an_open_activity_waits_and_leaves_its_episode_open() -> None:
    parts = writable([BEGIN, START, asked(0), FINISH], is_ended=False)

    assert parts.events == (BEGIN, START)
    assert parts.withheld == (asked(0), FINISH)
    assert parts.is_only_a_start


def test_a_chain_is_stored_in_its_own_order() -> None:
    first = writable(
        [BEGIN, START, asked(0), FINISH, BEGIN, done(0), asked(1), FINISH], is_ended=False
    )
    second = writable([*first.withheld, BEGIN, done(1), END, FINISH], is_ended=True)

    stored = [*first.events, *second.events]
    assert stored == [
        *(BEGIN, START, asked(0), FINISH),
        *(BEGIN, done(0), asked(1), FINISH),
        *(BEGIN, done(1), END, FINISH),
    ]
    assert not first.is_only_a_start


def test_of_a_fan_out_only_what_is_done_is_stored() -> None:
    parts = writable(
        [BEGIN, START, asked(0), asked(1), asked(2), FINISH, BEGIN, done(1), FINISH],
        is_ended=False,
    )

    assert parts.events == (BEGIN, START, asked(1), FINISH, BEGIN, done(1))
    assert parts.withheld == (asked(0), asked(2), FINISH)


def test_other_steps_do_not_wait() -> None:
    parts = writable([BEGIN, EVENT, asked(0), TIMER, FINISH], is_ended=False)

    assert parts.events == (BEGIN, EVENT, TIMER)
    assert not parts.is_only_a_start


def test_nothing_waits_for_an_instance_that_has_ended() -> None:
    events = [BEGIN, asked(0), FINISH, BEGIN, END, FINISH]
    assert writable(events, is_ended=True).events == tuple(events)


def test_a_pair_is_never_divided() -> None:
    events = [BEGIN, START, asked(0), asked(1), FINISH, BEGIN, done(1), done(0), END, FINISH]
    groups = in_pairs(events)

    assert [asked(1), done(1)] in groups
    assert [asked(0), done(0)] in groups
    assert sorted(str(event) for group in groups for event in group) == sorted(map(str, events))
    assert groups[-1] == [FINISH]


def test_what_follows_from_a_message_begins_behind_it() -> None:
    assert after_last_message([BEGIN, START, TIMER, FINISH]) == 0
    assert after_last_message([FINISH, BEGIN, done(0), TIMER, FINISH]) == 3
    assert after_last_message([BEGIN, START, EVENT, FINISH]) == 3
    assert after_last_message([BEGIN, FINISH]) == 0


def test_an_activity_that_a_message_stands_for_need_not_wait() -> None:
    parts = writable([BEGIN, asked(0), asked(1), FINISH], is_ended=False, carried={1})
    assert parts.events == (BEGIN, asked(1))
    assert parts.withheld == (asked(0), FINISH)

    parts = writable([BEGIN, asked(1), FINISH], is_ended=False, carried={1})
    assert parts.withheld == ()


def test_what_has_no_result_is_told() -> None:
    assert unanswered([BEGIN, asked(0), asked(1), FINISH, BEGIN, done(0)]) == {1}
    assert unanswered([asked(0), done(0), asked(0)]) == {0}
    assert unanswered([]) == set()


def test_before_messages_are_sent_no_step_is_stored_that_one_stands_for() -> None:
    events = [BEGIN, done(0), TIMER, asked(1), FINISH, BEGIN, EVENT, TIMER, FINISH]
    before, after = before_sending(events, cut=7)

    assert before == [BEGIN, done(0), asked(1), BEGIN, EVENT]
    assert after == [TIMER, FINISH, TIMER, FINISH]


def test_an_episode_without_such_a_step_is_stored_wholly() -> None:
    events = [BEGIN, done(0), FINISH, BEGIN, EVENT, TIMER, FINISH]
    assert before_sending(events, cut=5) == (events[:5], events[5:])
