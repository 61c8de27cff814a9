"""Runs the batches of entities: load, take what has arrived, run the operations, commit."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from func_host import log
from func_host.durable.entity_executor import Operation

if TYPE_CHECKING:
    from func_host.clock import Clock
    from func_host.durable.backend import Backend
    from func_host.durable.engine.entities.scheduler import Batch
    from func_host.durable.entity_executor import BatchResult, EntityExecutor
    from func_host.durable.worker.entity_session import EntitySession

logger = logging.getLogger(__name__)


class EntityRunner:
    """Runs batches, so many at a time.

    Args:
        backend: Where entities are stored.
        executor: Runs operations.
        clock: Gives the time of batches.
        max_concurrent: How many entities may run operations at the same time.
    """

    def __init__(
        self, backend: Backend, executor: EntityExecutor, clock: Clock, *, max_concurrent: int
    ) -> None:
        self._backend = backend
        self._executor = executor
        self._clock = clock
        self._slots = asyncio.Semaphore(max_concurrent)

    async def run_batch(self, session: EntitySession) -> bool:
        """Run and commit what is to be done now; give whether there may be more to do.

        Raises:
            StaleCommitError: What is stored is not what the session holds.
            BackendUnavailableError: A passing fault; the batch may or may not have been stored.
        """
        if not session.is_loaded:
            stored = await self._backend.load(session.instance_id)
            if stored is None:  # nothing has arrived after all, or it has been deleted
                session.discard()
                session.failures = 0
                return False
            session.load(stored)
        why_unknown = self._executor.why_unknown(session.entity_id.name)
        batch = session.begin(self._clock.now(), why_unknown)
        for reason in session.unreadable:
            fields = {log.INSTANCE_ID: session.instance_id, log.REASON: reason}
            logger.error("a message to an entity cannot be read and is dropped", extra=fields)
        if batch is None:
            return False
        result = await self._run(session, batch)
        now = self._clock.now()
        session.finish(result, why_unknown, now)
        await self._backend.commit(session.take_commit(now))
        return session.committed() or session.has_work

    async def _run(self, session: EntitySession, batch: Batch) -> BatchResult | None:
        if not batch.operations:
            return None
        operations = [Operation(one.op or "", one.input) for one in batch.operations]
        async with self._slots:
            result = await self._executor.run(session.entity_id, session.state, operations)
        for operation, outcome in zip(operations, result.outcomes, strict=True):
            if outcome.failure is not None:
                fields = {
                    log.INSTANCE_ID: session.instance_id,
                    log.REASON: f"{operation.name}: {outcome.failure.error_type}: "
                    f"{outcome.failure.error_message}",
                }
                logger.warning("entity operation failed", extra=fields)
        return result
