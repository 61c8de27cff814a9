"""What azurite-compose.yml says of Azurite is what Azurite takes, and its health check tells."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.azurite.emulator import CONNECTION_SETTING, Azurite, node
from tests.containers import replaced, services
from tests.e2e.host_process import free_port

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.azurite

PORTS = ("10000", "10001", "10002")


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
