"""What the queues, tables and containers of a task hub are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from func_host.durable.backend import BackendError

PARTITIONS_MAX: Final = 16

_HUB_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2,48}")
_HUB_NAME_LENGTH_MAX: Final = 49


class TaskHubNameError(BackendError):
    """The name cannot be the name of a task hub on Azure Storage."""


class PartitionCountError(BackendError):
    """A task hub cannot have this many partitions."""


@dataclass(frozen=True, slots=True)
class TaskHubNames:
    """The resources of one hub.

    Queues and containers are lower case; tables keep the case of the hub. Names are compared
    without case by the storage service, so hubs that differ in case only are the same hub.
    """

    hub: str

    def __post_init__(self) -> None:
        """Refuse a name that one of the resources could not have."""
        if not _HUB_NAME.fullmatch(self.hub):
            raise TaskHubNameError(
                f'"{self.hub}" cannot be a task hub on Azure Storage: give '
                "extensions.durableTask.hubName in host.json a letter first, then letters and "
                f"digits only, 3 to {_HUB_NAME_LENGTH_MAX} in all."
            )

    @property
    def instances_table(self) -> str:
        """The status of each instance."""
        return f"{self.hub}Instances"

    @property
    def history_table(self) -> str:
        """The events of each instance."""
        return f"{self.hub}History"

    @property
    def partitions_table(self) -> str:
        """Who owns which control queue."""
        return f"{self.hub}Partitions"

    @property
    def work_item_queue(self) -> str:
        """The activities that any host may run."""
        return f"{self.hub.lower()}-workitems"

    @property
    def leases_container(self) -> str:
        """The leases of the older partition managers: where they live, we refuse the hub."""
        return f"{self.hub.lower()}-leases"

    @property
    def app_lease_container(self) -> str:
        """The container whose lease says which app the hub belongs to."""
        return f"{self.hub.lower()}-applease"

    @property
    def app_lease_blob(self) -> str:
        """The blob in `app_lease_container` that names the owner of the lease."""
        return f"{self.hub.lower()}-appleaseinfo"

    @property
    def large_messages_container(self) -> str:
        """What is too large for a queue or a table."""
        return f"{self.hub.lower()}-largemessages"

    @property
    def dead_letters_container(self) -> str:
        """Messages that were set aside; ours alone, the provider knows no such thing."""
        return f"{self.hub.lower()}-deadletters"

    def control_queue(self, partition: int) -> str:
        """The queue of everything that arrives at the instances of a partition."""
        return f"{self.hub.lower()}-control-{partition:02d}"

    def control_queues(self, partition_count: int) -> tuple[str, ...]:
        """The control queues of all partitions, by partition.

        Raises:
            PartitionCountError: There cannot be this many.
        """
        if not 1 <= partition_count <= PARTITIONS_MAX:
            raise PartitionCountError(
                f"{partition_count} is not a count of partitions: set "
                "extensions.durableTask.storageProvider.partitionCount in host.json to a number "
                f"from 1 to {PARTITIONS_MAX}."
            )
        return tuple(self.control_queue(partition) for partition in range(partition_count))
