"""What is measured: each workload starts orchestrations over HTTP and waits for their answers.

An answer comes on the request that started the instance (`timeout=`), so nothing polls a status.
Every answer is compared with the right one: a fast wrong answer is an error.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.events import EchoWorkload, EventsWorkload
from benchmarks.http_client import MANAGEMENT, WAIT, HttpConnection, WrongAnswerError
from benchmarks.report import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.host_process import Host

_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Many instances of one orchestrator, so many of them at a time.

    Args:
        orchestrator: Name of the function in the app.
        unit: What throughput counts.
        count: Size of one instance (`Size.count` of the app).
        instances: How many instances.
        in_flight: How many of them at a time, each on a connection of its own.
        units_each: How many units one instance does.
        expected: Checks the output of an instance.
    """

    orchestrator: str
    unit: str
    expected: Callable[[Any], bool]
    count: int = 1
    instances: int = 1
    in_flight: int = 1
    units_each: int = 1
    warm_up: int = 0

    def parameters(self) -> dict[str, int | str]:
        """Give what somebody must know to run the same again."""
        return {
            "orchestrator": self.orchestrator,
            "count": self.count,
            "instances": self.instances,
            "in_flight": self.in_flight,
            "warm_up": self.warm_up,
        }

    async def run(self, host: Host, *, is_async: bool) -> Measurement:
        """Run all instances and check every output."""
        body = json.dumps({"count": self.count, "is_async": is_async}).encode()
        path = f"{MANAGEMENT}/orchestrators/{self.orchestrator}?{WAIT}"
        await self._drive(host, path, body, instances=self.warm_up, in_flight=1)
        began = time.perf_counter()
        done = await self._drive(
            host, path, body, instances=self.instances, in_flight=self.in_flight
        )
        return Measurement(
            elapsed_s=time.perf_counter() - began,
            operations=self.instances * self.units_each,
            unit=self.unit,
            latencies_s=[latency for latency, _ in done],
            details=_details(done[-1][1]),
        )

    async def _drive(
        self, host: Host, path: str, body: bytes, *, instances: int, in_flight: int
    ) -> list[tuple[float, Any]]:
        turns = iter(range(instances))
        done: list[tuple[float, Any]] = []

        async def one_after_the_other() -> None:
            async with HttpConnection(host.address, host.port) as connection:
                for _ in turns:
                    began = time.perf_counter()
                    answer = await connection.request("POST", path, body)
                    latency = time.perf_counter() - began
                    if answer.status != _OK or not self.expected(answer.json()):
                        raise WrongAnswerError(self.orchestrator, answer)
                    done.append((latency, answer.json()))

        await _side_by_side(one_after_the_other, in_flight)
        return done


async def _side_by_side(work: Callable[[], Any], times: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(times):
            tasks.create_task(work())


def _details(output: Any) -> Mapping[str, float]:
    """Give the figures that a workload measured inside of the host."""
    match output:
        case {"first_ms": float(first), "last_ms": float(last)}:
            return {
                "first_200_steps_ms": first,
                "last_200_steps_ms": last,
                "last_to_first": last / first,
            }
        case _:
            return {}


def _chain(in_flight: int, *, instances: int = 200, warm_up: int = 5) -> Workload:
    hello = [f"Hello {number}!" for number in range(5)]
    return Workload(
        orchestrator="bench_chain",
        unit="chains",
        expected=lambda output: output == hello,
        count=5,
        instances=instances,
        in_flight=in_flight,
        warm_up=warm_up,
    )


def _fan_out(count: int) -> Workload:
    total = sum(number * number for number in range(count))
    return Workload(
        orchestrator="bench_fan_out",
        unit="activities",
        expected=lambda output: output == total,
        count=count,
        units_each=count,
    )


def _sequence(count: int) -> Workload:
    return Workload(
        orchestrator="bench_sequence",
        unit="steps",
        expected=lambda output: output["steps"] == count,
        count=count,
        units_each=count,
    )


def _timers(instances: int) -> Workload:
    return Workload(
        orchestrator="bench_timer",
        unit="timers",
        expected=lambda output: output == "fired",
        instances=instances,
        in_flight=instances,
    )


AnyWorkload = Workload | EventsWorkload | EchoWorkload


def named_workloads() -> Iterator[tuple[str, AnyWorkload]]:
    """Give every workload by name."""
    yield "chain-1", _chain(1)
    yield "chain-20", _chain(20)
    yield "chain-100", _chain(100)
    yield "fan-out-1000", _fan_out(1_000)
    yield "fan-out-5000", _fan_out(5_000)
    yield "sequence-2000", _sequence(2_000)
    yield "sequence-10000", _sequence(10_000)
    yield "events-200", EventsWorkload(instances=200, in_flight=20)
    yield "timers-1000", _timers(1_000)


def azurite_workloads() -> Iterator[tuple[str, AnyWorkload]]:
    """Give the workloads of an emulator by name: each is over within its first minute.

    After that Azurite stops answering for a while, once many messages have passed.
    """
    yield "chain-1", _chain(1)
    yield "chain-20", _chain(20, instances=300, warm_up=20)
    yield "fan-out-1000", _fan_out(1_000)
    yield "sequence-200", _sequence(200)
    yield "sequence-2000", _sequence(2_000)
    yield "echo-100", EchoWorkload(events=100)
    yield "events-200", EventsWorkload(instances=200, in_flight=20)
