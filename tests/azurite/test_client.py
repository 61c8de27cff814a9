"""The clients on a real emulator: what is put is found, what is asked is counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.client_batch import Delete, Insert, Merge, Replace
from func_host.durable.backends.azure_storage.connection import SharedKey
from func_host.durable.backends.azure_storage.request_count import EMPTY_POLL, RequestKind
from func_host.durable.backends.azure_storage.table_rows import read_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.table_rows import Row

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
    etag = await table.write(Insert(row))
    last = await table.write(Merge(row, etag))
    with pytest.raises(ResourceModifiedError):
        await table.write(Replace(row, etag))
    with pytest.raises(ResourceExistsError) as caught:
        await table.transact([Replace({**row, "RowKey": "1"}), Insert(row)])
    assert vars(caught.value)["error_code"] == "EntityAlreadyExists"
    rows = [entity async for entity in table.query_entities("PartitionKey eq 'i'")]
    assert [entity["Number"] for entity in rows] == [1]
    assert [getattr(entity, "metadata", {})["etag"] for entity in rows] == [last]

    assert counted(clients) == {
        ("CreateTable", 201): 1,
        ("InsertEntity", 204): 1,
        ("MergeEntity", 204): 1,
        ("UpdateEntity", 412): 1,
        ("EntityGroupTransaction", 202): 1,
        ("QueryEntities", 200): 1,
    }


KEYS = [
    "i",
    "o'clock",
    "two words",
    "100%",
    "%25",
    "%27",
    "😀",
    "a^0b^^",
    "é",
    "@c@k",
    "{0}",
    "a:b",
]


@pytest.mark.parametrize("key", KEYS)
async def test_rows_are_found_under_the_keys_they_were_written_with(
    clients: StorageClients, names: TaskHubNames, key: str
) -> None:
    """One by one and in transactions, with every kind of value."""
    table = clients.table(names.history_table)
    await table.create_table()
    row: Row = {
        "PartitionKey": key,
        "RowKey": key,
        "Text": 'a "quoted" {ü😀}\u2028\r\nline',
        "Number": -7,
        "IsPlayed": True,
        "At": datetime(2026, 11, 22, 7, 30, 15, 123_456, tzinfo=UTC),
    }
    others: list[Row] = [{**row, "RowKey": str(number)} for number in range(99)]
    etags = await table.transact([*map(Insert, others), Replace(row)])
    await table.write(Merge({"PartitionKey": key, "RowKey": key, "More": "ü"}, etags[-1]))
    await table.transact(list(map(Delete, others[1:])))
    await table.write(Delete(others[0]))
    (found,) = [read_row(entity) async for entity in table.list_entities()]

    assert found == {**row, "More": "ü"}
    assert len([etag for etag in etags if etag]) == 100


async def test_what_is_not_there_is_told(clients: StorageClients, names: TaskHubNames) -> None:
    table = clients.table(names.instances_table)
    row = {"PartitionKey": "i", "RowKey": ""}
    for ask in (table.write(Insert(row)), table.transact([Insert(row)])):
        with pytest.raises(ResourceNotFoundError) as caught:
            await ask
        assert vars(caught.value)["error_code"] == "TableNotFound"
    await table.create_table()
    for operation in (Delete(row), Merge(row, "W/\"datetime'2026-01-01T00%3A00%3A00Z'\"")):
        with pytest.raises(ResourceNotFoundError):
            await table.write(operation)


async def test_a_wrong_key_is_refused(connection: StorageConnection) -> None:
    wrong = replace(connection, credential=SharedKey(account="devstoreaccount1", key="d3Jvbmc="))
    async with StorageClients(wrong) as clients:
        table = clients.table("HubHistory")
        row = {"PartitionKey": "i", "RowKey": ""}
        for ask in (table.write(Insert(row)), table.transact([Insert(row)])):
            with pytest.raises(ClientAuthenticationError):
                await ask


async def test_blobs_are_written_and_read(clients: StorageClients, names: TaskHubNames) -> None:
    container = clients.container(names.large_messages_container)
    await container.create_container()
    await container.upload_blob("i/message.gz", b"\x1f\x8b")
    assert await (await container.download_blob("i/message.gz")).readall() == b"\x1f\x8b"

    assert RequestKind("blob", "PutBlob", 201) in clients.counter.snapshot()
    assert clients.counter.total() == 3
