"""Creates the queues and tables of a hub; what is there already stays as it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import ResourceExistsError

from func_host.durable.backends.azure_storage.client_transport import RetrySettings
from func_host.durable.backends.azure_storage.connection import Identity

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.names import TaskHubNames

REACH_S: Final = 3.0
"""Within this time the account has answered, or whoever starts a host is told that it does not."""

IDENTITY_S: Final = 20.0
"""What is left to an identity: its token may come from a tool of the command line."""

_REACH_RETRY: Final = RetrySettings(attempts=3, delay_first_s=0.2, delay_max_s=0.5)
_BEING_DELETED: Final = "BeingDeleted"


async def create_hub(clients: StorageClients, names: TaskHubNames, partition_count: int) -> None:
    """Create what a hub needs: its tables, its work-item queue and its control queues.

    An account that cannot be reached fails soon: somebody is waiting who may have mistyped it.

    Raises:
        AzureError: The account refuses it, or cannot be reached.
        TimeoutError: The account has not answered in time.
    """
    has_identity = isinstance(clients.connection.credential, Identity)
    async with asyncio.timeout(IDENTITY_S if has_identity else REACH_S):
        hurried = clients.with_retry(_REACH_RETRY)
        await _create_table(hurried, names.history_table)
        await _create_queue(hurried, names.work_item_queue)
    await asyncio.gather(
        _create_table(clients, names.instances_table),
        *(_create_queue(clients, name) for name in names.control_queues(partition_count)),
    )


async def _create_queue(clients: StorageClients, name: str) -> None:
    try:
        await clients.queue(name).create_queue()
    except ResourceExistsError as error:
        _see_that_it_stays(error)


async def _create_table(clients: StorageClients, name: str) -> None:
    try:
        await clients.table(name).create_table()
    except ResourceExistsError as error:
        _see_that_it_stays(error)


def _see_that_it_stays(error: ResourceExistsError) -> None:
    """Pass over what exists already, but not over what is about to go."""
    code = getattr(error, "error_code", None)
    if _BEING_DELETED in str(getattr(code, "value", code)):
        raise error
