"""A host that stands still past its leases owns nothing when it goes on, from the first moment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from func_host.durable.backends.azure_storage.partition_manager import (
    PartitionManager,
    PartitionSettings,
)
from tests.azurite.holder import FAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from tests.azurite.emulator import Azurite

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.azurite,
    pytest.mark.skipif(sys.platform == "win32", reason="no process can be paused there"),
]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def holder(azurite: Azurite, names: TaskHubNames) -> Iterator[subprocess.Popen[str]]:
    paths = [str(ROOT), str(ROOT / "host"), str(ROOT / "bindings")]
    process = subprocess.Popen(  # noqa: S603 -- a module of these tests
        [sys.executable, "-m", "tests.azurite.holder", azurite.connection_string, names.hub],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    with process:
        yield process
        os.kill(process.pid, signal.SIGCONT)
        process.kill()


def ask(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("?\n")
    process.stdin.flush()


async def answer(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    partitions: list[int] = json.loads(await asyncio.to_thread(process.stdout.readline))
    return partitions


class Taken:
    """Waits until all partitions were acquired."""

    def __init__(self) -> None:
        self.missing = {0, 1, 2, 3}
        self.all = asyncio.Event()

    def partition_acquired(self, partition: int) -> None:
        self.missing.discard(partition)
        if not self.missing:
            self.all.set()

    def partition_draining(self, partition: int) -> None: ...

    def partition_lost(self, partition: int) -> None: ...


async def test_a_paused_host_owns_nothing_when_it_wakes_up(
    holder: subprocess.Popen[str], connection: StorageConnection, names: TaskHubNames
) -> None:
    ask(holder)
    assert await answer(holder) == [0, 1, 2, 3]

    os.kill(holder.pid, signal.SIGSTOP)
    taken = Taken()
    successor = PartitionManager(
        connection,
        names,
        worker_id="successor",
        listener=taken,
        settings=PartitionSettings(leases=FAST),
    )
    async with successor:
        async with asyncio.timeout(30):
            await taken.all.wait()
        ask(holder)  # the question waits for it
        os.kill(holder.pid, signal.SIGCONT)

        assert await answer(holder) == []
        assert successor.owned == {0, 1, 2, 3}
