"""`python -m benchmarks.requests`: what a hub on Azure Storage costs in requests, as a table.

A real host on an emulator counts what it asks of the storage (`/admin/metrics`); the difference
before and after each case is the case's cost. Polls that find nothing are told apart, and so is
what an idle host does. A renewal of a lease may fall into a case: the median of some runs is free
of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.host_process import started_host
from benchmarks.http_client import MANAGEMENT, WAIT, HttpConnection, WrongAnswerError
from func_host.clock import SystemClock, SystemIds
from func_host.durable.backends.azure_storage.backend import AzureStorageBackend
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.hub import HubSettings
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.partitions import partition_of
from func_host.durable.backends.azure_storage.request_count import EMPTY_POLL
from func_host.durable.history import EventRaised, ExecutionStarted, OrchestrationInstance
from tests.azurite.emulator import Azurite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from benchmarks.host_process import Host

_OK: Final = 200
_ACCEPTED: Final = 202
_EVENTS: Final = 10
_ROUNDS: Final = 5
_PARTITIONS: Final = 4
_QUIET_S: Final = 1.5
"""A status that nobody waits for is written within a second."""

_PATIENCE_S: Final = 60.0
_LOOK_S: Final = 0.05
_SETTLED_AFTER_S: Final = 65.0
"""By then a poll that found nothing is followed by the longest pause."""

_COUNT: Final = re.compile(
    r'^func_host_storage_requests_total\{.*operation="(\w+)".*\} (\d+)', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured, and what it costs with the provider: by its formula, or as counted.

    In the formulas N is the number of activities, R that of the receives with their results, and E
    that of the episodes; P partitions, one worker.
    """

    name: str
    provider: float
    formula: str
    goal: str
    measure: Callable[[Meter], Awaitable[float]]


class Meter:
    """A host and a client of its hub in this process, with the requests of both."""

    def __init__(self, host: Host, connection: HttpConnection, client: AzureStorageBackend) -> None:
        self._host = host
        self._connection = connection
        self._client = client
        self._clock = SystemClock()
        self._started = 0

    async def counts(self) -> Mapping[str, int]:
        """Give the requests of the host, by operation."""
        answer = await self._connection.request("GET", "/admin/metrics")
        if answer.status != _OK:
            raise WrongAnswerError("/admin/metrics", answer)
        found: dict[str, int] = {}
        for operation, count in _COUNT.findall(answer.body.decode()):
            found[operation] = found.get(operation, 0) + int(count)
        return found

    async def useful(self) -> int:
        """Give the requests of both, but for polls that found nothing."""
        counts = await self.counts()
        ours = sum(count for operation, count in counts.items() if operation != EMPTY_POLL)
        return ours + sum(each.count for each in self._client.request_counts())

    async def total(self) -> int:
        """Give all requests of the host."""
        return sum((await self.counts()).values())

    async def settled(self) -> int:
        """Wait until nothing is asked any more; give the requests so far."""
        last, since = -1, time.monotonic()
        while time.monotonic() < since + _QUIET_S:
            now = await self.useful()
            if now != last:
                last, since = now, time.monotonic()
            await self._clock.sleep(_LOOK_S)
        return last

    async def cost(self, work: Callable[[], Awaitable[None]]) -> int:
        """Give what something costs until nothing follows from it any more."""
        before = await self.settled()
        await work()
        return await self.settled() - before

    async def run(self, orchestrator: str, count: int) -> None:
        """Start an instance over HTTP and wait for its end, which no request tells."""
        path = f"{MANAGEMENT}/orchestrators/{orchestrator}/{self.new_id()}?{WAIT}"
        answer = await self._connection.request("POST", path, _size(count))
        if answer.status != _OK:
            raise WrongAnswerError(orchestrator, answer)

    async def start(self, orchestrator: str, count: int) -> str:
        """Start an instance over HTTP, and do not wait for it."""
        instance_id = self.new_id()
        path = f"{MANAGEMENT}/orchestrators/{orchestrator}/{instance_id}"
        answer = await self._connection.request("POST", path, _size(count))
        if answer.status != _ACCEPTED:
            raise WrongAnswerError(orchestrator, answer)
        await self.settled()
        return instance_id

    async def raise_here(self, instance_id: str) -> None:
        """Raise an event with the host that has the instance."""
        path = f"{MANAGEMENT}/instances/{instance_id}/raiseEvent/Go"
        answer = await self._connection.request("POST", path, b"1")
        if answer.status != _ACCEPTED:
            raise WrongAnswerError("raiseEvent", answer)

    async def raise_elsewhere(self, instance_id: str) -> None:
        """Raise an event in this process, and wait until the host has deleted its message."""
        event = EventRaised(timestamp=self._clock.now(), name="Go", input="1")
        await self._until_deleted(lambda: self._client.send_message(instance_id, event))

    async def run_elsewhere(self, orchestrator: str, instance_id: str, count: int) -> None:
        """Start an instance in this process, and wait until the host has deleted its message."""
        instance = OrchestrationInstance(instance_id, SystemIds().new_id())
        start = ExecutionStarted(
            timestamp=self._clock.now(),
            orchestration_instance=instance,
            name=orchestrator,
            input=_size(count).decode(),
        )
        await self._until_deleted(lambda: self._client.create_instance(start))

    async def _until_deleted(self, put: Callable[[], Awaitable[None]]) -> None:
        before = (await self.counts()).get("DeleteMessage", 0)
        await put()
        async with asyncio.timeout(_PATIENCE_S):
            while (await self.counts()).get("DeleteMessage", 0) == before:
                await self._clock.sleep(_LOOK_S)

    async def sleep(self, seconds: float) -> None:
        """Let the host idle."""
        await self._clock.sleep(seconds)

    def new_id(self) -> str:
        """Give an id that no other instance of this run has."""
        self._started += 1
        return f"cost-{self._started}"


