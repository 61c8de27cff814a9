"""Two processes and one store: one owns it, and what it acknowledged survives it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from func_host.clock import SystemClock
from func_host.durable.backend import InstanceQuery, StoreInUseError
from func_host.durable.backends.sqlite import SqliteBackend

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.anyio

# Creates instances with twenty clients, each telling on standard output what was acknowledged.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from func_host.clock import SystemClock
from func_host.durable.backends.sqlite import SqliteBackend
from func_host.durable.history import ExecutionStarted, OrchestrationInstance

clock = SystemClock()

async def client(backend, client_id):
    number = 0
    while True:
        instance_id = f"{client_id}-{number}"
        instance = OrchestrationInstance(instance_id, "first")
        await backend.create_instance(
            ExecutionStarted(timestamp=clock.now(), orchestration_instance=instance, name="f")
        )
        print(instance_id, flush=True)
        number += 1

async def main():
    async with SqliteBackend(Path(sys.argv[1]), clock) as backend:
        print("opened", flush=True)
        async with asyncio.TaskGroup() as group:
            for client_id in range(20):
                group.create_task(client(backend, client_id))

asyncio.run(main())
"""


@contextmanager
def writing_process(path: Path) -> Generator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(  # noqa: S603 -- our own program
        [sys.executable, "-c", PROGRAM, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "opened\n"
            yield process
        finally:
            process.kill()


def acknowledged(process: subprocess.Popen[str], count: int) -> list[str]:
    """What the process has said: this much at least, then all it said before it was killed."""
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(count)]
    process.kill()
    return lines + [line.strip() for line in process.stdout if line.endswith("\n")]


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with writing_process(path) as process:
        with pytest.raises(StoreInUseError) as refusal:
            await SqliteBackend(path, SystemClock()).__aenter__()
        assert str(path) in str(refusal.value)
        assert sys.platform == "win32" or f"process {process.pid}" in str(refusal.value)


@pytest.mark.parametrize("count", [1, 50, 700])
async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, count: int) -> None:
    path = tmp_path / "hub.db"
    with writing_process(path) as process:
        told = acknowledged(process, count)

    async with SqliteBackend(path, SystemClock()) as backend:
        page = await backend.query_instances(InstanceQuery(page_size=1_000_000))
        stored = {record.instance_id for record in page.instances}
        assert set(told) <= stored
        items = [await backend.next_work_item() for _ in stored]
        assert {item.instance_id for item in items} == stored
        assert all(len(item.messages) == 1 for item in items)
