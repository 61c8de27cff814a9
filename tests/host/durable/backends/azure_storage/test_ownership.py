"""What is owned, what is served, and how often."""

from __future__ import annotations

from func_host.durable.backends.azure_storage.ownership import Ownership
from func_host.durable.backends.azure_storage.partitions import partition_of


def test_a_partition_is_served_while_its_lease_holds_and_it_is_not_given_back() -> None:
    held = {partition_of("one", 4)}
    ownership = Ownership(4, held.__contains__)
    home = ownership.partition_of("one")
    assert ownership.owns("one")
    assert not ownership.serves("one")

    ownership.begin(home)
    assert ownership.serves("one")
    ownership.end(home)
    assert ownership.owns("one")
    assert not ownership.serves("one")

    ownership.begin(home)
    held.clear()
    assert ownership.is_served(home)
    assert not ownership.serves("one")
    assert not ownership.owns("one")


def test_each_time_a_partition_is_acquired_its_epoch_is_another() -> None:
    ownership = Ownership(4, lambda _: True)
    home = ownership.partition_of("one")
    assert ownership.epoch("one") == 0

    assert ownership.begin(home) == ownership.epoch("one") == 0
    ownership.end(home)
    assert ownership.epoch("one") == 0
    assert ownership.begin(home) == ownership.epoch("one") == 1


def test_instances_are_told_by_their_partition() -> None:
    ownership = Ownership(4, lambda _: True)
    names = [f"i{number}" for number in range(40)]
    found = [ownership.among(names, partition) for partition in range(4)]

    assert sorted(name for some in found for name in some) == sorted(names)
    assert all(found)
    ownership.begin(2)
    assert ownership.served == {2}
