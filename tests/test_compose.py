"""The Dockerfile and azurite-compose.yml hold together, and the commands in them run."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from func_host.cli import running
from func_host.config import load_configuration
from func_host.durable.backends.azure_storage.connection import (
    DEVELOPMENT_ACCOUNT,
    DEVELOPMENT_KEY,
    SharedKey,
    parse_connection_string,
)
from tests.azurite.emulator import VERSION
from tests.containers import (
    IMAGE_PORT,
    ROOT,
    copied_into,
    dockerfile,
    environment_of,
    health_check_of_image,
    instructions,
    is_image_healthy,
    is_sent,
    running_image,
    services,
)
from tests.e2e.host_process import STOP_TIMEOUT_S, free_port

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = ("host-1", "host-2")
START = "/runtime/webhooks/durabletask/orchestrators/hello_cities"


def published() -> dict[str, list[str]]:
    return {name: service["ports"] for name, service in services().items()}


def test_all_that_is_copied_is_there_and_sent_to_the_build() -> None:
    sources = [*copied_into("/source"), *copied_into("/app")]

    assert len(sources) == len({*sources}) > 5
    assert [each for each in sources if not (ROOT / each).exists() or not is_sent(each)] == []


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        ".func-host/Samples.db",
        "local.settings.json",
        "samples/approval/local.settings.json",
        "samples/approval/.func-host/TestHubName.db",
        "host/func_host/__pycache__/host.cpython-313.pyc",
        "tests/test_compose.py",
    ],
)
def test_what_is_of_this_machine_or_secret_is_not_sent(path: str) -> None:
    assert not is_sent(path)


def test_packages_are_installed_as_on_a_machine() -> None:
    packages, host = (each.words for each in instructions("RUN") if each.text.startswith("["))

    options = {"--require-hashes", "--no-deps", "--requirement"}
    assert options <= set(packages)
    assert packages[-1] == "constraints.txt"
    assert {"--no-deps", "--no-build-isolation"} <= set(host)


def test_the_host_does_not_run_as_root() -> None:
    names = [each.name for each in dockerfile()]
    (user,), runs = instructions("USER"), instructions("RUN")

    assert user.text not in {"root", "0"}
    assert "RUN" not in names[names.index("USER") :]
    assert any(f" {user.text} " in each.text and "useradd" in each.text for each in runs)


def test_nothing_is_between_a_signal_and_the_host() -> None:
    (entry,), (command,) = instructions("ENTRYPOINT"), instructions("CMD")

    assert entry.words == ["func-host"]
    assert command.words[0] == "start"


def test_a_stop_is_given_more_time_than_it_takes() -> None:
    drain = load_configuration(ROOT, environment={}).host_json.worker.drain_timeout
    takes_s = drain.total_seconds() + running._CLOSING_S

    for host in HOSTS:
        grace = re.fullmatch(r"(\d+)s", services()[host]["stop_grace_period"])
        assert grace is not None
        assert int(grace[1]) > takes_s


def test_the_hosts_differ_in_their_port_only() -> None:
    first, second = (
        {key: value for key, value in services()[host].items() if key != "ports"} for host in HOSTS
    )

    assert first == second
    assert first["build"] == "."
    assert first["profiles"] == ["hosts"]
    assert first["depends_on"] == {"azurite": {"condition": "service_healthy"}}
    assert "profiles" not in services()["azurite"]


def test_every_port_is_open_to_this_machine_only() -> None:
    assert published() == {
        "azurite": [f"127.0.0.1:{port}:{port}" for port in (10_000, 10_001, 10_002)],
        "host-1": ["127.0.0.1:7071:7071"],
        "host-2": ["127.0.0.1:7072:7071"],
    }


def test_the_image_listens_where_it_is_asked() -> None:
    (command,), (exposed,) = instructions("CMD"), instructions("EXPOSE")

    assert exposed.text == IMAGE_PORT
    assert command.words[command.words.index("--port") + 1] == IMAGE_PORT
    assert any(f":{IMAGE_PORT}/admin/host/ping" in word for word in health_check_of_image())


def test_azurite_is_the_one_that_is_tested() -> None:
    assert services()["azurite"]["image"].endswith(f"/azurite:{VERSION}")


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_finds_azurite_by_its_name(host: str) -> None:
    text = environment_of(host)["AzureWebJobsStorage"]

    connection = parse_connection_string(text, setting="AzureWebJobsStorage")

    root = "http://azurite:{}/" + DEVELOPMENT_ACCOUNT
    assert connection.blob_url == root.format(10_000)
    assert connection.queue_url == root.format(10_001)
    assert connection.table_url == root.format(10_002)
    assert connection.credential == SharedKey(account=DEVELOPMENT_ACCOUNT, key=DEVELOPMENT_KEY)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_the_image_runs_is_healthy_and_ends_in_order_at_sigterm(tmp_path: Path) -> None:
    settings, port = environment_of("host-1"), free_port()
    del settings["AzureWebJobsStorage"]
    assert not is_image_healthy(port)
    with running_image(tmp_path / "app", port, settings) as host:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            assert http.post(START).status_code == 401
            key = {"x-functions-key": settings["FUNC_HOST_MASTER_KEY"]}
            assert http.post(START, headers=key).status_code == 202
        host.terminate()
        printed, _ = host.communicate(timeout=STOP_TIMEOUT_S)

    assert host.returncode == 0, printed
    assert "Stopping" in printed
    assert "Traceback" not in printed
