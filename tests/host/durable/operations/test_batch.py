"""A batch: one operation after another, until the last has ended or one has been cut off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import EntityId, entity_trigger
from func_host.durable.operations.batch import TURN, OperationBatch
from func_host.durable.operations.functions import FunctionRunner
from func_host.durable.operations.values import Operation, Scene
from func_host.testing.clock import SimulatedClock
from tests.host.durable.operations.acting import catalog_of
from tests.host.durable.worker.world import CountingIds

if TYPE_CHECKING:
    from collections.abc import Callable

    from func_bindings import EntityContext

pytestmark = pytest.mark.anyio


def batch_of(
    function: Callable[..., Any], *operations: str, clock: SimulatedClock | None = None
) -> OperationBatch:
    catalog = catalog_of(function)
    indexed = catalog.entity(function)
    assert indexed is not None
    scene = Scene(
        EntityId("e", "k"),
        indexed,
        catalog,
        clock or SimulatedClock(),
        CountingIds(),
        rolls_back=True,
    )
    runner = FunctionRunner(scene, None)
    return OperationBatch(scene, runner, [Operation(name, None) for name in operations])


async def test_each_operation_has_the_whole_limit() -> None:
    clock = SimulatedClock()
    left: list[float] = []

    @entity_trigger
    async def waits(context: EntityContext) -> None:
        await clock.advance(3)
        left.append(batch.left_s(5))
        context.set_state(context.operation_name)

    batch = batch_of(waits, "a", "b", clock=clock)
    assert batch.left_s(5) == 5
    await batch()

    assert left == [2, 2]
    assert batch.is_complete
    assert batch.text == '"b"'


async def test_the_operation_that_is_over_its_limit_and_all_after_it_do_not_count() -> None:
    clock = SimulatedClock()

    @entity_trigger
    async def waits(context: EntityContext) -> None:
        if context.operation_name == "slow":
            await clock.advance(6)
            assert batch.left_s(5) == 0
        context.set_state(context.operation_name)

    batch = batch_of(waits, "a", "slow", "b", clock=clock)
    await batch()

    assert len(batch.outcomes) == 1
    assert not batch.is_complete
    assert batch.text == '"a"'


def test_nothing_counts_of_an_operation_that_fails_once_the_batch_is_sealed() -> None:
    @entity_trigger
    def seals(context: EntityContext) -> None:
        batch.seal()
        raise ValueError("late")

    batch = batch_of(seals, "a", "b")
    assert batch() is None

    assert batch.outcomes == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_what_ends_programs_ends_only_the_operation(error: BaseException) -> None:
    @entity_trigger
    def ends(context: EntityContext) -> None:
        if context.operation_name == "end":
            raise error

    batch = batch_of(ends, "end", "b")
    batch()

    assert [each.failure and each.failure.error_type for each in batch.outcomes] == [
        type(error).__name__,
        None,
    ]


async def test_an_error_of_cancelling_that_is_user_codes_own_is_an_error_like_others() -> None:
    @entity_trigger
    async def cancelled(context: EntityContext) -> None:
        raise asyncio.CancelledError

    batch = batch_of(cancelled, "a", "b")
    await batch()

    assert [each.failure is not None for each in batch.outcomes] == [True, True]


async def test_a_task_that_is_cancelled_ends_and_no_operation_has_failed() -> None:
    entered = asyncio.Event()

    @entity_trigger
    async def waits(context: EntityContext) -> None:
        entered.set()
        await asyncio.Event().wait()

    batch = batch_of(waits, "a", "b")
    task = asyncio.ensure_future(batch())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert batch.outcomes == []


async def test_a_batch_that_is_closed_while_it_awaits_says_nothing() -> None:
    @entity_trigger
    async def waits(context: EntityContext) -> None:
        await asyncio.Event().wait()

    batch = batch_of(waits, "a")
    running = batch()
    running.send(None)
    running.close()

    assert batch.outcomes == []


async def test_async_operations_that_never_wait_let_others_have_their_turn() -> None:
    seen: list[int] = []

    @entity_trigger
    async def busy(context: EntityContext) -> None: ...

    batch = batch_of(busy, *["a"] * (TURN + 1))
    running = asyncio.ensure_future(batch())
    asyncio.get_running_loop().call_soon(lambda: seen.append(len(batch.outcomes)))
    await running

    assert seen == [TURN]
    assert batch.is_complete
