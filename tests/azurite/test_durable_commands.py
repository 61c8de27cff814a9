"""`func-host durable` on a hub on Azure Storage."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from func_host.cli.group import main
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import (
    DEVELOPMENT_ACCOUNT,
    DEVELOPMENT_KEY,
)
from func_host.durable.backends.azure_storage.dead_letters import DeadLetters

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from tests.azurite.emulator import Azurite

pytestmark = pytest.mark.azurite


@pytest.fixture
def app_dir(
    tmp_path: Path, azurite: Azurite, names: TaskHubNames, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An app whose hub has a control queue and nothing else."""
    monkeypatch.setenv("AzureWebJobsStorage", azurite.connection_string)
    durable = {
        "hubName": names.hub,
        "storageProvider": {"type": "azureStorage", "partitionCount": 1},
    }
    document = {"version": "2.0", "extensions": {"durableTask": durable}}
    (tmp_path / "host.json").write_text(json.dumps(document))
    return tmp_path


def run(app_dir: Path, *arguments: str) -> Result:
    command = ["durable", "dead-letters", *arguments, "--app-dir", str(app_dir)]
    return CliRunner().invoke(main, command)


async def bury(connection: StorageConnection, names: TaskHubNames, message_id: str) -> None:
    async with StorageClients(connection) as clients:
        await DeadLetters(clients, names).bury(
            names.control_queue(0),
            message_id,
            "no message",
            instance_id="one",
            reason="UnreadableError: it is neither JSON nor Base64",
            attempts=5,
            now=datetime(2026, 8, 1, tzinfo=UTC),
        )


async def count_messages(connection: StorageConnection, names: TaskHubNames) -> int:
    async with StorageClients(connection) as clients:
        properties = await clients.queue(names.control_queue(0)).get_queue_properties()
        return properties.approximate_message_count or 0


def test_dead_letters_are_listed_retried_and_dropped(
    app_dir: Path, connection: StorageConnection, names: TaskHubNames
) -> None:
    assert run(app_dir, "list").output == "There are no dead letters.\n"
    for message_id in ("first", "second"):
        asyncio.run(bury(connection, names, message_id))
    first, second = (f"{names.control_queue(0)}/{each}" for each in ("first", "second"))

    assert [letter["id"] for letter in json.loads(run(app_dir, "list", "--json").stdout)] == [
        first,
        second,
    ]
    assert run(app_dir, "retry", first).exit_code == 0
    assert run(app_dir, "drop", second).exit_code == 0
    assert run(app_dir, "list").output == "There are no dead letters.\n"
    assert asyncio.run(count_messages(connection, names)) == 1
    assert run(app_dir, "retry", first).exit_code == 1


def test_a_storage_that_does_not_answer_is_told_in_one_line(
    app_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = ";".join(
        f"{service}Endpoint=http://127.0.0.1:1/{DEVELOPMENT_ACCOUNT}"
        for service in ("Blob", "Queue", "Table")
    )
    account = f"AccountName={DEVELOPMENT_ACCOUNT};AccountKey={DEVELOPMENT_KEY}"
    monkeypatch.setenv("AzureWebJobsStorage", f"{account};{nowhere}")

    result = run(app_dir, "list")

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "Azure Storage does not answer" in result.stderr
