"""One life of a host: the production worker, executor and client over the faulty store."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from weakref import WeakSet

from func_host.config.durable_task import OverridableStates
from func_host.durable.backends.memory import MemoryBackend
from func_host.durable.catalog import AppCatalog
from func_host.durable.client import TaskHubClient
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.links import ManagementLinks
from func_host.durable.racing import unless
from func_host.durable.worker.worker import DurableWorker
from tests.simulation.activities import SimulatedInvoker
from tests.simulation.chance import SeededIds, stream
from tests.simulation.store import FaultyBackend, Life

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_bindings.durable.entities import EntityId
    from func_host.clock import Clock
    from func_host.durable.backends.memory import MemoryStore
    from func_host.durable.engine.replay import OrchestratorRun
    from func_host.durable.entity_executor import BatchResult, Operation
    from func_host.durable.history import ExecutionStarted
    from func_host.indexing.functions import FunctionIndex
    from tests.simulation.entity_ledger import EntityLedger
    from tests.simulation.ledger import Ledger
    from tests.simulation.plans import Plan

DRAIN_S = 30.0
LINKS = ManagementLinks(origin="http://localhost", task_hub="simulation")


class WatchedExecutor(InProcessExecutor):
    """The production executor, with an eye on the orchestrators that nobody has let go."""

    def __init__(self, catalog: AppCatalog, *, store_inputs: bool) -> None:
        super().__init__(catalog, store_inputs=store_inputs)
        self._runs: WeakSet[OrchestratorRun] = WeakSet()

    def start(self, started: ExecutionStarted) -> tuple[OrchestratorRun | None, str | None]:
        run, reason = super().start(started)
        if run is not None:
            self._runs.add(run)
        return run, reason

    @property
    def suspended(self) -> list[str]:
        """The orchestrators that have been started and not closed, by name."""
        return sorted(run._steps.name for run in self._runs if run._routine is not None)


class WatchedEntityExecutor(EntityExecutor):
    """The production executor of entities, which tells what runs."""

    def __init__(
        self,
        catalog: AppCatalog,
        invoker: SimulatedInvoker,
        clock: Clock,
        ids: SeededIds,
        ledger: EntityLedger,
    ) -> None:
        super().__init__(catalog, invoker, clock, ids)
        self._ledger = ledger

    async def run(
        self, entity: EntityId, state: str | None, operations: Sequence[Operation]
    ) -> BatchResult:
        keys = [json.loads(operation.input or "null")["key"] for operation in operations]
        self._ledger.batch_began(str(entity))
        result = await super().run(entity, state, operations)
        self._ledger.batch_ended(str(entity), keys)
        return result


class SimulatedHost:
    """A host from its start to its end, by a crash or in order."""

    def __init__(
        self,
        *,
        seed: int,
        number: int,
        store: MemoryStore,
        index: FunctionIndex,
        plan: Plan,
        clock: Clock,
        ledger: Ledger,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.life = Life(self._die)
        self._number = number
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._ending: asyncio.Future[None] = loop.create_future()
        self.memory = MemoryBackend(store, clock)
        self.backend = FaultyBackend(
            self.memory,
            store,
            plan=plan,
            chance=stream(seed, "store", number),
            clock=clock,
            ledger=ledger,
            life=self.life,
        )
        catalog = AppCatalog(index)
        self.executor = WatchedExecutor(catalog, store_inputs=True)
        ids = SeededIds(stream(seed, "ids", number))
        invoker = SimulatedInvoker(
            loop, chance=stream(seed, "activities", number), ledger=ledger, life=self.life
        )
        self.worker = DurableWorker(
            backend=self.backend,
            executor=self.executor,
            entities=WatchedEntityExecutor(catalog, invoker, clock, ids, ledger.entities),
            catalog=catalog,
            invoker=invoker,
            clock=clock,
            ids=ids,
            settings=plan.worker,
        )
        self.client, self.replacing_client = (
            TaskHubClient(
                backend=self.backend,
                clock=clock,
                ids=ids,
                orchestrators=index,
                entities=index,
                links=LINKS,
                overridable_states=states,
            )
            for states in (OverridableStates.NON_RUNNING_STATES, OverridableStates.ANY_STATE)
        )

    async def live(self) -> None:
        """Work until the host dies or is asked to end."""
        loop = asyncio.get_running_loop()
        async with self.memory:
            self._ledger.trace(f"host {self._number} is up")
            self._ledger.entities.host_began()
            work = loop.create_task(self.worker.run())
            work.add_done_callback(self._note_end)
            try:
                await self._ending
                if not self.life.is_over:
                    await self._drain()
            finally:
                has_died = self.life.is_over
                self.life.is_over = True
                work.cancel()
                await asyncio.wait([work])
                if not (has_died or work.cancelled()):
                    self._ledger.violate(f"the worker was told to end, but: {work!r}")
                if self.executor.suspended:
                    names = self.executor.suspended
                    self._ledger.violate(f"promise 11: the worker ended, but nobody closed {names}")

    async def _drain(self) -> None:
        self._ledger.trace(f"host {self._number} drains")
        await unless(self.worker.drain, lambda: self._clock.sleep(DRAIN_S))

    def end(self) -> None:
        """Ask the host to end in order."""
        if not self._ending.done():
            self._ending.set_result(None)

    def _die(self, what: str) -> None:
        if self.life.is_over:
            return
        self._ledger.trace(f"host {self._number} dies {what}")
        self.life.is_over = True
        self._store.owner = None
        self.end()

    def _note_end(self, work: asyncio.Task[None]) -> None:
        if not work.cancelled() and work.exception() is not None and not self.life.is_over:
            self._ledger.violate(f"promise 9: the worker stopped: {work.exception()!r}")
