"""`python -m benchmarks.store`: what commits of the SQLite store cost, as JSON lines.

Steps of four events go straight to the backend, without a host: one committer alone, then many at
the same time, each while the event loop is idle and while half of it is taken by other Python code.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.clock import SystemClock
from func_host.durable.backend import Commit, Fence, StatusChange
from func_host.durable.backends.sqlite import SqliteBackend
from func_host.durable.history import (
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
)

if TYPE_CHECKING:
    from func_host.durable.history import HistoryEvent

CLOCK = SystemClock()
BUSY_SLICE_S = 0.001
EVENTS_PER_STEP = 4


def step(start: ExecutionStarted, number: int) -> Commit:
    """Make the commit of one activity after the other."""
    now = CLOCK.now()
    arrived: HistoryEvent = start
    if number > 0:
        arrived = TaskCompleted(timestamp=now, task_scheduled_id=number, result='"Hello London!"')
    return Commit(
        instance_id=start.orchestration_instance.instance_id,
        fence=Fence(start.orchestration_instance.execution_id, number * EVENTS_PER_STEP),
        started=start if number == 0 else None,
        events=(
            OrchestratorStarted(timestamp=now),
            arrived,
            TaskScheduled(timestamp=now, event_id=number, name="say_hello"),
            OrchestratorCompleted(timestamp=now),
        ),
        status=StatusChange(
            runtime_status=OrchestrationRuntimeStatus.Running, last_updated_time=now
        ),
        open_activities=1,
    )


async def run_instance(backend: SqliteBackend, name: str, steps: int) -> list[float]:
    """Write an instance step by step; give the seconds that each step took."""
    start = ExecutionStarted(
        timestamp=CLOCK.now(),
        orchestration_instance=OrchestrationInstance(name, f"{name}-1"),
        name="hello",
    )
    await backend.create_instance(start)
    took: list[float] = []
    for number in range(steps):
        began = CLOCK.monotonic()
        await backend.commit(step(start, number))
        took.append(CLOCK.monotonic() - began)
    return took


async def take_the_loop(share: float) -> None:
    """Keep the event loop busy for this share of the time."""
    while True:
        until = CLOCK.monotonic() + BUSY_SLICE_S * share
        while CLOCK.monotonic() < until:
            pass
        await CLOCK.sleep(BUSY_SLICE_S * (1 - share))


async def measure(path: Path, committers: int, steps: int, busy_share: float) -> dict[str, float]:
    """Run so many committers side by side over a new store."""
    async with SqliteBackend(path, CLOCK) as backend, asyncio.TaskGroup() as background:
        busy = background.create_task(take_the_loop(busy_share)) if busy_share else None
        began = CLOCK.monotonic()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(run_instance(backend, f"instance-{number}", steps))
                for number in range(committers)
            ]
        seconds = CLOCK.monotonic() - began
        if busy is not None:
            busy.cancel()
    percentiles = quantiles((took for task in tasks for took in task.result()), n=100)
    return {
        "committers": committers,
        "busy_share": busy_share,
        "commits_per_s": round(committers * steps / seconds),
        "p50_ms": round(percentiles[49] * 1000, 3),
        "p99_ms": round(percentiles[98] * 1000, 3),
    }


def main() -> None:
    """Print a line for each combination."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--store-folder", type=Path, help="where to put the stores")
    folder = parser.parse_args().store_folder
    with tempfile.TemporaryDirectory(dir=folder) as name:
        for committers, steps in ((1, 2000), (100, 100)):
            for busy_share in (0.0, 0.5):
                path = Path(name) / f"{committers}-{busy_share}.db"
                line = asyncio.run(measure(path, committers, steps, busy_share))
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
