"""Which instances this process may act for: those whose partitions it owns.

A partition is owned as long as its lease surely holds; that is asked before every effect on the
outside. It is served from when it was acquired until it is to be given back: only then may messages
be delivered in memory. Each time a partition is acquired anew its epoch is another: what was known
of its instances before is void.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_host.durable.backends.azure_storage.partitions import partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Ownership:
    """What is owned and served at this moment.

    Args:
        partition_count: How many partitions the hub has.
        holds: Whether the lease of a partition surely holds at this moment.
    """

    def __init__(self, partition_count: int, holds: Callable[[int], bool]) -> None:
        self.partition_count = partition_count
        self._holds = holds
        self._served: set[int] = set()
        self._epochs = [-1] * partition_count

    def partition_of(self, instance_id: str) -> int:
        """Give the partition of an instance."""
        return partition_of(instance_id, self.partition_count)

    def owns(self, instance_id: str) -> bool:
        """Tell whether this process may write what concerns the instance."""
        return self._holds(self.partition_of(instance_id))

    def serves(self, instance_id: str) -> bool:
        """Tell whether messages to the instance may be delivered in memory."""
        partition = self.partition_of(instance_id)
        return partition in self._served and self._holds(partition)

    def epoch(self, instance_id: str) -> int:
        """Give the number of the ownership: 0 for the first one."""
        return max(0, self._epochs[self.partition_of(instance_id)])

    def holds(self, partition: int) -> bool:
        """Tell whether the lease of a partition surely holds at this moment."""
        return self._holds(partition)

    def is_served(self, partition: int) -> bool:
        """Tell whether a queue is to be read."""
        return partition in self._served

    @property
    def served(self) -> frozenset[int]:
        """The partitions that are served."""
        return frozenset(self._served)

    def begin(self, partition: int) -> int:
        """Serve a partition from now on; give its epoch."""
        self._served.add(partition)
        self._epochs[partition] += 1
        return self._epochs[partition]

    def end(self, partition: int) -> None:
        """Serve a partition no more; it may still be owned until it has been given back."""
        self._served.discard(partition)

    def among(self, instance_ids: Iterable[str], partition: int) -> list[str]:
        """Give those instances that are of this partition."""
        return [one for one in instance_ids if self.partition_of(one) == partition]
