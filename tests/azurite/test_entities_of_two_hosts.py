"""Entities of two hosts on one hub, either of which is killed at any moment.

The full programme: COUNTER_INCREMENTS=10000 COUNTER_KILLS=10 BANK_TRANSFERS=2000 BANK_KILLS=10.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.names import TaskHubNames
from tests.azurite.hosts import new_hub_name, on_azurite
from tests.e2e.entity_runs import Bank, count_exactly
from tests.e2e.host_process import REPOSITORY, wait_until
from tests.e2e.insisting import Clients
from tests.e2e.senders import KINDS, NOTES, Promise, record_in_order

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.azurite.emulator import Azurite
    from tests.e2e.chance import Chance

pytestmark = [pytest.mark.azurite, pytest.mark.e2e, pytest.mark.slow]

RECORDER = Path(__file__).parent.parent / "e2e" / "apps" / "recorder"
VISIBILITY = (
    "AzureFunctionsJobHost__extensions__durableTask__storageProvider__controlQueueVisibilityTimeout"
)
ACCOUNTS = 20
TRANSFERS = int(os.environ.get("BANK_TRANSFERS", "40"))
BANK_KILLS = int(os.environ.get("BANK_KILLS", "2"))
INCREMENTS = int(os.environ.get("COUNTER_INCREMENTS", "300"))
COUNTER_KILLS = int(os.environ.get("COUNTER_KILLS", "2"))
TIMEOUT_S = 300.0


@contextmanager
def two_hosts(azurite: Azurite, app: Path, folder: Path) -> Generator[Clients]:
    """Start two hosts of an app on a new hub; give clients that ask both once both have a share."""
    hub, settings = new_hub_name(), {VISIBILITY: "00:00:08"}
    with ExitStack() as stack:
        hosts = [
            stack.enter_context(
                on_azurite(azurite, app, folder / f"host-{number}", hub=hub, settings=settings)
            )
            for number in range(2)
        ]
        wait_until(lambda: len(anyio.run(owners_of, azurite, hub)) == 2, "both own partitions", 60)
        yield Clients(hosts, TIMEOUT_S)


async def owners_of(azurite: Azurite, hub: str) -> set[str]:
    """Give who owns partitions of a hub."""
    connection = parse_connection_string(azurite.connection_string, setting="test")
    async with StorageClients(connection) as clients:
        rows = clients.table(TaskHubNames(hub).partitions_table).query_entities("")
        return {str(row["CurrentOwner"]) async for row in rows if row.get("CurrentOwner")}


def test_increments_of_two_hosts_count_once(
    azurite: Azurite, tmp_path: Path, chance: Chance
) -> None:
    with two_hosts(azurite, REPOSITORY / "samples" / "counter", tmp_path) as clients:
        count_exactly(clients, chance, INCREMENTS, COUNTER_KILLS)


def test_transfers_of_two_hosts_are_whole_or_not_at_all(
    azurite: Azurite, tmp_path: Path, chance: Chance
) -> None:
    with two_hosts(azurite, REPOSITORY / "samples" / "bank_transfer", tmp_path) as clients:
        bank = Bank.draw(clients, chance, ACCOUNTS, TRANSFERS)
        bank.open()
        bank.transfer_all(chance, BANK_KILLS)
        bank.check()


@pytest.mark.parametrize(
    ("kills", "delayed"), [(0, KINDS), (2, ("client",))], ids=["running", "killed"]
)
def test_senders_of_two_hosts_are_heard_in_order(
    azurite: Azurite, tmp_path: Path, chance: Chance, kills: int, delayed: tuple[str, ...]
) -> None:
    """An execution of an orchestration is one sender; a queue hides messages for whole seconds.

    After a kill, what orchestrations and entities sent for later may come late, and so out of the
    order of time.
    """
    promise = Promise(each=NOTES, granularity_s=2, delayed=delayed)
    with two_hosts(azurite, RECORDER, tmp_path) as clients:
        record_in_order(clients, chance, kills, promise)
