"""Partitions on a real emulator: taken, shared, kept through a blocked loop, given back."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from func_host.durable.backend import BackendUnavailableError, StoreInUseError
from func_host.durable.backends.azure_storage.app_lease import AppLeaseSettings
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.leases import LeaseSettings
from func_host.durable.backends.azure_storage.names import PartitionCountError
from func_host.durable.backends.azure_storage.partition_manager import (
    PartitionManager,
    PartitionSettings,
)
from func_host.durable.backends.azure_storage.request_count import RequestCounter, RequestKind
from func_host.durable.backends.azure_storage.table_rows import read_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]

ALL = frozenset(range(4))
FAST = LeaseSettings(
    lease_s=3.0, renew_s=0.5, busy_s=0.1, drain_s=5.0, clock_skew_s=0.5, operation_s=1.5
)


@dataclass
class Reader:
    """Stands for who reads the queues; drains at once unless told to wait."""

    manager: PartitionManager | None = None
    drains: bool = True
    events: asyncio.Queue[tuple[str, int]] = field(default_factory=asyncio.Queue[tuple[str, int]])

    def partition_acquired(self, partition: int) -> None:
        self.events.put_nowait(("acquired", partition))

    def partition_draining(self, partition: int) -> None:
        self.events.put_nowait(("draining", partition))
        if self.drains:
            assert self.manager is not None
            self.manager.finish_drain(partition)

    def partition_lost(self, partition: int) -> None:
        self.events.put_nowait(("lost", partition))

    async def wait_for(self, *events: tuple[str, int]) -> None:
        """Return when all of these have happened, in any order, among others."""
        missing = set(events)
        async with asyncio.timeout(30):
            while missing:
                missing.discard(await self.events.get())


class NotedRequests(RequestCounter):
    """Counts, and gives each request to a test that waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.noted: asyncio.Queue[RequestKind] = asyncio.Queue()
        self._loop = loop

    def add(self, kind: RequestKind) -> None:
        super().add(kind)
        self._loop.call_soon_threadsafe(self.noted.put_nowait, kind)


class Hub:
    """One task hub and the workers a test starts on it."""

    def __init__(self, connection: StorageConnection, names: TaskHubNames) -> None:
        self.connection = connection
        self.names = names
        self.stack = AsyncExitStack()
        self.counter = RequestCounter()

    async def worker(
        self,
        worker_id: str,
        *,
        drains: bool = True,
        app_name: str = "",
        partition_count: int = 4,
        leases: LeaseSettings = FAST,
        use_app_lease: bool = True,
    ) -> tuple[PartitionManager, Reader]:
        reader = Reader(drains=drains)
        manager = PartitionManager(
            self.connection,
            self.names,
            worker_id=worker_id,
            listener=reader,
            settings=PartitionSettings(
                partition_count=partition_count,
                app_name=app_name,
                leases=leases,
                use_app_lease=use_app_lease,
                app_lease=AppLeaseSettings(lease_s=15, renew_s=0.5, acquire_s=0.3),
            ),
            counter=self.counter,
        )
        reader.manager = manager
        await self.stack.enter_async_context(manager)
        return manager, reader

    async def rows(self) -> dict[str, dict[str, object]]:
        async with StorageClients(self.connection) as clients:
            table = clients.table(self.names.partitions_table)
            rows = [read_row(entity) async for entity in table.list_entities()]
        return {str(row["RowKey"]): dict(row) for row in rows}


@pytest.fixture
async def hub(connection: StorageConnection, names: TaskHubNames) -> AsyncIterator[Hub]:
    hub = Hub(connection, names)
    async with hub.stack:
        yield hub


async def test_the_only_worker_owns_all_partitions_when_it_has_started(hub: Hub) -> None:
    manager, reader = await hub.worker("one")

    assert manager.owned == ALL
    await reader.wait_for(*(("acquired", partition) for partition in ALL))
    rows = await hub.rows()
    assert list(rows) == [hub.names.control_queue(partition) for partition in range(4)]
    for row in rows.values():
        assert row["PartitionKey"] == ""
        assert row["CurrentOwner"] == "one"
        assert row["IsDraining"] is False
        assert "NextOwner" not in row
        assert {"OwnedSince", "LastRenewal", "ExpiresAt"} < row.keys()


async def test_workers_share_and_give_back(hub: Hub) -> None:
    first, first_reader = await hub.worker("one")
    second, second_reader = await hub.worker("two")
    await second_reader.wait_for(("acquired", 0), ("acquired", 1))
    await first_reader.wait_for(("lost", 0), ("lost", 1))

    assert first.owned == {2, 3}
    assert second.owned == {0, 1}

    await first.drain()
    assert first.owned == frozenset()
    await second_reader.wait_for(("acquired", 2), ("acquired", 3))
    assert second.owned == ALL


async def test_four_workers_come_to_one_partition_each(hub: Hub) -> None:
    workers = [await hub.worker(f"worker{number}") for number in range(4)]

    async with asyncio.timeout(30):
        while sorted(len(manager.owned) for manager, _ in workers) != [1, 1, 1, 1]:
            await workers[-1][1].events.get()
    assert frozenset().union(*(manager.owned for manager, _ in workers)) == ALL


async def test_a_partition_is_kept_until_what_is_in_flight_has_ended(hub: Hub) -> None:
    first, first_reader = await hub.worker("one", drains=False)
    second, second_reader = await hub.worker("two")
    await first_reader.wait_for(("draining", 0), ("draining", 1))

    assert {0, 1} <= first.owned
    assert second.owned == frozenset()
    first.finish_drain(0)
    await second_reader.wait_for(("acquired", 0))
    assert not first.owns(0)
    assert first.owns(1)


