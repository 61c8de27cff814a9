"""Starts the host that is measured, with a store of its own, and asks how much memory it takes."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from func_host.clock import SystemIds

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

REPOSITORY = Path(__file__).parent.parent
APP = Path(__file__).parent / "app"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
_READY_PATH = "/admin/host/ping"
_HUB_NAME = "AzureFunctionsJobHost__extensions__durableTask__hubName"
_MB = 1024 * 1024
_SYNCS = 50


class HostFailedError(RuntimeError):
    """The host did not start, or ended; the message holds what it printed."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host that answers; `process_id` is None where somebody else started it.

    `hub` is its task hub where that lies in a storage account.
    """

    address: str
    port: int
    process_id: int | None = None
    startup_s: float | None = None
    hub: str | None = None

    def memory_mb(self) -> tuple[float | None, float | None]:
        """Give the resident memory now and at its peak; the peak is known on Linux only."""
        if self.process_id is None:
            return None, None
        now = psutil.Process(self.process_id).memory_info().rss / _MB
        status = Path(f"/proc/{self.process_id}/status")
        if not status.exists():
            return round(now, 1), None
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(now, 1), round(int(peak.split()[1]) / 1024, 1)


@contextlib.contextmanager
def started_host(folder: Path, connection_string: str | None = None) -> Generator[Host]:
    """Start a host on a free port with an empty store; stop it at the end.

    The store is a SQLite file in this folder, or a new hub of the storage account that is named.

    Raises:
        HostFailedError: It ended, or did not answer in time.
    """
    port = _free_port()
    storage = "azure" if connection_string else f"sqlite:{folder / 'benchmark.db'}"
    command = [sys.executable, "-m", "func_host.cli", "start", str(APP)]
    command += ["--port", str(port), "--storage", storage]
    hub = f"Bench{SystemIds().new_id()[:12]}" if connection_string else None
    environment = _environment(_storage_settings(connection_string, hub))
    output = folder / "host.log"
    with output.open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 -- our own command line
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_until_ready(process, port, output)
        startup_s = time.perf_counter() - began
        yield Host("127.0.0.1", port, process.pid, startup_s, hub)
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def sync_ms(folder: Path) -> float:
    """Measure what one durable write costs in this folder: the floor under every commit."""
    costs: list[float] = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            costs.append((time.perf_counter() - began) * 1000)
    return statistics.median(costs)


def _storage_settings(connection_string: str | None, hub: str | None) -> dict[str, str]:
    if connection_string is None or hub is None:
        return {}
    return {"AzureWebJobsStorage": connection_string, _HUB_NAME: hub}


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Let the host import this checkout, installed or not."""
    paths = [str(REPOSITORY / "host"), str(REPOSITORY / "bindings")]
    known = os.environ.get("PYTHONPATH")
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *([known] if known else [])])}
    settings.pop("AzureWebJobsStorage", None)
    return {**settings, **more}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    """Ask until the host answers 200."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            printed = output.read_text(errors="replace")
            raise HostFailedError(f"the host ended with {process.returncode}:\n{printed}")
        if _answers(port):
            return
        time.sleep(0.005)
    printed = output.read_text(errors="replace")
    raise HostFailedError(f"the host did not answer in {START_TIMEOUT_S:.0f} s:\n{printed}")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            request = f"GET {_READY_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
            connection.sendall(request.encode())
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False