def _size(count: int) -> bytes:
    return json.dumps({"count": count, "is_async": False}).encode()


def _whole(orchestrator: str, count: int) -> Callable[[Meter], Awaitable[float]]:
    async def measure(meter: Meter) -> float:
        return await meter.cost(lambda: meter.run(orchestrator, count))

    return measure


def _beyond_nothing(orchestrator: str, count: int) -> Callable[[Meter], Awaitable[float]]:
    async def measure(meter: Meter) -> float:
        nothing = await meter.cost(lambda: meter.run("bench_chain", 0))
        return await meter.cost(lambda: meter.run(orchestrator, count)) - nothing

    return measure


async def _event_here(meter: Meter) -> float:
    instance_id = await meter.start("bench_listen", _EVENTS + 1)

    async def raise_all() -> None:
        for _ in range(_EVENTS):
            await meter.raise_here(instance_id)

    return await meter.cost(raise_all) / _EVENTS


async def _event_elsewhere(meter: Meter) -> float:
    instance_id = await meter.start("bench_listen", _EVENTS + 2)
    await meter.raise_elsewhere(instance_id)  # from now on its queue is looked into often

    async def raise_all() -> None:
        for _ in range(_EVENTS):
            await meter.raise_elsewhere(instance_id)

    return await meter.cost(raise_all) / _EVENTS


async def _start_elsewhere(meter: Meter) -> float:
    first = meter.new_id()
    home = partition_of(first, _PARTITIONS)
    await meter.run_elsewhere("bench_chain", first, 5)  # from now on its queue is looked into often
    second = next(one for one in iter(meter.new_id, "") if partition_of(one, _PARTITIONS) == home)
    return await meter.cost(lambda: meter.run_elsewhere("bench_chain", second, 5))


_COUNTED: Final = {
    0: "no activity",
    1: "1 activity",
    5: "5 sequential activities",
    20: "20 sequential activities",
}


def cases() -> list[Case]:
    """Give what is measured, but for an idle host."""
    sequences = [
        Case(
            f"{_COUNTED[count]}, with the start",
            9 * count + 9,
            "9N + 9",
            f"{max(count, 1) + 4}",
            _whole("bench_chain", count),
        )
        for count in _COUNTED
    ]
    fan_out = "5N + 9 + R + 3E + 1"
    again = f"continue-as-new, {_ROUNDS} times, without anything else"
    return [
        *sequences,
        Case("fan-out of 100, with the start", 629, fan_out, "10", _whole("bench_fan_out", 100)),
        Case("an event from the process of its instance", 6, "6 (+1)", "2", _event_here),
        Case("an event from another process", 6, "6 (+1)", "5", _event_elsewhere),
        Case("a timer", 6, "6", "4", _beyond_nothing("bench_timer", 0)),
        Case("a child that does nothing", 12, "12", "", _beyond_nothing("bench_parent", 0)),
        Case(again, 0, "0", "", _beyond_nothing("bench_again", _ROUNDS)),
        Case("5 activities, started by another process", 54, "9N + 9", "12", _start_elsewhere),
    ]


async def _idle(meter: Meter, seconds: float) -> float:
    """Give the requests of a minute in which nothing happens."""
    await meter.sleep(_SETTLED_AFTER_S)
    before = await meter.total()
    await meter.sleep(seconds)
    return (await meter.total() - before) * 60 / seconds


async def _measure(host: Host, connection_string: str, arguments: Arguments) -> None:
    """Print the table, row by row as they come."""
    assert host.hub is not None
    clients = StorageClients(parse_connection_string(connection_string, setting="Azurite"))
    ours = HubSettings(works=False)
    names, clock = TaskHubNames(host.hub), SystemClock()
    async with (
        AzureStorageBackend(clients, names, clock, SystemIds(), ours) as client,
        HttpConnection(host.address, host.port) as connection,
    ):
        meter = Meter(host, connection, client)
        print("| case | measured | goal | DurableTask | its formula |\n|---|---|---|---|---|")
        for case in cases():
            if not any(part in case.name for part in arguments.cases or [""]):
                continue
            runs = [await case.measure(meter) for _ in range(arguments.repeat)]
            measured = statistics.median(runs)
            row = (case.name, f"{measured:g}", case.goal, f"{case.provider:g}", case.formula)
            print(f"| {' | '.join(row)} |", flush=True)
        if arguments.idle_s:
            idle = await _idle(meter, arguments.idle_s)
            print(f"| a minute of an idle host, P = 4 | {idle:.1f} | 20 | 42 | 8P + 8 + 2.4 |")


class Arguments(argparse.Namespace):
    """The command line, as parsed."""

    cases: list[str]
    repeat: int
    idle_s: float


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requests", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="part of the name of a case; default: all"
    )
    parser.add_argument("--repeat", type=int, default=3, help="print medians of so many runs")
    parser.add_argument(
        "--idle-s", type=float, default=180, help="watch an idle host for so long; 0: do not"
    )
    arguments = parser.parse_args(namespace=Arguments())
    with (
        Azurite() as azurite,
        tempfile.TemporaryDirectory() as folder,
        started_host(Path(folder), azurite.connection_string) as host,
    ):
        asyncio.run(_measure(host, azurite.connection_string, arguments))


if __name__ == "__main__":
    main()
