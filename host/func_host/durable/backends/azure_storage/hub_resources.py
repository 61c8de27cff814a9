"""Creates the queues and tables of a hub; what is there already stays as it is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.names import TaskHubNames


async def create_hub(clients: StorageClients, names: TaskHubNames, partition_count: int) -> None:
    """Create what a hub needs: its tables, its work-item queue and its control queues."""
    queues = [names.work_item_queue, *names.control_queues(partition_count)]
    await asyncio.gather(
        *(_create_table(clients, name) for name in (names.history_table, names.instances_table)),
        *(_create_queue(clients, name) for name in queues),
    )


async def _create_queue(clients: StorageClients, name: str) -> None:
    with suppress(ResourceExistsError):
        await clients.queue(name).create_queue()


async def _create_table(clients: StorageClients, name: str) -> None:
    with suppress(ResourceExistsError):
        await clients.table(name).create_table()
