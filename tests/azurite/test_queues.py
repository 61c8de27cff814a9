"""Messages of real queues: a ticket that is void is told from one that cannot be used now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from func_host.clock import SystemClock
from func_host.durable.backends.azure_storage.blobs import LargeValues
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.hub_resources import create_hub
from func_host.durable.backends.azure_storage.messages import Envelope, Party
from func_host.durable.backends.azure_storage.queues import MessageQueues
from func_host.durable.history import GenericEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]


@pytest.fixture
async def queues(
    connection: StorageConnection, names: TaskHubNames
) -> AsyncIterator[MessageQueues]:
    async with StorageClients(connection) as clients:
        await create_hub(clients, names, 4)
        blobs = LargeValues(clients, names)
        yield MessageQueues(clients, names, blobs, SystemClock(), partition_count=4)


def wake_up() -> Envelope:
    event = GenericEvent(timestamp=SystemClock().now())
    return Envelope(event=event, target=Party("one"), activity_id="0" * 32)


async def test_a_message_that_somebody_else_has_taken_is_lost(queues: MessageQueues) -> None:
    mine = await queues.put(wake_up())
    partition = queues.partition_of("one")
    (taken,) = await queues.take(partition, invisible_s=30)

    assert not await queues.hide(mine, invisible_s=30)
    await queues.delete(mine)
    assert await queues.hide(taken.ticket, invisible_s=0)
    assert len(await queues.take(partition, invisible_s=30)) == 1


async def test_a_message_that_is_gone_is_lost(queues: MessageQueues) -> None:
    mine = await queues.put(wake_up(), invisible_s=30)
    again = replace(mine)
    await queues.delete(mine)

    assert not await queues.hide(again, invisible_s=30)
    await queues.delete(again)
