"""Loads recorded hubs into a storage account, and reads what an account holds of a hub."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContentSettings

from func_host.durable.backends.azure_storage.client_batch import Insert
from func_host.durable.backends.azure_storage.table_rows import read_row
from tests.golden.histories.rows import read_takeover

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.table_rows import Row

DELAY_MAX_S = 2
"""A delayed message is loaded with no longer delay: it is due by now, as its README says."""

_RECORDED = "TakeHub"


@dataclass(frozen=True, slots=True)
class HubContent:
    """What an account holds of a hub, but for the text of messages.

    Args:
        message_counts: By queue, how many messages lie there, hidden ones as well.
        history: The rows of all instances.
        instances: The status rows.
        tables: The names of all tables.
        blobs: The names of the blobs, by container.
    """

    message_counts: Mapping[str, int]
    history: Sequence[Row]
    instances: Sequence[Row]
    tables: frozenset[str]
    blobs: Mapping[str, frozenset[str]]


def recorded_hub(name: str, names: TaskHubNames) -> dict[str, Any]:
    """Give a recorded hub, under another name."""
    text = json.dumps(read_takeover(name))
    renamed = text.replace(_RECORDED, names.hub).replace(_RECORDED.lower(), names.hub.lower())
    hub: dict[str, Any] = json.loads(renamed)
    return hub


async def load(clients: StorageClients, hub: Mapping[str, Any]) -> None:
    """Put all of a recorded hub into an account: nothing is leased, all messages are to be had."""
    for table in hub["tables"]:
        await clients.table(table["name"]).create_table()
        for body in table["rows"]:
            await clients.table(table["name"]).write(Insert(body))
    for container in hub["containers"]:
        await _load_container(clients, container)
    for queue in hub["queues"]:
        await clients.queue(queue["name"]).create_queue()
        for message in queue["messages"]:
            is_delayed = message["state"].startswith("delayed")
            delay_s = min(message["visible_in_s_at_kill"], DELAY_MAX_S) if is_delayed else 0
            await clients.queue(queue["name"]).send_message(
                base64.b64encode(message["text"].encode()).decode(),
                visibility_timeout=delay_s,
                time_to_live=-1,
            )


async def _load_container(clients: StorageClients, container: Mapping[str, Any]) -> None:
    client = clients.container(container["name"])
    await client.create_container()
    for blob in container["blobs"]:
        content = blob["text"].encode() if "text" in blob else base64.b64decode(blob["base64"])
        settings = ContentSettings(
            content_type=blob.get("content_type"), content_encoding=blob.get("content_encoding")
        )
        await client.upload_blob(blob["name"], content, content_settings=settings)


async def content_of(clients: StorageClients, names: TaskHubNames) -> HubContent:
    """Read what there is of a hub."""
    queues = [names.work_item_queue, *names.control_queues(4)]
    counts: dict[str, int] = {}
    for queue in queues:
        properties = await clients.queue(queue).get_queue_properties()
        counts[queue] = properties.approximate_message_count or 0
    blobs: dict[str, frozenset[str]] = {}
    for container in (
        names.app_lease_container,
        names.leases_container,
        names.large_messages_container,
        names.dead_letters_container,
    ):
        with suppress(ResourceNotFoundError):
            found = [name async for name in clients.container(container).list_blob_names()]
            blobs[container] = frozenset(found)
    tables: set[str] = set()
    for table in (names.history_table, names.instances_table, names.partitions_table):
        with suppress(ResourceNotFoundError):
            _ = [row async for row in clients.table(table).list_entities()]
            tables.add(table)
    return HubContent(
        message_counts=counts,
        history=await _rows(clients, names.history_table),
        instances=await _rows(clients, names.instances_table),
        tables=frozenset(tables),
        blobs=blobs,
    )


async def _rows(clients: StorageClients, table: str) -> list[Row]:
    rows = [read_row(entity) async for entity in clients.table(table).list_entities()]
    return sorted(rows, key=lambda row: (str(row["PartitionKey"]), str(row["RowKey"])))
