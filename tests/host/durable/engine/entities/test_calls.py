"""Calls of entities and signals to them: one step each, answered by the id of their request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import EntityId, SerializationError, TaskFailedError
from func_host.durable.actions import ContinueAsNew, SendEvent
from func_host.durable.engine.commit import sent_message
from func_host.durable.engine.entities import messages
from func_host.durable.history import EventRaised, EventSent, OrchestratorStarted
from tests.host.durable.engine.driving import (
    SECOND,
    SHAPES,
    T0,
    Catalog,
    Driver,
    activities,
    sent,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]

A = EntityId("Counter", "a")
B = EntityId("counter", "b")


@pytest.fixture(params=SHAPES, ids=["coroutine", "generator"])
def shape(request: pytest.FixtureRequest) -> Shape:
    """Turns an orchestrator written as a generator into the shape under test."""
    turned: Shape = request.param
    return turned


@dataclass
class Balance:
    amount: int


def test_a_call_gives_the_result_that_the_entity_answers_with(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        first = yield context.call_entity(A, "add", 5)
        second = yield context.call_entity(A, "get")
        return [first, second]

    driver = Driver(shape(orchestrator))
    assert sent(driver.actions) == ["0 call @counter@a add 5"]
    assert sent(driver.answers(0, 5)) == ["1 call @counter@a get"]
    driver.answers(1, {"n": 5})

    assert driver.result == [5, {"n": 5}]
    assert driver.replayed().take_actions() == []


def test_a_signal_takes_a_step_and_has_ended_at_once(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        context.signal_entity(A, "add", 1)
        nothing = yield context.signal_entity(A, "add", 2)
        context.call_activity("a")
        return nothing

    driver = Driver(shape(orchestrator))

    assert driver.result is None
    assert sent(driver.actions) == ["0 signal @counter@a add 1", "1 signal @counter@a add 2"]
    assert activities(driver.actions) == [(2, "a", None)]
    assert driver.end.id == 3


def test_a_delayed_signal_is_seen_when_it_is_due_and_has_no_place_in_the_order(
    shape: Shape,
) -> None:
    noon = datetime(2026, 1, 2, 12)  # noqa: DTZ001 -- without zone it is UTC

    def orchestrator(context: OrchestrationContext) -> Steps:
        context.signal_entity(A, "later", at=timedelta(minutes=1))
        context.signal_entity(A, "noon", at=noon)
        context.signal_entity(A, "now")
        yield context.wait_for_external_event("go")

    driver = Driver(shape(orchestrator))

    later, at_noon, now = (action for action in driver.actions if isinstance(action, SendEvent))
    assert later.name == "op@2026-01-01T00:01:00.0000000Z"
    assert sent_message(later, T0).visible_at == T0 + 60 * SECOND
    assert at_noon.visible_at == noon.replace(tzinfo=UTC)
    assert messages.read_request(later).timestamp == "0001-01-01T00:00:00"
    assert now.visible_at is None
    assert messages.read_request(now).predecessor == "0001-01-01T00:00:00"


def test_a_message_goes_to_whatever_execution_of_the_entity_there_is() -> None:
    async def orchestrator(context: OrchestrationContext) -> None:
        context.signal_entity(A, "add", 1)

    driver = Driver(orchestrator)
    action = driver.actions[0]
    assert isinstance(action, SendEvent)
    message = sent_message(action, T0)

    assert message.instance_id == "@counter@a"
    assert message.execution_id is None
    assert message.event == EventRaised(timestamp=T0, name="op", input=action.input)
    assert driver.history[2] == EventSent(
        timestamp=T0, event_id=0, instance_id="@counter@a", name="op", input=action.input
    )


def test_stamps_grow_with_each_request_to_one_entity_and_name_the_one_before(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        context.signal_entity(A, "add", 1)
        context.signal_entity(B, "add", 1)
        yield context.call_entity(A, "get")
        yield context.call_entity(A, "get")

    driver = Driver(shape(orchestrator))
    driver.now += SECOND
    driver.answers(2)

    first = messages.stamp_of(T0)
    stamps = [first, first, first + 1, messages.stamp_of(T0 + SECOND)]
    before = [0, 0, first, first + 1]
    for step, (stamp, predecessor) in enumerate(zip(stamps, before, strict=True)):
        request = driver.request(step)
        assert messages.read_stamp(request.timestamp) == stamp
        assert messages.read_stamp(request.predecessor) == predecessor
        assert request.parent == "instance"
        assert request.parent_execution == "execution"


def test_a_message_that_is_asked_for_again_is_the_same_to_the_letter(shape: Shape) -> None:
    """As where it was sent, and the history that says so was not written."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_activity("a")
        yield context.call_entity(A, "add", 1)

    driver = Driver(shape(orchestrator))
    before = len(driver.history)
    actions = driver.completes(0, after=SECOND)

    run = driver.replayed(driver.history[: before + 2])

    assert run.take_actions() == actions
    assert sent(actions) == ["1 call @counter@a add 1"]


