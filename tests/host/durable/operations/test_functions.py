"""Entities that are functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import EntityContext, EntityId, entity_trigger, orchestration_trigger
from func_host.durable.operations.values import SentSignal
from tests.host.durable.operations.acting import act, failed, results

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from func_bindings import OrchestrationContext

pytestmark = pytest.mark.anyio


def run(context: EntityContext) -> Any:
    """Do what the operation says."""
    match context.operation_name:
        case "add":
            context.set_state(context.get_state(int) + context.get_input(int))
        case "get":
            return context.get_state()
        case "append":
            context.get_state(list[Any]).append(context.get_input())
        case "both":
            context.set_result("set")
            return "returned"
        case "delete":
            context.destruct_on_exit()
        case "revive":
            context.destruct_on_exit()
            context.set_state("alive")
        case "fail":
            context.set_state("lost")
            context.set_result("lost")
            context.signal_entity(EntityId("counter", "other"), "add")
            context.start_new("shop")
            raise ValueError("bad")
        case "unwritable":
            return object()
        case "send":
            context.signal_entity(EntityId("counter", "other"), "add", 1)
            return context.start_new("shop")
        case other:
            raise NotImplementedError(other)
    return None


@entity_trigger
def counter(context: EntityContext) -> Any:
    return run(context)


@entity_trigger
async def counter_async(context: EntityContext) -> Any:
    return run(context)


@entity_trigger
def last(*args: Any) -> Any:
    return run(args[0])


@orchestration_trigger
def shop(context: OrchestrationContext) -> None: ...


@pytest.mark.parametrize("function", [counter, counter_async, last])
async def test_operations_see_what_those_before_have_done(function: Any) -> None:
    batch = await act(function, "add 2", "get", "add 3", "get", "delete", "get", "revive", "get")

    assert results(batch) == [None, "2", None, "5", None, None, None, '"alive"']
    assert batch.state == '"alive"'


async def test_a_plain_wrapper_around_an_async_function_is_awaited() -> None:
    async def inner(context: EntityContext) -> Any:
        return run(context)

    @entity_trigger
    def outer(context: EntityContext) -> Awaitable[Any]:
        return inner(context)

    assert results(await act(outer, "add 2", "add 3", "get")) == [None, None, "5"]


async def test_what_was_set_wins_over_what_is_returned_and_neither_leaks() -> None:
    batch = await act(counter, "both", "add 1", "get", "get")

    assert results(batch) == ['"set"', None, "1", "1"]


async def test_a_change_inside_the_state_is_kept() -> None:
    batch = await act(counter, "append 2", "append 3", state="[1]")

    assert results(batch) == [None, None]
    assert batch.state == "[1,2,3]"


@pytest.mark.parametrize(
    ("function", "error"),
    [(counter, "ValueError"), (counter_async, "func_bindings.errors.FunctionNotFoundError")],
)
async def test_what_fails_has_done_nothing_and_the_others_go_on(function: Any, error: str) -> None:
    batch = await act((function, shop), "add 1", "fail", "add 2", "unwritable", "get")

    first, second, third, fourth, fifth = batch.outcomes
    assert first.failure is third.failure is None
    assert fifth.result == batch.state == "3"
    assert failed(second)[0] == error
    assert failed(fourth)[0] == "func_bindings.errors.SerializationError"


async def test_a_failure_tells_operation_entity_and_line() -> None:
    batch = await act((counter, shop), "fail")

    (outcome,) = batch.outcomes
    assert failed(outcome) == ("ValueError", "bad")
    assert outcome.error_text == "Operation 'fail' of entity '@counter@k' failed: ValueError: bad"
    assert outcome.failure is not None
    assert "test_functions.py" in (outcome.failure.stack_trace or "")
    assert batch.state is None


async def test_a_state_that_could_not_be_changed_back_is_read_again() -> None:
    @entity_trigger
    def spoils(context: EntityContext) -> Any:
        items = context.get_state(list[Any])
        if context.operation_name == "spoil":
            items.append("spoilt")
            raise ValueError("bad")
        return items

    batch = await act(spoils, "get", "spoil", "get", state="[1]")

    assert [each.result for each in batch.outcomes] == ["[1]", None, "[1]"]
    assert batch.state == "[1]"


async def test_without_rollback_the_state_of_a_failed_operation_stays() -> None:
    batch = await act((counter, shop), "add 1", "fail", "get", rolls_back=False)

    assert failed(batch.outcomes[1]) == ("ValueError", "bad")
    assert batch.outcomes[2].result == batch.state == '"lost"'


async def test_without_rollback_a_state_that_cannot_be_written_is_as_it_was() -> None:
    @entity_trigger
    def spoils(context: EntityContext) -> Any:
        context.get_state(list[Any]).append(object())

    batch = await act(spoils, "spoil", state="[1]", rolls_back=False)

    assert failed(batch.outcomes[0])[0] == "func_bindings.errors.SerializationError"
    assert batch.state == "[1]"


async def test_signals_and_starts_come_with_their_operation() -> None:
    batch = await act((counter, shop), "send", "add 1")

    first, second = batch.outcomes
    assert first.signals == (SentSignal(EntityId("counter", "other"), "add", "1", None),)
    assert [each.name for each in first.starts] == ["shop"]
    assert first.result == '"id1"'
    assert (second.signals, second.starts) == ((), ())


async def test_an_entity_that_never_had_a_state_still_has_none() -> None:
    batch = await act(counter, "get", "delete")

    assert results(batch) == [None, None]
    assert batch.state is None
