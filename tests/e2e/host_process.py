"""A `func-host start` of a test's own: a real process that can be asked, interrupted and killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

REPOSITORY = Path(__file__).parent.parent.parent
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
_INTERVAL_S = 0.005

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], what: str, timeout_s: float = 60.0) -> T:
    """Ask a foreign process again and again until the condition gives something true; give that.

    The only place of these tests that lets time pass: another process has no event to wait for.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(_INTERVAL_S)
    raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give an environment in which a child finds this checkout, and no storage of somebody else."""
    paths = os.pathsep.join([str(REPOSITORY / "host"), str(REPOSITORY / "bindings")])
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AzureWebJobs", "FUNC_HOST_", "AzureFunctions"))
    }
    return {**inherited, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", **(settings or {})}


def func_host(*arguments: str) -> list[str]:
    """Give the command line of `func-host` with these arguments."""
    return [sys.executable, "-m", "func_host.cli", *arguments]


def run_func_host(
    *arguments: str, cwd: Path, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `func-host` to its end."""
    return subprocess.run(  # noqa: S603 -- our own command line
        func_host(*arguments),
        cwd=cwd,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )


class HostProcess:
    """One host on one port over one store, which may be started again after its end."""

    def __init__(
        self,
        app: Path,
        folder: Path,
        *,
        arguments: tuple[str, ...] = (),
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        storage: str | None = None,
    ) -> None:
        """Name the app and the folder for store and output; nothing runs before `start`.

        Its store is a file below the folder, if no other is given as for `--storage`.
        """
        self.app = app
        self.folder = folder
        self.store = folder / "store" / "hub.db"
        self.output = folder / "host.log"
        self.working_folder = folder
        self.port = port or free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self.settings = dict(settings or {})
        self.startup_s = 0.0
        self._arguments = arguments
        self._storage = storage
        self._process: subprocess.Popen[bytes] | None = None
        self.store.parent.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it, whatever state it is in."""
        self.close()

    def close(self) -> None:
        """Kill the process if it lives, and close the connections to it."""
        self.client.close()
        if self.is_running:
            self.kill()

    @property
    def is_running(self) -> bool:
        """True while the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, once started."""
        assert self._process is not None, "start() comes first"
        return self._process

    def start(self, *, wait: bool = True) -> None:
        """Start the process; wait until it answers, unless told otherwise."""
        command = func_host("start", str(self.app), "--port", str(self.port))
        command += ["--storage", self._storage or f"sqlite:{self.store}", *self._arguments]
        began = time.perf_counter()
        with self.output.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own command line
                command,
                cwd=self.working_folder,
                env=environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        if wait:
            self.wait_until_ready()
            self.startup_s = time.perf_counter() - began

    def wait_until_ready(self) -> None:
        """Wait until the host answers 200; fail with what it printed where it ends instead."""

        def is_ready() -> bool:
            assert self.is_running, f"the host has ended:\n{self.printed()}"
            try:
                return self.client.get("/admin/host/ping").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(is_ready, "the host answers", START_TIMEOUT_S)

    def kill(self) -> None:
        """`kill -9`: no handler of the process runs."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.terminate()

    def wait(self) -> int:
        """Wait until the process has ended; give its exit code."""
        return self.process.wait(STOP_TIMEOUT_S)

    def printed(self) -> str:
        """Give all that was printed so far, by every start."""
        return self.output.read_text(errors="replace")

    def start_instance(self, orchestrator: str, instance_id: str, input_: object) -> None:
        """Start an instance; it is acknowledged when this returns."""
        path = f"/runtime/webhooks/durabletask/orchestrators/{orchestrator}/{instance_id}"
        answer = self.client.post(path, json=input_)
        assert answer.status_code == 202, answer.text

    def status(self, instance_id: str) -> dict[str, object]:
        """Give the status of an instance."""
        path = f"/runtime/webhooks/durabletask/instances/{instance_id}"
        answer = self.client.get(path, params={"showInput": "false"})
        assert answer.status_code in {200, 202}, answer.text
        status: dict[str, object] = answer.json()
        return status

    def wait_for_end(self, instance_id: str, timeout_s: float = 60.0) -> dict[str, object]:
        """Wait until an instance has ended; give its status."""

        def ended() -> dict[str, object] | None:
            status = self.status(instance_id)
            return None if status["runtimeStatus"] in {"Pending", "Running"} else status

        return wait_until(ended, f"{instance_id} ends", timeout_s)
