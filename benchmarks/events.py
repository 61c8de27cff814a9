"""External events: from raising one to its effect on the instance that waited for it."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.http_client import MANAGEMENT, WAIT, HttpConnection, WrongAnswerError
from benchmarks.report import Measurement
from func_host.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.host_process import Host

_OK = 200
_ACCEPTED = 202
_POLL_S = 0.02
_ALL_WAIT_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsWorkload:
    """So many instances that wait for an event; so many at a time get theirs."""

    instances: int
    in_flight: int

    def parameters(self) -> dict[str, int | str]:
        """Give what somebody must know to run the same again."""
        return {
            "orchestrator": "bench_event",
            "instances": self.instances,
            "in_flight": self.in_flight,
        }

    async def run(self, host: Host, *, is_async: bool) -> Measurement:
        """Start all, wait until all wait, then raise an event to each."""
        del is_async  # no activity runs
        run = _Run(host, f"event-{time.time_ns()}-", self.instances)
        turns = iter(range(self.instances))
        async with asyncio.TaskGroup() as answers:
            for number in range(self.instances):
                answers.create_task(run.start_and_wait(number))
            await run.wait_until_all_wait()
            began = time.perf_counter()
            async with asyncio.TaskGroup() as events:
                for _ in range(self.in_flight):
                    events.create_task(run.raise_events(turns))
        return Measurement(
            elapsed_s=time.perf_counter() - began,
            operations=self.instances,
            unit="events",
            latencies_s=[run.ended_at[number] - run.raised_at[number] for number in run.ended_at],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoWorkload:
    """One instance that gets so many events, one after the other, and shows each as its status."""

    events: int

    def parameters(self) -> dict[str, int | str]:
        """Give what somebody must know to run the same again."""
        return {"orchestrator": "bench_echo", "events": self.events}

    async def run(self, host: Host, *, is_async: bool) -> Measurement:
        """Raise each event once the effect of the one before it can be seen."""
        del is_async  # no activity runs
        instance = f"{MANAGEMENT}/instances/echo-{time.time_ns()}"
        start = instance.replace("/instances/", "/orchestrators/bench_echo/")
        latencies: list[float] = []
        async with HttpConnection(host.address, host.port) as connection:
            body = json.dumps({"count": self.events}).encode()
            answer = await connection.request("POST", start, body)
            if answer.status != _ACCEPTED:
                raise WrongAnswerError("bench_echo", answer)
            await _wait_for_status(connection, instance, "runtimeStatus", "Running")
            began = time.perf_counter()
            for number in range(self.events):
                raised_at = time.perf_counter()
                path = f"{instance}/raiseEvent/Go"
                answer = await connection.request("POST", path, str(number).encode())
                if answer.status != _ACCEPTED:
                    raise WrongAnswerError("raiseEvent", answer)
                await _wait_for_status(connection, instance, "customStatus", number)
                latencies.append(time.perf_counter() - raised_at)
        return Measurement(
            elapsed_s=time.perf_counter() - began,
            operations=self.events,
            unit="events",
            latencies_s=latencies,
        )


async def _wait_for_status(
    connection: HttpConnection, instance: str, field_name: str, expected: object
) -> None:
    """Ask until the status of an instance says this."""
    async with asyncio.timeout(_ALL_WAIT_TIMEOUT_S):
        while True:
            answer = await connection.request("GET", instance)
            if answer.status not in {_OK, _ACCEPTED}:
                raise WrongAnswerError("the status", answer)
            if answer.json()[field_name] == expected:
                return


@dataclass(slots=True)
class _Run:
    """One run: when each event was raised, and when its instance answered."""

    host: Host
    prefix: str
    instances: int
    raised_at: dict[int, float] = field(default_factory=dict[int, float])
    ended_at: dict[int, float] = field(default_factory=dict[int, float])
    ended: dict[int, asyncio.Event] = field(default_factory=dict[int, asyncio.Event])

    def __post_init__(self) -> None:
        self.ended = {number: asyncio.Event() for number in range(self.instances)}

    async def start_and_wait(self, number: int) -> None:
        """Start one instance and wait for its output, which is the number it is sent."""
        path = f"{MANAGEMENT}/orchestrators/bench_event/{self.prefix}{number}?{WAIT}"
        async with HttpConnection(self.host.address, self.host.port) as connection:
            answer = await connection.request("POST", path)
        self.ended_at[number] = time.perf_counter()
        self.ended[number].set()
        if answer.status != _OK or answer.json() != number:
            raise WrongAnswerError("bench_event", answer)

    async def raise_events(self, turns: Iterator[int]) -> None:
        """Raise one event after the other, each once the instance before it has answered."""
        async with HttpConnection(self.host.address, self.host.port) as connection:
            for number in turns:
                self.raised_at[number] = time.perf_counter()
                path = f"{MANAGEMENT}/instances/{self.prefix}{number}/raiseEvent/Go"
                answer = await connection.request("POST", path, str(number).encode())
                if answer.status != _ACCEPTED:
                    raise WrongAnswerError("raiseEvent", answer)
                await self.ended[number].wait()

    async def wait_until_all_wait(self) -> None:
        """Ask until all instances run, and so wait for their event."""
        clock = SystemClock()
        path = (
            f"{MANAGEMENT}/instances?runtimeStatus=Running"
            f"&instanceIdPrefix={self.prefix}&top={self.instances}"
        )
        async with (
            HttpConnection(self.host.address, self.host.port) as connection,
            asyncio.timeout(_ALL_WAIT_TIMEOUT_S),
        ):
            while True:
                answer = await connection.request("GET", path)
                if answer.status == _OK and len(answer.json()) == self.instances:
                    return
                await clock.sleep(_POLL_S)
