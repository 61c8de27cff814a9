"""Recorded messages: told apart by what they mean, and what they leave locked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import EntityId, NonDeterminismError
from func_host.durable.engine.entities.recorded import AskedLocks
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.history import EventSent
from tests.golden.histories.rows import histories, read_scenario
from tests.host.durable.engine.driving import T0, Driver, sent

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext
    from func_host.durable.history import HistoryEvent

A = EntityId("Counter", "a")
B = EntityId("counter", "b")

CALL = "the call of 'add' of entity '@counter@a' (step 0)"


async def calls(context: OrchestrationContext) -> None:
    await context.call_entity(A, "add", 1)


async def calls_with_other_input(context: OrchestrationContext) -> None:
    await context.call_entity(A, "add", {"other": 2})


async def calls_another(context: OrchestrationContext) -> None:
    await context.call_entity(B, "add", 1)


async def calls_another_operation(context: OrchestrationContext) -> None:
    await context.call_entity(A, "Add", 1)


async def signals(context: OrchestrationContext) -> None:
    context.signal_entity(A, "add", 1)
    await context.wait_for_external_event("go")


async def locks(context: OrchestrationContext) -> None:
    await context.lock(A)


async def locks_more(context: OrchestrationContext) -> None:
    await context.lock(A, B)


async def calls_activity(context: OrchestrationContext) -> None:
    await context.call_activity("a")


def test_an_input_may_differ_from_what_was_recorded() -> None:
    """As those of activities may: the recorded one was sent."""
    driver = Driver(calls)

    run = driver.replayed(function=calls_with_other_input)

    assert run.take_actions() == []
    driver.answers(0, 1)
    assert driver.replayed(function=calls_with_other_input).take_actions() == []


@pytest.mark.parametrize(
    ("recorded", "code", "expected", "actual"),
    [
        (calls, calls_another, CALL, "the call of 'add' of entity '@counter@b' (step 0)"),
        (calls, calls_another_operation, CALL, "the call of 'Add' of entity '@counter@a'"),
        (calls, signals, CALL, "the signal of 'add' of entity '@counter@a' (step 0)"),
        (calls, locks, CALL, "a lock of '@counter@a' (step 0)"),
        (calls, calls_activity, CALL, "activity 'a' (step 0)"),
        (calls_activity, calls, "activity 'a' (step 0)", CALL),
        (locks, locks_more, "a lock of '@counter@a'", "a lock of '@counter@a', '@counter@b'"),
        (locks, calls, "a lock of '@counter@a' (step 0)", CALL),
    ],
)
def test_another_message_than_the_recorded_one_is_told(
    recorded: Any, code: Any, expected: str, actual: str
) -> None:
    driver = Driver(recorded)
    told = f"history has {re.escape(expected)}.*asks for {re.escape(actual)}.* at .*test_recorded"

    with pytest.raises(NonDeterminismError, match=told):
        driver.replayed(function=code)


def test_a_message_that_a_closed_episode_lacks_is_told() -> None:
    driver = Driver(calls)
    history = [event for event in driver.history if not isinstance(event, EventSent)]

    with pytest.raises(NonDeterminismError, match="history has no such step"):
        driver.replayed(history)


def test_a_block_that_is_left_at_another_step_is_told() -> None:
    async def releases(context: OrchestrationContext) -> None:
        async with await context.lock(A):
            pass
        await context.wait_for_external_event("go")

    async def keeps(context: OrchestrationContext) -> None:
        await context.lock(A)
        await context.wait_for_external_event("go")

    driver = Driver(releases)
    driver.grants(0)

    with pytest.raises(
        NonDeterminismError, match=r"history has the release of entity '@counter@a'"
    ):
        driver.replayed(function=keeps)


def test_an_unreadable_message_of_another_is_told_by_name_and_target() -> None:
    driver = Driver(calls)
    for name, text in [("op", "{"), ("op", None), ("news", "1")]:
        history: list[HistoryEvent] = list(driver.history)
        history[2] = EventSent(
            timestamp=T0, event_id=0, instance_id="@counter@a", name=name, input=text
        )

        with pytest.raises(NonDeterminismError, match=f"message '{name}' to '@counter@a'"):
            driver.replayed(history)


def releases_of(history: list[HistoryEvent]) -> list[str]:
    state = OrchestrationState(history)
    return sent(state.asked_locks.releases("i", state.last_event_id + 1, T0))


def test_what_is_asked_for_and_not_given_back_is_left_locked() -> None:
    async def orchestrator(context: OrchestrationContext) -> None:
        context.signal_entity(A, "say", '"lockset"')
        async with await context.lock(A, B):
            await context.call_entity(A, "add", 1)
        await context.wait_for_external_event("go")

    driver = Driver(orchestrator)
    assert releases_of(driver.history) == ["2 release @counter@a", "3 release @counter@b"]
    driver.grants(1)
    assert releases_of(driver.history) == ["3 release @counter@a", "4 release @counter@b"]
    driver.answers(2)
    assert releases_of(driver.history[:-2]) == ["4 release @counter@b"]
    assert releases_of(driver.history) == []


def test_what_another_host_has_locked_is_given_back_by_its_ids() -> None:
    history = histories(read_scenario("entity-lock")["final_history"])["golden-entity-lock"]
    locked = next(event for event in history if isinstance(event, EventSent))
    asked = AskedLocks()
    asked.apply(locked)

    releases = asked.releases("golden-entity-lock", 1, T0)

    assert sent(releases) == [
        "1 release @counter@golden-entity-lock-a",
        "2 release @counter@golden-entity-lock-b",
    ]
    theirs = [e for e in history if isinstance(e, EventSent) and e.name == "release"]
    assert [each.input for each in releases] == [each.input for each in theirs]
    assert releases_of(history) == []


def test_a_release_that_cannot_be_read_or_fits_nothing_changes_nothing() -> None:
    asked = AskedLocks()
    for text in ("{", '{"parent":"p","id":"x"}'):
        asked.apply(
            EventSent(timestamp=T0, event_id=0, instance_id="@e@k", name="release", input=text)
        )

    assert asked.releases("i", 0, T0) == []
