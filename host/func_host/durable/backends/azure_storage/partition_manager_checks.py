"""What must be so before a worker takes partitions: nobody works on the hub by other rules.

The older partition managers keep their leases in blobs and do not see the rows of the table, nor
we their leases: both would read the same queues. A hub with another number of partitions sends an
instance's messages to another queue.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import ResourceNotFoundError

from func_host.durable.backend import StoreInUseError
from func_host.durable.backends.azure_storage.names import PartitionCountError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.storage.blob.aio import ContainerClient

    from func_host.durable.backends.azure_storage.leases import PartitionLease
    from func_host.durable.backends.azure_storage.names import TaskHubNames

_LEASE_FOLDERS: Final = ("intent/", "ownership/", "default/")
_HUB_BLOB: Final = "taskhub.json"
_PROVIDER: Final = "extensions.durableTask.storageProvider"


async def check_older_managers(
    container: ContainerClient, names: TaskHubNames, partition_count: int
) -> None:
    """Refuse a hub that workers with an older partition manager work on, or left with other queues.

    Raises:
        StoreInUseError: A lease of theirs is live.
        PartitionCountError: Their hub has another number of partitions.
    """
    has_hub_blob = False
    try:
        async for blob in container.list_blobs():
            has_hub_blob = has_hub_blob or blob.name == _HUB_BLOB
            if blob.name.startswith(_LEASE_FOLDERS) and blob.lease.state == "leased":
                raise StoreInUseError(
                    f"Task hub {names.hub} is worked on by hosts with the older partition manager "
                    f'(blob {blob.name} in {names.leases_container} is leased): set "'
                    'useTablePartitionManagement": true in '
                    f"{_PROVIDER} of their host.json, or stop them, or use another hubName."
                )
        if has_hub_blob:
            content = await (await container.download_blob(_HUB_BLOB)).readall()
            _check_count(_recorded_count(content), names, partition_count)
    except ResourceNotFoundError:
        return


def check_rows(leases: Sequence[PartitionLease], names: TaskHubNames, partition_count: int) -> None:
    """Refuse a hub whose rows are not those of this number of partitions.

    Raises:
        PartitionCountError: They are not; the message names the setting.
    """
    expected = set(names.control_queues(partition_count))
    if {lease.queue for lease in leases} != expected:
        _check_count(len(leases), names, partition_count)
        raise PartitionCountError(
            f"Table {names.partitions_table} does not hold the control queues of task hub "
            f"{names.hub}: use another hubName."
        )


def _recorded_count(content: bytes) -> int | None:
    try:
        recorded: Any = json.loads(content)
        return int(recorded["PartitionCount"])
    except (ValueError, KeyError, TypeError):
        return None


def _check_count(recorded: int | None, names: TaskHubNames, partition_count: int) -> None:
    if recorded is not None and recorded != partition_count:
        raise PartitionCountError(
            f"Task hub {names.hub} has {recorded} partitions and cannot have {partition_count}: "
            f"set {_PROVIDER}.partitionCount in host.json to {recorded}, or use another hubName."
        )
