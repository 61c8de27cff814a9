"""Large values in real blobs, whatever their names hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from func_host.durable.backends.azure_storage.blobs import LargeValues
from func_host.durable.backends.azure_storage.client import StorageClients

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]


@pytest.mark.parametrize(
    "instance_id",
    [
        "order",
        "@counter@one",
        "a:b",
        "with space",
        "Bücher",
        "!$&'()*+,;=~",
        "100%",
        "%40",
        "a^23b",
    ],
)
async def test_a_value_of_any_instance_is_put_read_and_deleted(
    connection: StorageConnection, names: TaskHubNames, instance_id: str
) -> None:
    async with StorageClients(connection) as clients:
        blobs = LargeValues(clients, names)
        name = f"{instance_id}/history-0000000000000001-ExecutionStarted-00000000-Input.json.gz"
        await blobs.put(name, "large")

        assert await blobs.get(name) == b"large"
        await blobs.delete(name)
        found = clients.container(names.large_messages_container).list_blob_names()
        assert [each async for each in found] == []
