"""The clients on a real emulator: what is put is found, what is asked is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError
from azure.data.tables import TableTransactionError, TransactionOperation, UpdateMode

from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.request_count import EMPTY_POLL, RequestKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]


@pytest.fixture
async def clients(connection: StorageConnection) -> AsyncIterator[StorageClients]:
    async with StorageClients(connection) as clients:
        yield clients


def counted(clients: StorageClients) -> dict[tuple[str, int], int]:
    return {
        (kind.operation, kind.status): count for kind, count in clients.counter.snapshot().items()
    }


async def test_queues_take_text_as_it_is_and_each_request_is_counted(
    clients: StorageClients, names: TaskHubNames
) -> None:
    queue = clients.queue(names.control_queue(0))
    await queue.create_queue()
    put = await queue.send_message('{"ü": "<&>"}', time_to_live=-1)
    got = [message async for message in queue.receive_messages(messages_per_page=32)]
    assert [message.content for message in got] == ['{"ü": "<&>"}']
    updated = await queue.update_message(got[0], visibility_timeout=60)
    await queue.delete_message(put.id, updated.pop_receipt)
    assert [message async for message in queue.receive_messages()] == []

    assert counted(clients) == {
        ("CreateQueue", 201): 1,
        ("PutMessage", 201): 1,
        ("GetMessages", 200): 1,
        (EMPTY_POLL, 200): 2,  # the library asks for a second page
        ("UpdateMessage", 204): 1,
        ("DeleteMessage", 204): 1,
    }


async def test_tables_write_under_a_condition_and_in_transactions(
    clients: StorageClients, names: TaskHubNames
) -> None:
    table = clients.table(names.history_table)
    await table.create_table()
    row = {"PartitionKey": "i", "RowKey": "sentinel", "Number": 1}
    etag = str((await table.create_entity(row))["etag"])
    under = MatchConditions.IfNotModified
    await table.update_entity(row, UpdateMode.MERGE, etag=etag, match_condition=under)
    with pytest.raises(ResourceModifiedError):
        await table.update_entity(row, UpdateMode.REPLACE, etag=etag, match_condition=under)
    with pytest.raises(TableTransactionError):
        await table.submit_transaction([(TransactionOperation.CREATE, row)])
    rows = [entity async for entity in table.query_entities("PartitionKey eq 'i'")]
    assert [entity["Number"] for entity in rows] == [1]

    assert counted(clients) == {
        ("CreateTable", 201): 1,
        ("InsertEntity", 201): 1,
        ("MergeEntity", 204): 1,
        ("UpdateEntity", 412): 1,
        ("EntityGroupTransaction", 202): 1,
        ("QueryEntities", 200): 1,
    }


async def test_blobs_are_written_and_read(clients: StorageClients, names: TaskHubNames) -> None:
    container = clients.container(names.large_messages_container)
    await container.create_container()
    await container.upload_blob("i/message.gz", b"\x1f\x8b")
    assert await (await container.download_blob("i/message.gz")).readall() == b"\x1f\x8b"

    assert RequestKind("blob", "PutBlob", 201) in clients.counter.snapshot()
    assert clients.counter.total() == 3