def test_input_is_json_and_none_is_no_input(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        context.signal_entity(A, "set", Balance(5))
        context.signal_entity(A, "set", "text")
        context.signal_entity(A, "set", None)
        context.signal_entity(A, "set", 0)
        yield context.call_activity("a")

    driver = Driver(shape(orchestrator))

    inputs = [driver.request(step).input for step in range(4)]
    assert inputs == ['{"amount":5}', '"text"', None, "0"]


def test_results_are_read_as_the_type_asked_for_or_as_the_operation_is_annotated(
    shape: Shape,
) -> None:
    seen: list[Any] = []

    def orchestrator(context: OrchestrationContext) -> Steps:
        seen.append((yield context.call_entity(A, "get", None, Balance)))
        seen.append((yield context.call_entity(A, "typed")))
        seen.append((yield context.call_entity(A, "typed")))
        try:
            yield context.call_entity(A, "get", expected_type=Balance)
        except SerializationError:
            seen.append("refused")

    driver = Driver(shape(orchestrator), catalog=Catalog({"Counter.typed": Balance}))
    driver.answers(0, {"amount": 1})
    driver.answers(1, {"amount": 2})
    driver.answers(2, "no balance")
    driver.answers(3, "no balance")

    assert seen == [Balance(1), Balance(2), "no balance", "refused"]


def test_an_answer_without_result_gives_none(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        return (yield context.call_entity(A, "get", expected_type=Balance))

    driver = Driver(shape(orchestrator))
    driver.feed(messages.response_event(driver.request(0), messages.Response(), T0))

    assert driver.result is None


def test_a_failed_operation_fails_its_call(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        try:
            yield context.call_entity(A, "add", 1)
        except TaskFailedError as error:
            return [str(error), error.details.error_type]

    driver = Driver(shape(orchestrator))
    driver.refuses(0, "Error, Lib", "Error: no")

    assert driver.result == ["Error: no", "Error"]


def test_an_answer_that_is_none_fails_its_call(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        yield context.call_entity(A, "add", 1)

    driver = Driver(shape(orchestrator))
    driver.raises(driver.request(0).id, ["not an answer"])

    assert driver.status == "Failed"
    assert "cannot be read" in (driver.end.result or "")


def test_answers_never_reach_who_waits_for_external_events(shape: Shape) -> None:
    """Nor does a second answer to the same call, nor one after the end."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        results: list[Any] = []
        for _ in range(2):
            call = context.call_entity(A, "get")
            results += [(yield call)]
        waits = [context.wait_for_external_event(name) for name in context.get_input()]
        yield context.wait_for_external_event("go")
        results += [wait.is_completed for wait in waits]
        context.continue_as_new(results)

    first = Driver(shape(orchestrator), [])
    names = [first.request(0).id, "other"]
    driver = Driver(shape(orchestrator), names)
    driver.answers(0, 1)
    driver.answers(0, 1)
    driver.answers(1, 2)
    driver.answers(0, 1)
    driver.raises("go")
    again = driver.replayed(driver.history[:-1])
    again.feed(messages.response_event(driver.request(1), messages.Response(result="2"), T0))

    assert driver.actions[-1] == ContinueAsNew("[1,2,false,false]", ())
    assert again.take_actions() == [driver.actions[-1]]


def test_an_event_whose_name_differs_in_case_is_no_answer(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        context.call_entity(A, "get")
        name = context.get_input()
        return (yield context.wait_for_external_event(name))

    name = Driver(shape(orchestrator), "x").request(0).id.upper()
    driver = Driver(shape(orchestrator), name)
    driver.raises(name, 7)

    assert driver.result == 7


def test_ids_and_stamps_that_another_host_recorded_hold(shape: Shape) -> None:
    """So an answer to its call is known, and what is sent next comes behind it."""

    def orchestrator(context: OrchestrationContext) -> Steps:
        result = yield context.call_entity(A, "add", 1)
        return [result, (yield context.call_entity(A, "get"))]

    driver = Driver(shape(orchestrator))
    event = driver.history[2]
    assert isinstance(event, EventSent)
    stamp = messages.stamp_text(messages.stamp_of(T0) + 7)
    theirs = {**json.loads(event.input or ""), "id": "theirs", "Timestamp": stamp}
    recorded = EventSent(
        timestamp=T0,
        event_id=0,
        instance_id=event.instance_id,
        name="op",
        input=json.dumps(theirs),
    )

    run = driver.replayed([*driver.history[:2], recorded, driver.history[3]])
    run.feed(OrchestratorStarted(timestamp=T0))
    run.feed(EventRaised(timestamp=T0, name="theirs", input='{"result":"5"}'))
    action = run.take_actions()[0]

    assert isinstance(action, SendEvent)
    request = messages.read_request(action)
    assert request.predecessor == stamp
    assert messages.read_stamp(request.timestamp) == messages.read_stamp(stamp) + 1


def test_what_cannot_be_asked_is_refused_at_the_line() -> None:
    wrong: Any = "@counter@a"

    async def orchestrator(context: OrchestrationContext) -> None:
        with pytest.raises(TypeError, match="call_entity takes an EntityId, not str"):
            context.call_entity(wrong, "add")
        with pytest.raises(TypeError, match="lock takes an EntityId, not str"):
            context.lock(wrong)
        with pytest.raises(TypeError, match=r"signal_entity\(at=…\) takes a datetime"):
            context.signal_entity(A, "add", at=wrong)
        operation: Any = max
        with pytest.raises(TypeError, match="signal_entity takes the name of an operation"):
            context.signal_entity(A, operation)
        with pytest.raises(ValueError, match="cannot be written as UTF-8"):
            context.signal_entity(A, "\ud800")

    driver = Driver(orchestrator)

    assert driver.status == "Completed"
    assert sent(driver.actions) == []


def test_an_input_that_is_no_json_is_refused_and_takes_no_step() -> None:
    async def orchestrator(context: OrchestrationContext) -> None:
        with pytest.raises(SerializationError):
            context.call_entity(A, "add", object())

    driver = Driver(orchestrator)

    assert driver.end.id == 0


def test_a_proxy_calls_the_entity_by_the_name_that_the_app_gives_it(shape: Shape) -> None:
    class Account:
        def add(self, amount: int) -> int:
            return amount

    def orchestrator(context: OrchestrationContext) -> Steps:
        proxy = context.entity(Account, "k")
        result = yield proxy.add(5)
        proxy.signal(Account.add, 6, at=SECOND)
        context.entity("Other", "k").signal("x")
        return [result, (yield proxy.call(Account.add, 7))]

    driver = Driver(shape(orchestrator))
    driver.answers(0, 1)
    driver.answers(3, 2)

    assert driver.result == [1, 2]
    assert sent(driver.actions) == [
        "0 call @account@k add 5",
        "1 signal @account@k add 6",
        "2 signal @other@k x",
        "3 call @account@k add 7",
    ]