async def test_leases_are_renewed_while_the_main_loop_is_blocked(hub: Hub) -> None:
    manager, reader = await hub.worker("one")
    await reader.wait_for(*(("acquired", partition) for partition in ALL))
    other, _ = await hub.worker("two", leases=FAST)
    blocked_until = time.monotonic() + 3 * FAST.lease_s
    was_owned = True
    while time.monotonic() < blocked_until:  # user code that never awaits
        was_owned = was_owned and manager.owns(3)
        assert not (manager.owns(3) and other.owns(3))

    assert was_owned
    assert manager.owns(3)


async def test_a_worker_that_is_gone_is_followed_within_a_lease(hub: Hub) -> None:
    gone, _ = await hub.worker("one")
    await gone.__aexit__(None, None, None)  # without a drain, as in a crash
    _, reader = await hub.worker("two")
    async with asyncio.timeout(FAST.lease_s + FAST.clock_skew_s + 3):
        await reader.wait_for(*(("acquired", partition) for partition in ALL))


async def test_a_restarted_worker_takes_what_it_had_at_once(hub: Hub) -> None:
    gone, _ = await hub.worker("one")
    await gone.__aexit__(None, None, None)
    again, _ = await hub.worker("one")

    assert again.owned == ALL


async def test_an_idle_worker_costs_one_request_a_round(hub: Hub) -> None:
    hub.counter = requests = NotedRequests(asyncio.get_running_loop())
    await hub.worker("one", use_app_lease=False)
    while not requests.noted.empty():
        requests.noted.get_nowait()
    began = time.monotonic()
    async with asyncio.timeout(30):
        noted = [await requests.noted.get() for _ in range(5)]

    assert noted == [RequestKind("table", "EntityGroupTransaction", 202)] * 5
    assert time.monotonic() - began > 4 * FAST.renew_s


async def test_another_partition_count_is_refused(hub: Hub) -> None:
    await hub.worker("one")

    with pytest.raises(PartitionCountError) as caught:
        await hub.worker("two", partition_count=8)
    assert "has 4 partitions and cannot have 8" in str(caught.value)
    assert "storageProvider.partitionCount" in str(caught.value)


async def test_a_hub_with_live_blob_leases_is_refused(hub: Hub) -> None:
    async with StorageClients(hub.connection) as clients:
        container = clients.container(hub.names.leases_container)
        await container.create_container()
        blob = container.get_blob_client(f"intent/{hub.names.control_queue(0)}")
        await blob.upload_blob(b"{}")
        lease = await blob.acquire_lease(lease_duration=60)

        with pytest.raises(StoreInUseError, match="useTablePartitionManagement") as caught:
            await hub.worker("one")
        assert "\n" not in str(caught.value)

        await lease.release()
    manager, _ = await hub.worker("one")
    assert manager.owned == ALL


async def test_a_hub_that_an_older_manager_left_with_other_partitions_is_refused(hub: Hub) -> None:
    async with StorageClients(hub.connection) as clients:
        container = clients.container(hub.names.leases_container)
        await container.create_container()
        recorded = {"TaskHubName": hub.names.hub, "PartitionCount": 7}
        await container.upload_blob("taskhub.json", json.dumps(recorded).encode())

    with pytest.raises(PartitionCountError, match="has 7 partitions"):
        await hub.worker("one")


async def test_a_worker_of_another_app_takes_no_partition(hub: Hub) -> None:
    first, _ = await hub.worker("one", app_name="shop")
    second, _ = await hub.worker("two", app_name="bank")

    assert first.owned == ALL
    assert second.owned == frozenset()


async def test_workers_of_one_app_share_its_lease(hub: Hub) -> None:
    await hub.worker("one", app_name="shop")
    _, reader = await hub.worker("two", app_name="shop")

    await reader.wait_for(("acquired", 0), ("acquired", 1))


async def test_a_deleted_table_ends_the_worker_with_an_error(hub: Hub) -> None:
    manager, _ = await hub.worker("one")
    async with StorageClients(hub.connection) as clients:
        await clients.table(hub.names.partitions_table).delete_table()

    async with asyncio.timeout(30):
        with pytest.raises(Exception, match="not there"):
            await manager.run()
    assert manager.owned == frozenset()


async def test_storage_that_does_not_run_is_told_soon(names: TaskHubNames) -> None:
    nowhere = parse_connection_string(
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0;"
        "QueueEndpoint=http://127.0.0.1:1/x;TableEndpoint=http://127.0.0.1:1/x;"
        "BlobEndpoint=http://127.0.0.1:1/x",
        setting="AzureWebJobsStorage",
    )
    began = time.monotonic()
    with pytest.raises(BackendUnavailableError, match="npx azurite"):
        await Hub(nowhere, names).worker("one")
    assert time.monotonic() - began < 5


async def test_a_wrong_key_is_told(connection: StorageConnection, names: TaskHubNames) -> None:
    wrong = parse_connection_string(
        "AccountName=devstoreaccount1;AccountKey=d3Jvbmc=;"
        f"QueueEndpoint={connection.queue_url};TableEndpoint={connection.table_url};"
        f"BlobEndpoint={connection.blob_url}",
        setting="AzureWebJobsStorage",
    )

    with pytest.raises(Exception, match="refuses the credential of AzureWebJobsStorage"):
        await Hub(wrong, names).worker("one")
