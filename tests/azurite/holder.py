"""A process that holds partitions and says which, each time it is asked by a line of input.

Started by a test with a connection string and a hub; short leases.
"""

from __future__ import annotations

import asyncio
import json
import sys

from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.leases import LeaseSettings
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.partition_manager import (
    PartitionManager,
    PartitionSettings,
)

FAST = LeaseSettings(
    lease_s=3.0, renew_s=0.5, busy_s=0.1, drain_s=5.0, clock_skew_s=0.5, operation_s=1.5
)


class Nobody:
    """Reads no queue."""

    def partition_acquired(self, partition: int) -> None:
        """Nothing to do."""

    def partition_draining(self, partition: int) -> None:
        """Nothing to do: it is given back when the time for draining is over."""

    def partition_lost(self, partition: int) -> None:
        """Nothing to do."""


async def main(connection_string: str, hub: str) -> None:
    """Hold what there is to hold, and answer."""
    manager = PartitionManager(
        parse_connection_string(connection_string, setting="argument"),
        TaskHubNames(hub),
        worker_id="holder",
        listener=Nobody(),
        settings=PartitionSettings(leases=FAST),
    )
    async with manager:
        # Blocks the loop on purpose: the answer is what is true at that very moment.
        for _ in sys.stdin:
            print(json.dumps(sorted(manager.owned)), flush=True)  # noqa: T201 -- the answer


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
