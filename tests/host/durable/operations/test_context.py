"""The context of an operation: what it tells, and what it notes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import EntityId, entity_trigger, orchestration_trigger
from func_bindings.errors import FunctionNotFoundError, SerializationError
from func_host.durable.operations.context import ObjectContext, OperationContext
from func_host.durable.operations.state import EntityState
from func_host.durable.operations.values import Operation, Scene, SentSignal, StartedOrchestration
from func_host.testing.clock import START, SimulatedClock
from tests.host.durable.operations.acting import catalog_of
from tests.host.durable.worker.world import CountingIds

if TYPE_CHECKING:
    from func_bindings import EntityContext, OrchestrationContext

OTHER = EntityId("Counter", "other")


@entity_trigger(entity_name="Counter")
def counter(context: EntityContext) -> None: ...


@orchestration_trigger(orchestration="Shop")
def shop(context: OrchestrationContext) -> None: ...


def context_of(
    text: str | None = None, state: str | None = None, kind: type[OperationContext] | None = None
) -> OperationContext:
    catalog = catalog_of(counter, shop)
    function = catalog.entity("counter")
    assert function is not None
    scene = Scene(
        EntityId("counter", "k"),
        function,
        catalog,
        SimulatedClock(),
        CountingIds(),
        rolls_back=True,
    )
    return (kind or OperationContext)(scene, Operation("add", text), EntityState(state, None))


def test_it_tells_who_and_when() -> None:
    context = context_of()

    assert (context.entity_name, context.entity_key) == ("counter", "k")
    assert context.entity_id == EntityId("Counter", "k")
    assert context.operation_name == "add"
    assert context.current_utc_datetime == START
    assert context.logger is logging.getLogger("Counter")


def test_it_tells_whether_there_is_a_state() -> None:
    assert context_of().is_newly_constructed
    context = context_of(state="1")
    assert not context.is_newly_constructed
    context.destruct_on_exit()
    assert context.is_newly_constructed
    context.set_state(2)
    assert not context.is_newly_constructed


def test_the_input_is_read_as_the_expected_type() -> None:
    assert context_of("[1]").get_input() == [1]
    assert context_of("[1]").get_input(tuple[int]) == (1,)
    assert context_of().get_input() is None
    assert context_of("null").get_input(int) is None
    with pytest.raises(SerializationError, match="Expected int, got str"):
        context_of('"a"').get_input(int)


def test_a_first_state_that_is_no_function_is_refused_with_the_remedy() -> None:
    wrong: Any = 0

    with pytest.raises(TypeError, match="not 0: pass lambda: 0"):
        context_of().get_state(wrong)


def test_a_result_that_cannot_be_written_is_refused() -> None:
    context = context_of()

    with pytest.raises(SerializationError):
        context.set_result(object())
    context.set_result([1])
    assert context.result == "[1]"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (None, None),
        (timedelta(hours=1), START + timedelta(hours=1)),
        (datetime(2026, 5, 1), datetime(2026, 5, 1, tzinfo=UTC)),  # noqa: DTZ001 -- a naive one is UTC
        (
            datetime(2026, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            datetime(2026, 5, 1, tzinfo=UTC),
        ),
    ],
)
def test_a_signal_is_noted_with_the_moment_it_is_due(
    at: datetime | timedelta | None, expected: datetime | None
) -> None:
    context = context_of()

    context.signal_entity(OTHER, "add", {"n": 1}, at=at)

    assert context.signals == [SentSignal(OTHER, "add", '{"n":1}', expected)]
    assert expected is None or context.signals[0].at is not None
    assert expected is None or str(context.signals[0].at).endswith("+00:00")


def test_a_signal_without_input_has_none() -> None:
    context = context_of()

    context.signal_entity(OTHER, "reset")

    assert context.signals == [SentSignal(OTHER, "reset", None, None)]


def test_a_signal_to_nobody_is_refused() -> None:
    context, odd = context_of(), {"entity": "Counter", "at": "tomorrow"}
    entity: Any = odd["entity"]
    at: Any = odd["at"]

    with pytest.raises(FunctionNotFoundError, match=r"'nobody' doesn't exist.* functions: 'Counte"):
        context.signal_entity(EntityId("nobody", "k"), "add")
    with pytest.raises(TypeError, match="takes an EntityId, not 'Counter'"):
        context.signal_entity(entity, "add")
    with pytest.raises(TypeError, match="a datetime or a timedelta as at, not 'tomorrow'"):
        context.signal_entity(OTHER, "add", at=at)
    with pytest.raises(ValueError, match="cannot be written as UTF-8"):
        context.signal_entity(OTHER, "\ud800")
    with pytest.raises(SerializationError):
        context.signal_entity(OTHER, "add", object())
    assert context.signals == []


def test_an_orchestrator_is_started_by_name_or_function_under_a_drawn_or_given_id() -> None:
    context = context_of()

    assert context.start_new("shop") == "id1"
    assert context.start_new(shop, "mine", [1], "2.0") == "mine"
    assert context.starts == [
        StartedOrchestration("shop", "id1", None, None),
        StartedOrchestration("Shop", "mine", "[1]", "2.0"),
    ]


def test_what_cannot_be_started_is_refused() -> None:
    context = context_of()

    with pytest.raises(FunctionNotFoundError, match=r"'nope' doesn't exist.* functions: 'Shop'"):
        context.start_new("nope")
    with pytest.raises(TypeError, match="not an orchestrator of this app"):
        context.start_new(counter)
    with pytest.raises(ValueError, match="must not start with @"):
        context.start_new(shop, "@counter@k")
    assert context.starts == []


def test_the_state_of_a_class_is_not_asked_for() -> None:
    context = context_of(kind=ObjectContext)

    with pytest.raises(TypeError, match="read self"):
        context.get_state()
    with pytest.raises(TypeError, match="assign to self"):
        context.set_state(1)
