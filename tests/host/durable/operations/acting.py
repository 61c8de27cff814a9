"""Entities of a test, and what runs their operations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from func_bindings import AuthLevel, EntityId
from func_bindings.metadata import metadata_of
from func_host.durable.catalog import AppCatalog
from func_host.durable.entity_executor import EntityExecutor, Operation
from func_host.indexing.collecting import FoundFunction
from func_host.indexing.functions import FunctionIndex
from func_host.indexing.judging import Judgement
from func_host.invocation.invoker import LoopInvoker
from func_host.testing.clock import SimulatedClock
from tests.host.durable.worker.world import CountingIds

if TYPE_CHECKING:
    from collections.abc import Callable

    from func_host.clock import Clock
    from func_host.durable.entity_executor import BatchResult, OperationOutcome
    from func_host.indexing.functions import IndexedFunction


def indexed(function: Callable[..., Any]) -> IndexedFunction:
    """Judge a decorated function or class as indexing does."""
    metadata = metadata_of(function)
    assert metadata is not None
    found = FoundFunction(
        function=function,
        metadata=metadata,
        auth_level=AuthLevel.FUNCTION,
        app="app",
        app_dir=Path(),
    )
    judgement = Judgement(found, lambda _: None)
    assert judgement.indexed is not None, judgement.problems
    return judgement.indexed


def catalog_of(*functions: Callable[..., Any]) -> AppCatalog:
    """Give the catalog of an app of these functions."""
    return AppCatalog(FunctionIndex(map(indexed, functions)))


def executor_of(
    invoker: LoopInvoker,
    *functions: Callable[..., Any],
    clock: Clock | None = None,
    rolls_back: bool = True,
) -> EntityExecutor:
    """Give what runs operations of these functions."""
    return EntityExecutor(
        catalog_of(*functions),
        invoker,
        clock or SimulatedClock(),
        CountingIds(),
        rolls_back=rolls_back,
    )


def operation(written: str) -> Operation:
    """Read an operation that is written as a name, or a name and JSON: `add 5`."""
    name, _, text = written.partition(" ")
    return Operation(name, text or None)


async def act(
    functions: Callable[..., Any] | tuple[Callable[..., Any], ...],
    *operations: str,
    state: str | None = None,
    rolls_back: bool = True,
) -> BatchResult:
    """Run a batch on the entity `k` of the first function."""
    all_functions: tuple[Callable[..., Any], ...] = (
        (functions,) if callable(functions) else functions
    )
    async with LoopInvoker(threads=1) as invoker:
        executor = executor_of(invoker, *all_functions, rolls_back=rolls_back)
        entity = EntityId(all_functions[0].__name__.lower(), "k")
        return await executor.run(entity, state, [operation(each) for each in operations])


def results(batch: BatchResult) -> list[str | None]:
    """Give the results, after seeing that nothing failed."""
    assert [each.error_text for each in batch.outcomes if each.failure] == []
    return [each.result for each in batch.outcomes]


def failed(outcome: OperationOutcome) -> tuple[str, str]:
    """Give type and message of a failure, after seeing that it has no effect."""
    assert outcome.failure is not None
    assert outcome.error_text is not None
    assert (outcome.result, outcome.signals, outcome.starts) == (None, (), ())
    return outcome.failure.error_type, outcome.failure.error_message
