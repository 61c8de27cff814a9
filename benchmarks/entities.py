"""`python -m benchmarks.entities`: what signals to entities cost, a JSON line for each workload.

A whole host runs in this process, and its client sends: so many signals in flight, each awaited
until it is stored, until all of them have been done. HTTP is not among it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.host_process import APP, sync_ms
from benchmarks.loops import run_fast
from benchmarks.report import Measurement, figures, medians
from func_bindings.durable.entities import EntityId
from func_host.clock import SystemClock, SystemIds
from func_host.testing.harness import AppHarness
from tests.azurite.emulator import Azurite

if TYPE_CHECKING:
    from collections.abc import Generator

    from benchmarks.report import Figure
    from func_bindings.durable.client import DurableClient

SQLITE: Final = "sqlite"
AZURITE: Final = "azurite"
_COUNTER: Final = "BenchCounter"
_WARM_UP: Final = 200
_LOOK_S: Final = 0.005
_PATIENCE_S: Final = 120.0
_HUB_NAME: Final = "AzureFunctionsJobHost__extensions__durableTask__hubName"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsWorkload:
    """So many signals, spread over so many counters, so many of them in flight."""

    counters: int
    signals: int = 2_000
    in_flight: int = 100

    def parameters(self) -> dict[str, int | str]:
        """Give what somebody must know to run the same again."""
        return {
            "counters": self.counters,
            "signals": self.signals,
            "in_flight": self.in_flight,
            "warm_up": _WARM_UP,
        }

    async def run(self, client: DurableClient) -> Measurement:
        """Send all, and wait until the counters have the sum."""
        await self._send(client, "warm-up", _WARM_UP)
        began, cpu_began = time.perf_counter(), time.process_time()
        latencies = await self._send(client, "counter", self.signals)
        stored_s = time.perf_counter() - began
        await _wait_for_sum(client, "counter", self.signals)
        cpu_s = time.process_time() - cpu_began
        return Measurement(
            elapsed_s=time.perf_counter() - began,
            operations=self.signals,
            unit="operations",
            latencies_s=latencies,
            details={
                "stored_per_s": self.signals / stored_s,
                "cpu_ms_each": cpu_s * 1000 / self.signals,
            },
        )

    async def _send(self, client: DurableClient, prefix: str, signals: int) -> list[float]:
        counters = [EntityId(_COUNTER, f"{prefix}-{number}") for number in range(self.counters)]
        turns = iter(range(signals))
        latencies: list[float] = []

        async def one_after_the_other() -> None:
            for number in turns:
                began = time.perf_counter()
                await client.signal_entity(counters[number % self.counters], "add", 1)
                latencies.append(time.perf_counter() - began)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.in_flight):
                tasks.create_task(one_after_the_other())
        if prefix == "warm-up":
            await _wait_for_sum(client, prefix, signals)
        return latencies


async def _wait_for_sum(client: DurableClient, prefix: str, expected: int) -> None:
    """Ask until the counters have this sum."""
    clock = SystemClock()
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            found = await client.list_entities(_COUNTER, prefix, include_state=True)
            total = sum(counter.state["value"] for counter in found if counter.exists)
            assert total <= expected, f"{total} operations have been done, not {expected}"
            if total == expected:
                return
            await clock.sleep(_LOOK_S)


WORKLOADS: Final = {
    "signals-1": SignalsWorkload(counters=1),
    "signals-100": SignalsWorkload(counters=100),
}


@contextlib.contextmanager
def _harness(storage: str, store_folder: Path | None) -> Generator[AppHarness]:
    """Give a host, not yet started, whose store is empty."""
    if storage == AZURITE:
        with Azurite() as azurite:
            settings = {
                "AzureWebJobsStorage": azurite.connection_string,
                _HUB_NAME: f"Bench{SystemIds().new_id()[:12]}",
            }
            yield AppHarness(APP, storage="azure", settings=settings)
        return
    with tempfile.TemporaryDirectory(dir=store_folder) as folder:
        yield AppHarness(APP, storage=f"sqlite:{Path(folder) / 'benchmark.db'}")


async def _measure(harness: AppHarness, workload: SignalsWorkload) -> Measurement:
    async with harness:
        return await workload.run(harness.client)


class Arguments(argparse.Namespace):
    """The command line, as parsed."""

    workloads: list[str]
    storage: str
    repeat: int
    store_folder: Path | None


def main() -> None:
    """Print a line for each workload."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.entities", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--storage", choices=[SQLITE, AZURITE], default=SQLITE)
    parser.add_argument("--repeat", type=int, default=1, help="print medians of so many runs")
    parser.add_argument("--store-folder", type=Path, help="where the store lies")
    arguments = parser.parse_args(namespace=Arguments())
    for name in arguments.workloads or WORKLOADS:
        if name not in WORKLOADS:
            parser.error(f"unknown workload '{name}': choose from {', '.join(WORKLOADS)}")
        print(json.dumps(_line(name, arguments)), flush=True)


def _line(name: str, arguments: Arguments) -> dict[str, object]:
    workload = WORKLOADS[name]
    runs: list[dict[str, Figure]] = []
    for _ in range(arguments.repeat):
        with _harness(arguments.storage, arguments.store_folder) as harness:
            runs.append(figures(run_fast(_measure(harness, workload)), None, None))
    parameters: dict[str, object] = dict(workload.parameters())
    parameters |= {"runs": arguments.repeat, "storage": arguments.storage}
    if arguments.storage == SQLITE:
        with tempfile.TemporaryDirectory(dir=arguments.store_folder) as folder:
            parameters["disk_sync_ms"] = round(sync_ms(Path(folder)), 3)
    slowest = min(run["throughput_per_s"] or 0.0 for run in runs)
    measured = {**medians(runs), "slowest_run_per_s": round(slowest, 3)}
    return {"workload": name, "unit": "operations", **measured, "parameters": parameters}


if __name__ == "__main__":
    main()
