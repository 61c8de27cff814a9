"""The world around the host: who restarts it, and the clients, who are honest and patient.

A client tries again until it gets an answer, and remembers what was acknowledged. Each run has a
companion that raises the events the program can wait for, and may suspend or terminate it.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from func_bindings.durable.entities import EntityId
from func_bindings.errors import (
    InstanceAlreadyExistsError,
    InstanceCompletedError,
    InstanceNotFoundError,
)
from func_host.durable.backend import BackendUnavailableError
from func_host.durable.backends.memory import MemoryStore
from tests.simulation.activities import index_of
from tests.simulation.chance import stream
from tests.simulation.frames import first_input
from tests.simulation.generating_entities import draw_entities, draw_signals
from tests.simulation.host import SimulatedHost
from tests.simulation.operations import operation_input
from tests.simulation.programs import waits_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from func_bindings.durable.status import DurableOrchestrationStatus
    from func_host.clock import Clock
    from func_host.durable.client import TaskHubClient
    from tests.simulation.chance import Chance
    from tests.simulation.generating_entities import ClientSignal
    from tests.simulation.ledger import Ledger, Run
    from tests.simulation.plans import Plan
    from tests.simulation.programs import Program

T = TypeVar("T")

SETTLE_S = 600.0
_GONE = (InstanceCompletedError, InstanceNotFoundError)


class World:
    """Everything that happens in one seed."""

    def __init__(
        self, seed: int, programs: tuple[Program, ...], plan: Plan, clock: Clock, ledger: Ledger
    ) -> None:
        self.store = MemoryStore()
        self.ledger = ledger
        self.acknowledged: list[str] = []
        self.raised: list[tuple[Run, str, str]] = []
        self.signalled: list[str] = []
        self.unjudged: list[Run] = []
        self.seen: list[tuple[str, DurableOrchestrationStatus]] = []
        self.index = index_of(programs, ledger)
        self._seed = seed
        self._programs = {program.name: program for program in programs}
        self._plan = plan
        self._clock = clock
        self._host: SimulatedHost | None = None
        self._over: dict[Run, asyncio.Event] = {}
        self._clients: asyncio.TaskGroup | None = None
        self._signals = draw_signals(seed, draw_entities(seed), sorted(self._programs))
        self._is_at_rest = asyncio.Event()
        ledger.on_created = self._note_created
        ledger.entities.on_busy = self._note_busy
        ledger.entities.on_rest = self._is_at_rest.set
        ledger.on_over = lambda run: self._over[run].set()

    @property
    def host(self) -> SimulatedHost | None:
        """The host that is up."""
        return self._host

    async def run(self, at_rest: Callable[[], None]) -> None:
        """Let everything happen; `at_rest` is called while the last host has nothing to do."""
        async with asyncio.TaskGroup() as everything:
            hosts = everything.create_task(self._keep_hosts())
            async with asyncio.TaskGroup() as clients:
                self._clients = clients
                for number in range(self._plan.starts):
                    clients.create_task(self._start(number))
                for number, signals in enumerate(self._signals):
                    clients.create_task(self._send(number, signals))
                if self._signals:
                    clients.create_task(self._clean())
                for moment in self._plan.crash_times_s:
                    clients.create_task(self._crash_at(moment))
                for moment in self._plan.restart_times_s:
                    clients.create_task(self._restart_at(moment))
            await self._clock.sleep(SETTLE_S)
            at_rest()
            hosts.cancel()

    # Hosts

    async def _keep_hosts(self) -> None:
        chance = stream(self._seed, "hosts")
        number = 0
        while True:
            self._host = SimulatedHost(
                seed=self._seed,
                number=number,
                store=self.store,
                index=self.index,
                plan=self._plan,
                clock=self._clock,
                ledger=self.ledger,
            )
            try:
                await self._host.live()
            finally:
                self._host = None
            number += 1
            await self._clock.sleep(chance.choice((0.0, 0.5, 5.0, 30.0)))

    async def _crash_at(self, moment: float) -> None:
        await self._clock.sleep(moment)
        if self._host is not None:
            self._host.life.die("at its hour")

    async def _restart_at(self, moment: float) -> None:
        await self._clock.sleep(moment)
        if self._host is not None:
            self._host.end()

    # Clients

    async def _ask(
        self,
        chance: Chance,
        ask: Callable[[TaskHubClient], Awaitable[T]],
        *,
        replaces: bool = False,
    ) -> T:
        """Ask until there is an answer."""
        while True:
            host = self._host
            if host is not None:
                try:
                    return await ask(host.replacing_client if replaces else host.client)
                except BackendUnavailableError:
                    pass
            await self._clock.sleep(round(chance.uniform(0.1, 2.0), 6))

    async def _start(self, number: int) -> None:
        """Start a program, maybe under a given id, and maybe again once it has ended."""
        chance = stream(self._seed, "start", number)
        await self._clock.sleep(chance.choice((0.0, 0.0, 0.5, round(chance.uniform(0, 20), 6))))
        program = chance.choice(sorted(self._programs))
        given_id = f"given-{number}" if chance.random() < 0.6 else None
        name = f"start-{number}"
        instance_id = await self._start_new(chance, name, program, given_id, replaces=False)
        if chance.random() < self._plan.replace_rate:
            await self._clock.sleep(chance.choice((0.0, 0.01, 1.0, 20.0)))
            await self._start_new(chance, f"{name}-replacing", program, instance_id, replaces=True)
        if chance.random() < 0.5:
            await self._wait(chance, instance_id)
        if chance.random() < self._plan.again_rate:
            run = next(run for run in self.ledger.runs[::-1] if run.instance_id == instance_id)
            await self._over[run].wait()
            if chance.random() < 0.5:
                await self._ask(chance, lambda client: client.purge_instance_history(instance_id))
            await self._start_new(chance, f"{name}-again", program, instance_id, replaces=False)

    async def _start_new(
        self,
        chance: Chance,
        name: str,
        program: str,
        instance_id: str | None,
        *,
        replaces: bool,
    ) -> str:
        attempts = 0

        async def ask(client: TaskHubClient) -> str:
            nonlocal attempts
            attempts += 1
            key = f"{name}.{attempts}"
            value = first_input(key, 0)
            try:
                given = await client.start_new(program, instance_id, value)
            except InstanceAlreadyExistsError:
                if attempts == 1 or instance_id is None:
                    raise
                return instance_id  # an earlier attempt, whose answer was lost, did it
            self.ledger.trace(f"acknowledged {key}")
            self.acknowledged.append(f"{key}@{given}")
            return given

        return await self._ask(chance, ask, replaces=replaces)

    async def _wait(self, chance: Chance, instance_id: str) -> None:
        timeout_s = chance.choice((0.5, 60.0, 10_000.0))
        try:
            status = await self._ask(
                chance, lambda client: client.wait_for_completion(instance_id, timeout_s)
            )
        except TimeoutError:
            return
        self.seen.append((instance_id, status))

    # Clients of entities

    def _note_busy(self) -> None:
        """Stay until entities have done what they were sent."""
        assert self._clients is not None
        self._is_at_rest.clear()
        self._clients.create_task(self._is_at_rest.wait())

    async def _send(self, number: int, signals: Sequence[ClientSignal]) -> None:
        """Signal entities one after another, and look at their states."""
        chance = stream(self._seed, "signals", number)
        for position, signal in enumerate(signals):
            await self._clock.sleep(signal.pause_s)
            await self._signal(chance, f"client-{number}.{position}", signal)
            if chance.random() < 0.3:
                await self._look(chance, signal.entity)

    async def _signal(self, chance: Chance, key: str, signal: ClientSignal) -> None:
        value = operation_input(key, chance.randrange(1_000), signal.operation)
        entity, name = EntityId.parse(signal.entity), signal.operation.name
        at = None
        if signal.delay_s is not None:
            at = self._clock.now() + timedelta(seconds=signal.delay_s)
        await self._ask(
            chance,
            lambda client: client.signal_entity(entity, name, value, at=at, operation_id=key),
        )
        self.ledger.trace(f"acknowledged {key}")
        self.signalled.append(key)

    async def _look(self, chance: Chance, entity: str) -> None:
        """Read a state: it is one that the entity had meanwhile."""
        known = self.ledger.entities.entities.get(entity)
        first = 0 if known is None else len(known.states) - 1
        found = await self._ask(
            chance, lambda client: client.read_entity_state(EntityId.parse(entity))
        )
        known = self.ledger.entities.entities.get(entity)
        states = [None] if known is None else known.states[first:]
        if found.entity_state not in states:
            self.ledger.violate(f"promise 1: {entity} was seen as {found}, but was {states}")

    async def _clean(self) -> None:
        """Delete empty entities now and then."""
        chance = stream(self._seed, "clean")
        for _ in range(chance.choice((0, 0, 1, 3))):
            await self._clock.sleep(round(chance.uniform(0, 40), 6))
            await self._ask(chance, lambda client: client.clean_entity_storage())

    # Companions

    def _note_created(self, run: Run) -> None:
        assert self._clients is not None
        self._over[run] = asyncio.Event()
        self._clients.create_task(self._accompany(run))

    async def _accompany(self, run: Run) -> None:
        chance = stream(self._seed, "companion", run.key)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._raise_events(run, chance))
            if chance.random() < self._plan.suspend_rate:
                group.create_task(self._suspend(run))
            if chance.random() < self._plan.terminate_rate:
                group.create_task(self._terminate(run))
        await self._over[run].wait()

    async def _raise_events(self, run: Run, chance: Chance) -> None:
        names = [
            name
            for name, count in waits_of(self._programs[run.program]).items()
            for _ in range(count + chance.choice((0, 0, 1)))
        ]
        chance.shuffle(names)
        for number, name in enumerate(names):
            await self._clock.sleep(
                chance.choice((0.0, 0.0, 0.0, 0.01, 2.0, round(chance.uniform(0, 30), 6), 4_000.0))
            )
            spelt = chance.choice((name, name.upper(), name.title()))
            if run.is_over or not await self._raise(run, chance, spelt, f"{name} {number}"):
                return

    async def _raise(self, run: Run, chance: Chance, name: str, value: str) -> bool:
        """Raise an event; give whether there was an instance to take it."""
        try:
            await self._ask(chance, lambda client: client.raise_event(run.instance_id, name, value))
        except _GONE:
            return False
        self.ledger.trace(f"acknowledged {name} {value} to {run.key}")
        self.raised.append((run, name.lower(), value))
        return True

    async def _suspend(self, run: Run) -> None:
        chance = stream(self._seed, "suspend", run.key)
        await self._clock.sleep(chance.choice((0.0, 0.5, 10.0)))
        try:
            await self._ask(chance, lambda client: client.suspend(run.instance_id, "wait"))
            await self._clock.sleep(chance.choice((0.0, 0.01, 3.0, 600.0)))
            await self._ask(chance, lambda client: client.resume(run.instance_id, "go on"))
        except _GONE:
            return

    async def _terminate(self, run: Run) -> None:
        chance = stream(self._seed, "terminate", run.key)
        await self._clock.sleep(chance.choice((0.0, 0.01, 1.0, 20.0)))
        try:
            await self._ask(chance, lambda client: client.terminate(run.instance_id, "enough"))
        except _GONE:
            return
