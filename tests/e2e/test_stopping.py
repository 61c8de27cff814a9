"""SIGTERM and Ctrl-C: take no more work, finish or release what runs, end within a deadline."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.host_process import HostProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DRAIN_TIMEOUT_S = 2
STOPS_SOON_S = 5.0
NO_SIGNALS = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")

APP = """
import os, time
from pathlib import Path
from func_bindings import OrchestrationContext, activity_trigger, orchestration_trigger

FOLDER = Path(os.environ["TEST_FOLDER"])

@activity_trigger
def wait_for_go(name: str) -> str:
    with (FOLDER / "begun").open("a") as file:
        file.write(name + "\\n")
    while not (FOLDER / "go").exists():
        time.sleep(0.01)
    return f"{name} went"

@orchestration_trigger
async def slow(context: OrchestrationContext) -> str:
    return await context.call_activity(wait_for_go, context.instance_id)

@orchestration_trigger
async def waiting(context: OrchestrationContext) -> str:
    return await context.wait_for_external_event("Go", str)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(APP)
    (app / "host.json").write_text(
        json.dumps({"version": "2.0", "funcHost": {"drainTimeout": f"00:00:0{DRAIN_TIMEOUT_S}"}})
    )
    return tmp_path


def host_in(folder: Path) -> HostProcess:
    return HostProcess(folder / "app", folder, settings={"TEST_FOLDER": str(folder)})


def begun(folder: Path) -> list[str]:
    file = folder / "begun"
    return file.read_text().splitlines() if file.exists() else []


def stop_and_wait(host: HostProcess, stop: Callable[[], None]) -> float:
    """Stop a host; give how long that took."""
    began = time.monotonic()
    stop()
    code = host.wait()
    assert code in {0, 130}, f"{code}: {host.printed()}"
    assert "Traceback" not in host.printed(), host.printed()
    return time.monotonic() - began


@NO_SIGNALS
@pytest.mark.parametrize("signal", ["terminate", "interrupt"])
def test_an_idle_host_stops_at_once(folder: Path, signal: str) -> None:
    with host_in(folder) as host:
        assert stop_and_wait(host, getattr(host, signal)) < STOPS_SOON_S


@NO_SIGNALS
@pytest.mark.parametrize("signal", ["terminate", "interrupt"])
def test_an_activity_that_runs_is_finished_and_not_run_again(folder: Path, signal: str) -> None:
    with host_in(folder) as host:
        host.start_instance("slow", "one", None)
        wait_until(lambda: begun(folder), "the activity begins")
        getattr(host, signal)()
        (folder / "go").touch()
        assert host.wait() in {0, 130}, host.printed()

        host.start()
        status = host.wait_for_end("one")

        assert status["output"] == "one went"
        assert begun(folder) == ["one"]


@NO_SIGNALS
@pytest.mark.parametrize("signal", ["terminate", "interrupt"])
def test_an_activity_that_does_not_end_is_released_and_runs_again(
    folder: Path, signal: str
) -> None:
    with host_in(folder) as host:
        host.start_instance("slow", "one", None)
        wait_until(lambda: begun(folder), "the activity begins")
        took = stop_and_wait(host, getattr(host, signal))
        assert took < DRAIN_TIMEOUT_S + STOPS_SOON_S

        (folder / "go").touch()
        host.start()
        status = host.wait_for_end("one")

        assert status["output"] == "one went"
        assert begun(folder) == ["one", "one"]


@NO_SIGNALS
def test_a_second_interrupt_ends_the_wait(folder: Path) -> None:
    with host_in(folder) as host:
        host.start_instance("slow", "one", None)
        wait_until(lambda: begun(folder), "the activity begins")
        host.interrupt()
        wait_until(lambda: not answers(host), "the host takes no more requests")
        host.interrupt()

        assert host.wait() != 1, host.printed()


@NO_SIGNALS
def test_a_request_that_waits_for_an_instance_does_not_hold_the_stop(folder: Path) -> None:
    with host_in(folder) as host, ThreadPoolExecutor(1) as pool:
        path = "/runtime/webhooks/durabletask/orchestrators/waiting/one"
        asked = pool.submit(host.client.post, path, params={"timeout": 60, "pollingInterval": 1})
        wait_until(lambda: is_known(host, "one"), "the instance is there")

        took = stop_and_wait(host, host.terminate)

        assert took < DRAIN_TIMEOUT_S + STOPS_SOON_S
        asked.exception(STOPS_SOON_S)  # answered or cut off, but not left hanging


def is_known(host: HostProcess, instance_id: str) -> bool:
    path = f"/runtime/webhooks/durabletask/instances/{instance_id}"
    return host.client.get(path).status_code != 404


def answers(host: HostProcess) -> bool:
    try:
        return host.client.get("/admin/host/ping").status_code == 200
    except httpx.TransportError:
        return False
