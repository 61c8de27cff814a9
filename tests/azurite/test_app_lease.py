"""The app lease on a real emulator: one app per hub, under the id and the blob of the provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from func_host.clock import SystemClock
from func_host.durable.backends.azure_storage.app_lease import AppLease, AppLeaseSettings
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.partitions import app_lease_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]


class Hub:
    def __init__(self, clients: StorageClients, names: TaskHubNames) -> None:
        self.clients = clients
        self.names = names

    async def lease(self, app_name: str) -> AppLease:
        lease = AppLease(
            self.clients,
            self.names,
            app_name=app_name,
            settings=AppLeaseSettings(lease_s=15),
            clock=SystemClock(),
        )
        await lease.create()
        return lease

    async def written(self) -> str:
        container = self.clients.container(self.names.app_lease_container)
        download = await container.download_blob(self.names.app_lease_blob)
        return (await download.readall()).decode()

    async def write(self, **content: str | None) -> None:
        container = self.clients.container(self.names.app_lease_container)
        data = json.dumps(content).encode()
        await container.upload_blob(self.names.app_lease_blob, data, overwrite=True)


@pytest.fixture
async def hub(connection: StorageConnection, names: TaskHubNames) -> AsyncIterator[Hub]:
    async with StorageClients(connection) as clients:
        yield Hub(clients, names)


async def test_the_owner_is_written_as_the_provider_writes_it(hub: Hub) -> None:
    lease = await hub.lease("")
    assert await hub.written() == "{}"
    assert not lease.is_held

    assert await lease.acquire()
    assert lease.is_held
    assert await hub.written() == (
        '{"OwnerId":"811c9dc5-0000-0000-0000-000000000000","DesiredSwapId":null}'
    )


async def test_workers_of_one_app_hold_it_together(hub: Hub) -> None:
    one, other = await hub.lease("shop"), await hub.lease("shop")

    assert await one.acquire()
    assert await other.acquire()
    assert await one.renew()
    assert await other.renew()


async def test_another_app_has_to_wait_until_it_is_free(hub: Hub) -> None:
    shop, bank = await hub.lease("shop"), await hub.lease("bank")
    assert await shop.acquire()

    assert not await bank.acquire()
    assert not bank.is_held

    await shop.release()
    assert not shop.is_held
    assert await bank.acquire()
    assert not await shop.renew()
    assert app_lease_id("bank") in await hub.written()


async def test_an_app_that_was_told_to_take_the_hub_over_takes_it(hub: Hub) -> None:
    shop, bank = await hub.lease("shop"), await hub.lease("bank")
    await shop.acquire()
    await hub.write(OwnerId=app_lease_id("shop"), DesiredSwapId=app_lease_id("bank"))

    assert await bank.acquire()
    assert not await shop.renew()
    assert not shop.is_held


async def test_releasing_what_is_not_held_changes_nothing(hub: Hub) -> None:
    shop, bank = await hub.lease("shop"), await hub.lease("bank")
    await shop.acquire()
    await bank.release()

    assert await shop.renew()
