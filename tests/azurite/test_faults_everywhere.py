"""Each storage call of an orchestration fails once, before or after it took effect: all ends right.

An orchestration of each kind runs once undisturbed, which tells how many calls it takes. Then it
runs again for each call and each fault, on a hub of its own. Where the host dies at the call,
another one goes on once what the dead one held is visible again. By default some calls are tried,
others for each fault, so that each call fails in some way; with `FUNC_HOST_TEST_EVERY_FAULT` set
all of them are.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

from func_bindings.durable.entities import EntityId
from func_bindings.durable.retry import RetryOptions
from func_bindings.errors import (
    InstanceAlreadyExistsError,
    InstanceCompletedError,
    InstanceNotFoundError,
)
from func_bindings.metadata import EntityTrigger, SourceLocation
from func_host.clock import SystemClock, SystemIds
from func_host.durable.backend import BackendUnavailableError
from func_host.durable.backends.azure_storage.backend import AzureStorageBackend
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.client_batch import Merge
from func_host.durable.backends.azure_storage.hub import HubSettings
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.stored_history import read_history
from func_host.durable.backends.azure_storage.table_rows import (
    PARTITION_KEY,
    ROW_KEY,
    Row,
    read_row,
)
from func_host.durable.catalog import AppCatalog
from func_host.durable.engine.entities import messages
from func_host.durable.engine.entities.scheduler import read_state
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.history import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerFired,
)
from func_host.durable.worker.settings import WorkerSettings
from func_host.durable.worker.worker import DurableWorker
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from func_host.invocation.invoker import Invocation
from func_host.testing.conformance.programs import index_with
from tests.azurite.faults import Fault, FaultServer, FaultyClients, HiddenMessages, Line, Storm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from func_bindings.durable.context import OrchestrationContext
    from func_bindings.durable.entities import EntityContext
    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.invocation.invoker import Steps

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]

PATIENCE_S: Final = 30.0
LATE_S: Final = 6.0
AT_ONCE: Final = 6
EVERY_FAULT: Final = "FUNC_HOST_TEST_EVERY_FAULT"

T = TypeVar("T")
logger = logging.getLogger(__name__)

FAULTS: Final = (
    Fault(name="500 before", status=500),
    Fault(name="503 with Retry-After before", status=503, retry_after_s=1),
    Fault(name="429 before", status=429),
    Fault(name="lost before"),
    Fault(name="lost after", takes_effect=True),
    Fault(name="500 after", takes_effect=True, status=500),
    Fault(name="lost before, not retried", attempts=1),
    Fault(name="503 before, not retried", status=503, attempts=1),
    Fault(name="lost after, not retried", takes_effect=True, attempts=1),
    Fault(name="500 after, not retried", takes_effect=True, status=500, attempts=1),
    Fault(name="death before", is_crash=True),
    Fault(name="death after", is_crash=True, takes_effect=True),
)


# What runs


async def chain(context: OrchestrationContext) -> Any:
    """Run five activities one after the other."""
    return [await context.call_activity("work", n) for n in range(5)]


async def waiter(context: OrchestrationContext) -> Any:
    """Wait for an event of this process, a timer, and events of another process."""
    first = await context.call_activity("work", "first")
    near = await context.wait_for_external_event("near")
    await context.create_timer(timedelta(milliseconds=300))
    far = [await context.wait_for_external_event("far") for _ in range(2)]
    return [first, near, sorted(far), await context.call_activity("work", "last")]


async def family(context: OrchestrationContext) -> Any:
    """Have a child, and start over with another."""
    turn = context.get_input()
    own = await context.call_activity("work", f"own {turn}")
    theirs = await context.call_sub_orchestrator("child", turn, "kid" if turn else None)
    if turn == 0:
        context.continue_as_new(1)
    return [own, theirs]


async def child(context: OrchestrationContext) -> Any:
    """Run two activities."""
    turn = context.get_input()
    return [await context.call_activity("work", f"child {turn} {n}") for n in range(2)]


async def fan(context: OrchestrationContext) -> Any:
    """Run activities all at once, half of which fail at first, and one more."""
    retry = RetryOptions(50, 5)
    calls = [context.call_activity("work", f"{n} fails", retry=retry) for n in range(2)]
    calls += [context.call_activity("work", str(n)) for n in range(2, 4)]
    return [*await context.task_all(calls), await context.call_activity("work", "last")]


async def listener(context: OrchestrationContext) -> Any:
    """Wait for two events of another process."""
    return sorted([await context.wait_for_external_event("far") for _ in range(2)])


async def caller(context: OrchestrationContext) -> Any:
    """Call an entity whose batch answers, tells another entity, and starts an orchestration."""
    relay = EntityId("relay", "r")
    first = await context.call_entity(relay, "pass_on", 5)
    context.signal_entity(relay, "pass_on", 6)
    async with await context.lock(relay, EntityId("counter", "c")):
        second = await context.call_entity(relay, "count")
    return [first, second]


async def noted(context: OrchestrationContext) -> Any:
    """Be started by an entity."""
    return context.get_input()


async def nudged(context: OrchestrationContext) -> Any:
    """Wait for an event."""
    return await context.wait_for_external_event("near")


def relay(context: EntityContext) -> None:
    """Count what is passed on, to another entity and to a new orchestration."""
    value = context.get_state(int, expected_type=int)
    if context.operation_name == "pass_on":
        value += 1
        given = context.get_input(int)
        context.signal_entity(EntityId("counter", "c"), "add", given)
        context.start_new("noted", f"noted {given}", given)
        context.set_state(value)
    context.set_result(value)


PROGRAMS: Final = {
    each.__name__: each
    for each in (chain, waiter, family, child, fan, listener, caller, noted, nudged)
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """What runs and what comes of it.

    Args:
        name: Of the orchestrator.
        given: Its input.
        output: What it gives.
        calls: The activities that run, where each runs once.
        use: What the user does after the start.
        instances: How many there are in the end.
        entities: The states of the entities in the end, by instance.
        is_remote: The line that fails is that of a client, which is the user's.
        sample: One of how many calls is tried by default.
    """

    name: str
    given: str | None
    output: Any
    calls: tuple[str, ...]
    use: Callable[[Case], Awaitable[None]]
    instances: int = 1
    entities: Mapping[str, str] = field(default_factory=dict[str, str])
    is_remote: bool = False
    sample: int = 3


async def _nothing(_case: Case) -> None:
    """Leave it alone."""


async def _raise_near_and_far(case: Case) -> None:
    await case.raise_event("near", "1")
    await case.raise_event("far", "1", is_remote=True)
    await case.raise_event("far", "2", is_remote=True)


async def _signal(case: Case) -> None:
    """Signal in this process and in another one, each operation under an id of its own."""
    for number in range(4):
        await case.signal(f"{number}", is_remote=number % 2 == 1)
    await case.raise_event("near", "1")


async def _raise_far(case: Case) -> None:
    await case.raise_event("far", "1", is_remote=True)
    await case.raise_event("far", "2", is_remote=True)


SCENARIOS: Final = (
    Scenario("chain", None, [0, 1, 2, 3, 4], ("0", "1", "2", "3", "4"), _nothing),
    Scenario("waiter", None, ["first", 1, [1, 2], "last"], ("first", "last"), _raise_near_and_far),
    Scenario(
        "family",
        "0",
        ["own 1", ["child 1 0", "child 1 1"]],
        ("own 0", "child 0 0", "child 0 1", "own 1", "child 1 0", "child 1 1"),
        _nothing,
        instances=3,
    ),
    Scenario(
        "fan",
        None,
        ["0 fails", "1 fails", "2", "3", "last"],
        ("0 fails", "0 fails", "1 fails", "1 fails", "2", "3", "last"),
        _nothing,
    ),
    Scenario(
        "caller",
        None,
        [1, 2],
        (),
        _nothing,
        instances=3,
        entities={"@relay@r": "2", "@counter@c": "11"},
        sample=9,
    ),
    Scenario("nudged", None, 1, (), _signal, entities={"@counter@c": "4"}, sample=4),
    Scenario("listener", None, [1, 2], (), _raise_far, is_remote=True),
)


# Where it runs


class _Invoker:
    """Gives back what came in; what shall fail does so the first time."""

    def __init__(self, called: list[str]) -> None:
        self._called = called

    def start(self, function: IndexedFunction, values: Mapping[str, object]) -> Invocation:
        invocation = Invocation(asyncio.get_running_loop())
        (value,) = values.values()
        assert not function.is_async
        name = str(value)
        is_failing = name.endswith("fails") and name not in self._called
        self._called.append(name)
        invocation.end(value, ValueError(name) if is_failing else None)
        return invocation

    def start_steps(self, function: IndexedFunction, steps: Steps) -> Invocation:  # noqa: ARG002 -- a role
        """Run a batch of operations at once."""
        invocation = Invocation(asyncio.get_running_loop())
        invocation.end(steps(), None)
        return invocation

    async def invoke(self, function: IndexedFunction, values: Mapping[str, object]) -> Any:
        return await self.start(function, values).outcome


def _index() -> FunctionIndex:
    entity = IndexedFunction(
        name="relay",
        function=relay,
        trigger=EntityTrigger(parameter="context"),
        client_inputs=(),
        location=SourceLocation(__file__, 1),
        app="faults",
        app_dir=Path(),
        is_async=False,
    )
    return FunctionIndex([*index_with(PROGRAMS).functions, entity])


def _hub_settings(*, works: bool = True) -> HubSettings:
    return HubSettings(
        partition_count=1,
        works=works,
        polling_interval_max_s=0.3,
        status_delay_s=0.1,
        settling_s=0,  # what a dead host has hidden is shown before another one begins
        use_app_lease=False,
    )


class _Host:
    """A process with a worker."""

    def __init__(
        self,
        connection: StorageConnection,
        names: TaskHubNames,
        line: Line,
        called: list[str],
        me: str,
    ) -> None:
        clock, ids = SystemClock(), SystemIds()
        self.line = line
        self.backend = AzureStorageBackend(
            FaultyClients(connection, line), names, clock, ids, _hub_settings(), worker_id=me
        )
        catalog = AppCatalog(_index())
        invoker = _Invoker(called)
        features = self.backend.features
        self._worker = DurableWorker(
            backend=self.backend,
            executor=InProcessExecutor(
                catalog,
                timer_leg_max=features.timer_leg_max,
                records_open_activities=features.records_open_activities,
            ),
            entities=EntityExecutor(catalog, invoker, clock, ids),
            catalog=catalog,
            invoker=invoker,
            clock=clock,
            ids=ids,
            settings=WorkerSettings(result_commit_delay_s=0.05),
        )
        self._running: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Open the hub and work."""
        await self.backend.__aenter__()
        self._running = asyncio.ensure_future(self._worker.run())
        self.line.is_counting = True

    async def stop(self) -> None:
        """Stop in order."""
        self.line.is_counting = False
        await self._end()
        await self.backend.__aexit__(None, None, None)

    async def die(self) -> None:
        """End where it is."""
        self.backend.abort()
        self.line.has_died.set()
        self.line.bury()
        await self._end()
        await self.line.arrived()
        await self.backend.aborted()

    async def _end(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)


