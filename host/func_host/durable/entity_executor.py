"""Runs the operations of entities with the functions and classes of the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_bindings.errors import FunctionNotFoundError
from func_host import log
from func_host.durable.operations.batch import OperationBatch
from func_host.durable.operations.functions import FunctionRunner
from func_host.durable.operations.objects import ObjectRunner
from func_host.durable.operations.values import (
    BatchResult,
    EntityCatalog,
    Operation,
    OperationOutcome,
    Scene,
    SentSignal,
    StartedOrchestration,
    unknown_entity,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_bindings.durable.entities import EntityId
    from func_host.clock import Clock, IdSource
    from func_host.durable.operations.values import Runner
    from func_host.indexing.functions import IndexedFunction
    from func_host.invocation.invoker import StepsInvoker

__all__ = [
    "BatchResult",
    "EntityCatalog",
    "EntityExecutor",
    "Operation",
    "OperationOutcome",
    "SentSignal",
    "StartedOrchestration",
]


class EntityExecutor:
    """Runs batches of operations.

    Args:
        catalog: The functions of the app.
        invoker: Runs them: each batch in one thread, or on the loop.
        clock: Gives the time of operations.
        ids: Gives the ids of orchestrations that entities start.
        rolls_back: An operation that fails leaves the state as it was; else what it did to the
            state stays. What it sends and starts never leaves.
    """

    def __init__(
        self,
        catalog: EntityCatalog,
        invoker: StepsInvoker,
        clock: Clock,
        ids: IdSource,
        *,
        rolls_back: bool = True,
    ) -> None:
        self._catalog = catalog
        self._invoker = invoker
        self._clock = clock
        self._ids = ids
        self._rolls_back = rolls_back

    def why_unknown(self, name: str) -> str | None:
        """Say, in the words of the extension, that there is no such entity; None where there is."""
        if self._catalog.entity(name) is not None:
            return None
        return unknown_entity(name, self._catalog.entity_names)

    async def run(
        self, entity: EntityId, state: str | None, operations: Sequence[Operation]
    ) -> BatchResult:
        """Run operations one after another, and give how each ended and the state after them.

        Each has the whole functionTimeout. The operation that exceeds it has failed; the rest goes
        on with the state before it, beside what may still run of it.

        Raises:
            FunctionNotFoundError: The app has no such entity.
        """
        function = self._catalog.entity(entity.name)
        if function is None:
            known = self._catalog.entity_names
            raise FunctionNotFoundError(unknown_entity(entity.name, known))
        scene = Scene(
            entity, function, self._catalog, self._clock, self._ids, rolls_back=self._rolls_back
        )
        outcomes: list[OperationOutcome] = []
        while len(outcomes) < len(operations):
            batch = OperationBatch(scene, _runner(scene, state), operations[len(outcomes) :])
            outcomes += await self._run(function, batch, str(entity))
            state = batch.text
        return BatchResult(tuple(outcomes), state)

    async def _run(
        self, function: IndexedFunction, batch: OperationBatch, instance_id: str
    ) -> list[OperationOutcome]:
        """Run a batch as far as it goes: to its end, or to an operation that ended it."""
        fields = {log.FUNCTION_NAME: function.name, log.INSTANCE_ID: instance_id}
        try:
            with log.bind_log_fields(**fields):
                invocation = self._invoker.start_steps(function, batch)
            await invocation.outcome
        except Exception as error:  # noqa: BLE001 -- what broke the batch broke the operation that ran
            batch.seal()
            if batch.is_complete:
                return batch.outcomes
            cause = error.__cause__ if isinstance(error, RuntimeError) else None
            return [*batch.outcomes, batch.outcome_of(cause or error)]
        finally:
            batch.seal()
        return batch.outcomes


def _runner(scene: Scene, state: str | None) -> Runner:
    entity_class = scene.function.entity_class
    if entity_class is None:
        return FunctionRunner(scene, state)
    return ObjectRunner(scene, entity_class, state)
