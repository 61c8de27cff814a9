"""A storage account that cannot be used: one line, the remedy, no secret, and soon."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.host_process import REPOSITORY, free_port, run_func_host

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HELLO = REPOSITORY / "samples" / "hello_cities"
SOON_S = 8.0  # under 5 s where nothing else runs
KEY = "c2VjcmV0c2VjcmV0"


def account(name: str, address: str) -> str:
    """Give the connection string of an account whose services are all at one address."""
    services = ("Queue", "Table", "Blob")
    places = ";".join(f"{service}Endpoint=http://{address}/{name}" for service in services)
    return f"AccountName={name};AccountKey={KEY};{places}"


@contextlib.contextmanager
def swallowing() -> Generator[str]:
    """Give an address that takes connections and never answers."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        yield f"127.0.0.1:{deaf.getsockname()[1]}"


def start(folder: Path, connection: str, *options: str) -> subprocess.CompletedProcess[str]:
    settings = {"AzureWebJobsStorage": connection, "NO_PROXY": "*"}
    return run_func_host(
        "start", str(HELLO), "--port", "0", *options, cwd=folder, settings=settings
    )


def only_line(ended: subprocess.CompletedProcess[str]) -> str:
    """Give the one line that was printed."""
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert KEY not in line
    return line


def test_an_azurite_that_does_not_run_is_told_with_how_to_start_it(tmp_path: Path) -> None:
    began = time.monotonic()
    ended = start(tmp_path, account("devstoreaccount1", f"127.0.0.1:{free_port()}"))
    took_s = time.monotonic() - began

    assert ended.returncode == 1
    assert took_s < SOON_S
    line = only_line(ended)
    assert "Azure Storage does not answer" in line
    assert "npx azurite" in line
    assert "func-host start --storage sqlite" in line


def test_an_address_that_swallows_everything_is_told_soon(tmp_path: Path) -> None:
    with swallowing() as address:
        began = time.monotonic()
        ended = start(tmp_path, account("shop", address))
        took_s = time.monotonic() - began

    assert ended.returncode == 1
    assert took_s < SOON_S
    assert "no answer in time" in only_line(ended)


def test_an_account_whose_name_is_not_known_is_told_with_its_setting(tmp_path: Path) -> None:
    ended = start(tmp_path, account("shop", "no-such-account.invalid"))

    assert ended.returncode == 1
    line = only_line(ended)
    assert "Azure Storage does not answer" in line
    assert "Check the account in AzureWebJobsStorage" in line


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ("secret", "is not a storage connection string"),
        ("AccountName=shop;AccountKey=not-secret!", "its AccountKey is not Base64"),
        ("AccountName=shop", "has no AccountKey"),
        ("AccountName=shop;AccountKey=c2VjcmV0;QueueEndpoint=nowhere", "QueueEndpoint"),
    ],
)
def test_a_connection_string_that_is_none_is_a_mistake_in_the_settings(
    tmp_path: Path, connection: str, expected: str
) -> None:
    ended = start(tmp_path, connection)

    assert ended.returncode == 2
    line = only_line(ended)
    assert line.startswith("AzureWebJobsStorage")
    assert expected in line
    assert "UseDevelopmentStorage=true" in line
    assert "secret" not in line


def test_a_connection_that_is_not_there_is_told_with_all_ways_to_set_it(tmp_path: Path) -> None:
    ended = start(tmp_path, "", "--storage", "azure")

    assert ended.returncode == 2
    line = only_line(ended)
    assert "There is no storage connection AzureWebJobsStorage" in line
    assert "UseDevelopmentStorage=true" in line
    assert "AzureWebJobsStorage__accountName" in line