class _Place:
    """The emulator, and a server that is at fault."""

    def __init__(self, connection: StorageConnection, server: FaultServer) -> None:
        self.connection = connection
        self.server = server
        self.clients = StorageClients(connection)


@pytest.fixture
async def place(connection: StorageConnection) -> AsyncIterator[_Place]:
    async with FaultServer() as server:
        place = _Place(connection, server)
        async with place.clients:
            yield place


class Case:
    """One orchestration on a hub of its own, with at most one fault."""

    def __init__(
        self, place: _Place, scenario: Scenario, fault: Fault | None = None, number: int = 0
    ) -> None:
        self.place = place
        self.scenario = scenario
        self.fault = fault
        self.number = number
        self.names = TaskHubNames(f"Hub{SystemIds().new_id()[:12]}")
        self.called: list[str] = []
        self.repeated: list[str] = []
        self.is_late = False
        self._is_taken_over = False
        self._hidden = HiddenMessages()
        self._quiet = Line(place.server, self._hidden)
        self.line = Line(place.server, self._hidden, fault, number)
        self.line.before_failing = self._note_recorded
        self._recorded: tuple[int, set[str]] = (0, set())
        self._host: _Host | None = None
        self._client: AzureStorageBackend | None = None
        self._is_up = asyncio.Event()

    def __str__(self) -> str:
        """Say how to repeat it."""
        fault = "no fault" if self.fault is None else self.fault.name
        return f"{self.scenario.name}, {fault}, call {self.number} ({self.line.failed})"

    # Its life

    async def run(self) -> None:
        """Run it to its end, and check what is left."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._run()
        except TimeoutError:
            raise AssertionError(f"not at its end; {await self._left()}") from None
        finally:
            for process in (self._client, self._host):
                if isinstance(process, _Host):
                    await process.die()
                elif process is not None:
                    process.abort()
                    await process.aborted()

    async def _run(self) -> None:
        await self._begin(self._quiet if self.scenario.is_remote else self.line, "first")
        await self._connect(self.line if self.scenario.is_remote else self._quiet)
        using = asyncio.ensure_future(self._use())
        passing = asyncio.ensure_future(self._let_time_pass())
        dying = asyncio.ensure_future(self.line.has_died.wait())
        try:
            await asyncio.wait({using, dying}, return_when=asyncio.FIRST_COMPLETED)
            await self._take_over_from_the_dead()
            await using
        finally:
            for task in (using, passing, dying):
                task.cancel()
        self.line.is_counting = False
        await self._until_queues_are_empty()
        await self._check()
        host, self._host = self._host, None
        assert host is not None
        await host.stop()

    async def _begin(self, line: Line, me: str) -> None:
        self._host = _Host(self.place.connection, self.names, line, self.called, me)
        await self._host.start()
        self._is_up.set()

    async def _connect(self, line: Line) -> None:
        clients = FaultyClients(self.place.connection, line)
        client = AzureStorageBackend(
            clients, self.names, SystemClock(), SystemIds(), _hub_settings(works=False)
        )
        self._client = await client.__aenter__()
        line.is_counting = line is self.line

    async def _take_over_from_the_dead(self) -> None:
        if self.line.has_died.is_set() and not self._is_taken_over:
            self._is_taken_over = True
            await self._take_over()

    async def _take_over(self) -> None:
        """Let the process be dead, and start another, maybe under another name."""
        self._is_up.clear()
        if self.scenario.is_remote:
            client, self._client = self._client, None
            assert client is not None
            client.abort()
            self.line.bury()
            await self.line.arrived()
            await client.aborted()
            await self._connect(self._quiet)
            self._is_up.set()
            return
        host, self._host = self._host, None
        assert host is not None
        await host.die()
        await self._hidden.show(self.place.clients)
        is_same = self.number % 2 == 0
        if not is_same:
            await self._let_leases_end()
        await self._begin(Line(self.place.server, self._hidden), "first" if is_same else "second")

    async def _let_leases_end(self) -> None:
        row: Row = {
            PARTITION_KEY: "",
            ROW_KEY: self.names.control_queue(0),
            "ExpiresAt": datetime(2020, 1, 1, tzinfo=UTC),
        }
        await self.place.clients.table(self.names.partitions_table).write(Merge(row))

    async def _let_time_pass(self) -> None:
        """Show what is hidden, where nothing else brings the orchestration on."""
        while True:
            await SystemClock().sleep(LATE_S)
            self.is_late = True
            await self._hidden.show(self.place.clients)

    # What its user does

    async def _use(self) -> None:
        await self._ask("start", self._start, is_remote=self.scenario.is_remote)
        await self.scenario.use(self)
        await self._ask("wait", lambda backend: backend.wait_for_completion("one"))

    async def _start(self, backend: AzureStorageBackend) -> None:
        start = ExecutionStarted(
            timestamp=SystemClock().now(),
            orchestration_instance=OrchestrationInstance("one", SystemIds().new_id()),
            name=self.scenario.name,
            input=self.scenario.given,
        )
        try:
            await backend.create_instance(start)
        except InstanceAlreadyExistsError:
            assert "start" in self.repeated

    async def raise_event(self, name: str, value: str, *, is_remote: bool = False) -> None:
        """Raise an event."""
        event = EventRaised(timestamp=SystemClock().now(), name=name, input=value)
        what = f"raise {name} {value}"
        try:
            await self._ask(
                what, lambda backend: backend.send_message("one", event), is_remote=is_remote
            )
        except InstanceCompletedError:  # the first try has brought it to its end
            assert what in self.repeated

    async def signal(self, operation_id: str, *, is_remote: bool) -> None:
        """Add one to the counter."""
        now = SystemClock().now()
        request = messages.operation(id=SystemIds().new_id(), op="add", input="1", is_signal=True)
        await self._ask(
            f"signal {operation_id}",
            lambda backend: backend.send_message(
                "@counter@c", messages.request_event(request, now), operation_id=operation_id
            ),
            is_remote=is_remote,
        )

    async def _ask(
        self,
        what: str,
        do: Callable[[AzureStorageBackend], Awaitable[T]],
        *,
        is_remote: bool = False,
    ) -> T:
        """Do something, again and again until it is accepted, as a user does."""
        while True:
            await self._is_up.wait()
            backend = self._client if is_remote else self._host and self._host.backend
            assert backend is not None
            try:
                return await do(backend)
            except BackendUnavailableError:
                self.repeated.append(what)
                await SystemClock().sleep(0.05)

    # What is left

    async def _rows(self, table: str) -> list[Row]:
        return [read_row(row) async for row in self.place.clients.table(table).list_entities()]

    async def _note_recorded(self) -> None:
        """Note which activities need not run any more."""
        rows = await self._rows(self.names.history_table)
        results = {str(row["Result"]) for row in rows if row.get("EventType") == "TaskCompleted"}
        self._recorded = (len(self.called), {str(json.loads(one)) for one in results})

    async def _message_count(self) -> int:
        queues = [self.names.control_queue(0), self.names.work_item_queue]
        found = [await self.place.clients.queue(one).get_queue_properties() for one in queues]
        return sum(one.approximate_message_count or 0 for one in found)

    async def _until_queues_are_empty(self) -> None:
        """Let the time pass for which messages are hidden, as often as it takes.

        A start that its user repeated may stay for long: its row might still come.
        """
        while not await self._is_at_rest():
            # Entities go on when the orchestration has ended, and the process may die at that.
            await self._take_over_from_the_dead()
            await self._hidden.show(self.place.clients)
            await SystemClock().sleep(0.5)
        await self._take_over_from_the_dead()

    async def _is_at_rest(self) -> bool:
        """Tell whether all is done: a status that could not be written follows in a moment."""
        count = await self._message_count()
        is_done = count <= self.repeated.count("start")
        return is_done and await self._entities() == self.scenario.entities

    async def _entities(self) -> dict[str, str | None]:
        """Give the states of the entities, by instance."""
        return {
            str(row[PARTITION_KEY]): read_state(str(row["Input"])).state
            for row in await self._rows(self.names.instances_table)
            if str(row[PARTITION_KEY]).startswith("@")
        }

    async def _histories(self) -> dict[str, list[HistoryEvent]]:
        rows: dict[str, list[Row]] = {}
        for row in await self._rows(self.names.history_table):
            rows.setdefault(str(row[PARTITION_KEY]), []).append(row)
        return {one: list(read_history(each).events) for one, each in rows.items()}

    async def _left(self) -> str:
        """Say what is there, for the message of a failure."""
        statuses = {
            row[PARTITION_KEY]: row.get("RuntimeStatus")
            for row in await self._rows(self.names.instances_table)
        }
        events = {
            one: [type(event).__name__ for event in history]
            for one, history in (await self._histories()).items()
        }
        count, states = await self._message_count(), await self._entities()
        return f"{statuses} {states} {count} messages, called {self.called}, {events}"

    async def _check(self) -> None:
        histories = await self._histories()
        rows = await self._rows(self.names.instances_table)
        entities = await self._entities()
        assert entities == self.scenario.entities, await self._left()
        for instance_id in entities:
            assert len(histories[instance_id]) == 3
        rows = [row for row in rows if row[PARTITION_KEY] not in entities]
        assert len(rows) == self.scenario.instances, await self._left()
        for row in rows:
            history = histories[str(row[PARTITION_KEY])]
            _check_history(history)
            assert row["RuntimeStatus"] == "Completed"
            (completed,) = [one for one in history if isinstance(one, ExecutionCompleted)]
            assert row["Output"] == completed.result
        (row,) = [row for row in rows if row[PARTITION_KEY] == "one"]
        if not any(what.startswith("raise far") for what in self.repeated):
            # An event that its user raises twice may well take the place of the next one.
            assert json.loads(str(row["Output"])) == self.scenario.output, await self._left()
        self._check_calls()
        await self._check_host(histories["one"])

    def _check_calls(self) -> None:
        first, recorded = self._recorded
        assert not recorded & set(self.called[first:]), "an activity ran again after its result"
        if self.fault is None or self.fault.is_hidden:
            assert Counter(self.called) == Counter(self.scenario.calls)
            assert not self.repeated
        assert set(self.called) == set(self.scenario.calls)

    async def _check_host(self, history: list[HistoryEvent]) -> None:
        assert self._host is not None
        backend = self._host.backend
        assert not backend._hub.inbox.instances()
        assert not backend._keeper._held
        assert not await backend.dead_letters()
        events = Counter(
            f"raise {one.name} {one.input}" for one in history if isinstance(one, EventRaised)
        )
        for name, count in events.items():
            assert count <= 1 + self.repeated.count(name), f"{name}: {count} times"


def _check_history(history: list[HistoryEvent]) -> None:
    """Each step has been answered once."""
    results = Counter(
        one.task_scheduled_id for one in history if isinstance(one, TaskCompleted | TaskFailed)
    )
    assert results == Counter(one.event_id for one in history if isinstance(one, TaskScheduled))
    children = [one for one in history if isinstance(one, SubOrchestrationInstanceCompleted)]
    assert Counter(one.task_scheduled_id for one in children) == Counter(
        one.event_id for one in history if isinstance(one, SubOrchestrationInstanceCreated)
    )
    fired = Counter(one.timer_id for one in history if isinstance(one, TimerFired))
    assert all(count == 1 for count in fired.values())
    assert sum(isinstance(one, ExecutionStarted) for one in history) == 1


# The tests

_CALLS: Final[dict[str, list[str]]] = {}


async def _calls_of(place: _Place, scenario: Scenario) -> list[str]:
    if scenario.name not in _CALLS:
        case = Case(place, scenario)
        await case.run()
        _CALLS[scenario.name] = case.line.calls
        logger.info("%s: %s", scenario.name, case.line.calls)
    return _CALLS[scenario.name]


def _chosen(count: int, fault: Fault, sample: int) -> list[int]:
    """Give the calls to try: all, or some, others for each fault."""
    if os.environ.get(EVERY_FAULT):
        return list(range(1, count + 1))
    return list(range(1 + FAULTS.index(fault) % sample, count + 1, sample))


async def _run_case(
    place: _Place, scenario: Scenario, fault: Fault, number: int, failures: list[str]
) -> Case:
    """Run a case; once more where the emulator gave a host no answer before the fault."""
    for is_last in (False, True):
        case = Case(place, scenario, fault, number)
        try:
            await case.run()
        except Exception as error:  # noqa: BLE001 -- told of with how to repeat it
            is_silent = isinstance(error, BackendUnavailableError) and case.line.failed is None
            if is_silent and not is_last:
                logger.warning("run again, the emulator did not answer: %s", case)
                continue
            failures.append(f"{case}: {type(error).__name__}: {error}")
        return case
    raise AssertionError("the last try is not repeated")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_a_fault_at_any_call_changes_nothing_in_the_end(
    place: _Place, scenario: Scenario, fault: Fault
) -> None:
    """Output, histories, rows and queues are those of an undisturbed run."""
    count = len(await _calls_of(place, scenario))
    numbers = _chosen(count, fault, scenario.sample)
    limit = asyncio.Semaphore(AT_ONCE)
    failures: list[str] = []

    async def run(number: int) -> None:
        async with limit:
            case = await _run_case(place, scenario, fault, number, failures)
        if case.is_late:
            logger.info("went on only once what was hidden showed up: %s", case)

    await asyncio.gather(*map(run, numbers))
    logger.info("%s, %s: calls %s of %s", scenario.name, fault.name, numbers, count)
    assert not failures, "\n".join(sorted(failures))


STORM_S: Final = 10.0
STORM_COUNT: Final = 50
STORM_SHARE: Final = 0.3
STORM_SEED: Final = 2026
_IN_STORM: Final = {
    "chain": (None, [0, 1, 2, 3, 4]),
    "fan": (None, ["0 fails", "1 fails", "2", "3", "last"]),
    "child": ("7", ["child 7 0", "child 7 1"]),
}


async def test_fifty_orchestrations_survive_a_storm(place: _Place) -> None:
    """For ten seconds three calls of ten fail in any way; no commit is lost or doubled."""
    hidden, called = HiddenMessages(), list[str]()
    faults = [fault for fault in FAULTS if fault.is_hidden]
    storm = Storm(place.server, hidden, faults, seed=STORM_SEED, share=STORM_SHARE)
    names = TaskHubNames(f"Hub{SystemIds().new_id()[:12]}")
    host = _Host(place.connection, names, storm, called, "first")
    await host.start()
    try:
        programs = [list(_IN_STORM)[n % len(_IN_STORM)] for n in range(STORM_COUNT)]
        async with asyncio.timeout(4 * PATIENCE_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(_calm_after(storm, STORM_S))
            runs = [
                tasks.create_task(_run_in_storm(host, program, n, STORM_S * n / STORM_COUNT))
                for n, program in enumerate(programs)
            ]
        logger.info("storm %s: %s calls, %s", STORM_SEED, len(storm.calls), storm.failures)
        for program, run in zip(programs, runs, strict=True):
            assert json.loads(run.result()) == _IN_STORM[program][1], (STORM_SEED, program)
        for n in range(STORM_COUNT):
            _check_history(list(await host.backend.get_history(f"{n}")))
        rows = [
            read_row(row)
            async for row in place.clients.table(names.instances_table).list_entities()
        ]
        assert Counter(str(row["RuntimeStatus"]) for row in rows) == {"Completed": STORM_COUNT}
        async with asyncio.timeout(PATIENCE_S):
            queue = place.clients.queue(names.control_queue(0))
            while (await queue.get_queue_properties()).approximate_message_count:
                await hidden.show(place.clients)
                await SystemClock().sleep(0.5)
    finally:
        await host.die()


async def _calm_after(storm: Storm, seconds: float) -> None:
    await SystemClock().sleep(seconds)
    storm.is_counting = False


async def _run_in_storm(host: _Host, program: str, number: int, delay_s: float) -> str:
    """Start an orchestration, as often as it takes, and give its output."""
    await SystemClock().sleep(delay_s)
    start = ExecutionStarted(
        timestamp=SystemClock().now(),
        orchestration_instance=OrchestrationInstance(f"{number}", SystemIds().new_id()),
        name=program,
        input=_IN_STORM[program][0],
    )
    while True:
        with suppress(InstanceAlreadyExistsError, BackendUnavailableError):
            await host.backend.create_instance(start)
        with suppress(BackendUnavailableError, InstanceNotFoundError):
            return (await host.backend.wait_for_completion(f"{number}")).output or ""
