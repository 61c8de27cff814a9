"""Partitions: hosts share them evenly, give up what is asked for, and take what has lapsed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_host.durable.backends.azure_storage.partition_leases import (
    PartitionLease,
    lease_row,
    read_lease_row,
)
from func_host.durable.backends.azure_storage.partition_plan import (
    LEASE,
    CyclePlan,
    Holder,
    plan_cycle,
)
from func_host.durable.backends.azure_storage.table_rows import read_row, row_body

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def queue(number: int) -> str:
    return f"hub-control-{number:02d}"


def free(count: int = 4) -> list[PartitionLease]:
    return [PartitionLease(queue=queue(number)) for number in range(count)]


def held(owner: str, number: int, **members: object) -> PartitionLease:
    lease = PartitionLease(
        queue=queue(number),
        current_owner=owner,
        owned_since=NOW,
        last_renewal=NOW,
        expires_at=NOW + LEASE,
    )
    return replace(lease, **members)


class Table:
    """A table of leases and the hosts that work on it, cycle by cycle."""

    def __init__(self, count: int) -> None:
        self.now = NOW
        self.leases = free(count)
        self.listening: dict[str, frozenset[str]] = {}
        self.drained: dict[str, frozenset[str]] = {}

    def cycle(self, worker_id: str, *, is_stopping: bool = False) -> CyclePlan:
        listening = self.listening.get(worker_id, frozenset())
        me = Holder(
            worker_id=worker_id,
            listening=listening,
            drained=self.drained.get(worker_id, frozenset()),
            is_stopping=is_stopping,
        )
        plan = plan_cycle(self.leases, me, self.now)
        written = {lease.queue: lease for lease in plan.writes}
        self.leases = [written.get(lease.queue, lease) for lease in self.leases]
        self.drained[worker_id] = plan.drain
        self.listening[worker_id] = plan.listen
        return plan

    def shares(self) -> dict[str | None, int]:
        owners = [lease.current_owner for lease in self.leases]
        return {owner: owners.count(owner) for owner in owners}

    def run(self, workers: list[str], cycles: int) -> None:
        for _ in range(cycles):
            self.now += timedelta(seconds=1)
            for worker in workers:
                self.cycle(worker)
            heard = [name for names in self.listening.values() for name in names]
            assert len(heard) == len(set(heard)), "two hosts read one queue"


def test_a_lone_host_takes_every_partition() -> None:
    plan = plan_cycle(free(), Holder(worker_id="a"), NOW)

    assert plan.writes == tuple(held("a", number) for number in range(4))
    assert plan.listen == {queue(number) for number in range(4)}
    assert not plan.is_settling


def test_what_is_held_is_renewed() -> None:
    later = NOW + timedelta(seconds=10)
    owner = Holder(worker_id="a", listening=frozenset({queue(0)}))

    plan = plan_cycle([held("a", 0)], owner, later)

    assert plan.writes == (held("a", 0, last_renewal=later, expires_at=later + LEASE),)
    assert plan.listen == {queue(0)}
    assert not plan.stop


@pytest.mark.parametrize(("seconds", "taken"), [(29, False), (30, True)])
def test_what_has_lapsed_is_taken(seconds: int, *, taken: bool) -> None:
    later = NOW + timedelta(seconds=seconds)

    plan = plan_cycle([held("dead", 0)], Holder(worker_id="a"), later)

    assert bool(plan.listen) is taken
    assert bool(plan.writes) is taken


def test_what_another_took_is_read_no_more_at_once() -> None:
    me = Holder(worker_id="a", listening=frozenset({queue(0)}))

    plan = plan_cycle([held("b", 0)], me, NOW)

    assert plan.stop == {queue(0)}
    assert not plan.listen
    assert not plan.writes


def test_what_another_asks_for_is_drained_and_then_given_up() -> None:
    asked = held("a", 0, next_owner="b")
    me = Holder(worker_id="a", listening=frozenset({queue(0)}))

    draining = plan_cycle([asked], me, NOW)
    given_up = plan_cycle(
        draining.writes, replace(me, drained=frozenset({queue(0)})), NOW + timedelta(seconds=1)
    )

    assert draining.drain == {queue(0)}
    assert draining.is_settling
    assert not draining.listen
    assert draining.writes[0].is_draining
    (released,) = given_up.writes
    assert (released.current_owner, released.next_owner) == (None, "b")
    assert not released.is_draining


def test_only_who_was_promised_a_partition_takes_it() -> None:
    promised = replace(free(1)[0], next_owner="b")

    assert not plan_cycle([promised], Holder(worker_id="c"), NOW).writes
    assert plan_cycle([promised], Holder(worker_id="b"), NOW).listen == {queue(0)}


def test_what_a_stopping_host_drains_is_asked_for() -> None:
    plan = plan_cycle([held("a", 0, is_draining=True)], Holder(worker_id="b"), NOW)

    assert [lease.next_owner for lease in plan.writes] == ["b"]
    assert plan.is_settling


def test_a_stopping_host_takes_and_asks_for_nothing() -> None:
    leases = [held("a", 0, is_draining=True), *free(2)[1:]]

    plan = plan_cycle(leases, Holder(worker_id="b", is_stopping=True), NOW)

    assert not plan.writes


def test_a_stopping_host_gives_everything_up() -> None:
    table = Table(4)
    table.run(["a"], 1)

    table.cycle("a", is_stopping=True)
    table.cycle("a", is_stopping=True)

    assert table.shares() == {None: 4}


@given(count=st.integers(1, 16), workers=st.integers(1, 6))
def test_hosts_come_to_even_shares_and_no_queue_is_read_twice(count: int, workers: int) -> None:
    table = Table(count)
    names = [f"w{number}" for number in range(workers)]
    table.run(names[:1], 1)

    table.run(names, 60)

    shares = table.shares()
    assert None not in shares
    least = min(shares.get(name, 0) for name in names)
    assert max(shares.values()) - least <= 1
    settled = table.shares()
    table.run(names, 5)
    assert table.shares() == settled


def test_a_killed_hosts_partitions_are_taken_and_shared() -> None:
    table = Table(4)
    table.run(["a", "b", "c"], 20)

    del table.listening["c"]
    table.run(["a", "b"], 45)

    assert table.shares() == {"a": 2, "b": 2}


def test_a_new_row_says_that_nobody_holds_it() -> None:
    assert row_body(lease_row(free(1)[0])) == {
        "PartitionKey": "",
        "RowKey": "hub-control-00",
        "IsDraining": False,
    }


def test_a_held_row_has_the_columns_of_the_reference() -> None:
    body = row_body(lease_row(held("a", 0, next_owner="b", is_draining=True)))

    assert {name for name in body if not name.endswith("odata.type")} == {
        "PartitionKey",
        "RowKey",
        "CurrentOwner",
        "NextOwner",
        "OwnedSince",
        "LastRenewal",
        "ExpiresAt",
        "IsDraining",
    }
    assert body["ExpiresAt@odata.type"] == "Edm.DateTime"


@pytest.mark.parametrize("lease", [free(1)[0], held("a", 1), held("a", 2, next_owner="b")])
def test_every_lease_comes_back_from_its_row(lease: PartitionLease) -> None:
    assert read_lease_row(lease_row(lease)) == lease
    assert read_lease_row(read_row(row_body(lease_row(lease)))) == lease
