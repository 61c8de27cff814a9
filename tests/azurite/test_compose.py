"""What azurite-compose.yml says of Azurite is what Azurite takes, and its health check tells."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from tests.azurite.emulator import CONNECTION_SETTING, Azurite, node
from tests.containers import environment_of, replaced, running_image, services
from tests.e2e.host_process import STOP_TIMEOUT_S, free_port

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.azurite

PORTS = ("10000", "10001", "10002")
HOSTS = ("host-1", "host-2")
START = "/runtime/webhooks/durabletask/orchestrators/hello_cities"
CITIES = ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


@contextmanager
def azurite_of_compose(folder: Path) -> Generator[dict[str, str]]:
    """Run the service's command here, on free ports; give these by those of the file."""
    program, *arguments = services()["azurite"]["command"]
    assert program == "azurite"
    options = replaced(arguments, {"0.0.0.0": "127.0.0.1", "/data": str(folder)})  # noqa: S104
    with Azurite(options) as azurite:
        parts = (part.partition("=") for part in azurite.connection_string.split(";"))
        urls = {name: value for name, _, value in parts}
        names = ("BlobEndpoint", "QueueEndpoint", "TableEndpoint")
        ports = [str(urlsplit(urls[name]).port) for name in names]
        yield dict(zip(PORTS, ports, strict=True))


def is_healthy(ports: dict[str, str]) -> bool:
    """Run the service's health check on other ports."""
    kind, program, *arguments = services()["azurite"]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "node")
    command = [node(), *replaced(arguments, ports)]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0  # noqa: S603


def test_azurite_takes_the_command_keeps_its_data_there_and_is_healthy_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CONNECTION_SETTING, raising=False)
    with azurite_of_compose(tmp_path) as ports:
        assert is_healthy(ports)
        for port in PORTS:  # each of the three is looked at
            assert not is_healthy({**ports, port: str(free_port())})

    assert not is_healthy(ports)
    assert {path.name for path in tmp_path.glob("__azurite_db_*.json")} >= {
        "__azurite_db_blob__.json",
        "__azurite_db_queue__.json",
        "__azurite_db_table__.json",
    }


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_both_hosts_start_on_it_run_what_is_started_on_either_and_end_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CONNECTION_SETTING, raising=False)
    (tmp_path / "data").mkdir()
    with azurite_of_compose(tmp_path / "data") as ports, ExitStack() as stack:
        hosts = {name: free_port() for name in HOSTS}
        processes = [
            stack.enter_context(running_image(tmp_path / name, port, settings_of(name, ports)))
            for name, port in hosts.items()
        ]
        for name, port in hosts.items():
            assert hello(port, settings_of(name, ports)) == CITIES
            assert 'operation="PutMessage",status="201"' in metrics(port, settings_of(name, ports))
        for process in processes:
            process.terminate()
        for process in processes:
            printed, _ = process.communicate(timeout=STOP_TIMEOUT_S)
            assert process.returncode == 0, printed
            assert "storage requests (requests=" in printed
            assert "Traceback" not in printed


def settings_of(host: str, ports: dict[str, str]) -> dict[str, str]:
    """Give the variables of a host of the file, for one on this machine."""
    settings = environment_of(host)
    text = settings["AzureWebJobsStorage"]
    for port, ours in ports.items():
        assert f"//azurite:{port}/" in text
        text = text.replace(f"//azurite:{port}/", f"//127.0.0.1:{ours}/")
    return {**settings, "AzureWebJobsStorage": text}


def hello(port: int, settings: dict[str, str]) -> object:
    """Start hello_cities and wait for its output."""
    answer = httpx.post(
        f"http://127.0.0.1:{port}{START}",
        params={"timeout": 30, "pollingInterval": 1},
        headers=key_of(settings),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def metrics(port: int, settings: dict[str, str]) -> str:
    """Give what the host tells Prometheus."""
    answer = httpx.get(f"http://127.0.0.1:{port}/admin/metrics", headers=key_of(settings))
    assert answer.status_code == 200
    return answer.text


def key_of(settings: dict[str, str]) -> dict[str, str]:
    """Give the header with the key."""
    return {"x-functions-key": settings["FUNC_HOST_MASTER_KEY"]}
