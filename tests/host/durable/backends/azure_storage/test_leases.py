"""Who owns which partition, decided from the rows of the partitions table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_host.durable.backends.azure_storage.leases import (
    LeaseAction,
    LeaseChange,
    LeaseSettings,
    PartitionLease,
    Situation,
    other_workers,
    plan_round,
)

NOW = datetime(2026, 11, 22, 7, tzinfo=UTC)
SETTINGS = LeaseSettings()
LEASE = timedelta(seconds=SETTINGS.lease_s)
SKEW = timedelta(seconds=SETTINGS.clock_skew_s)


def situation(
    me: str = "me",
    *,
    now: datetime = NOW,
    drained: frozenset[str] = frozenset(),
    is_stopping: bool = False,
) -> Situation:
    return Situation(
        worker_id=me, now=now, drained=drained, is_stopping=is_stopping, settings=SETTINGS
    )


def row(
    number: int = 0,
    owner: str | None = None,
    *,
    next_owner: str | None = None,
    expires_at: datetime | None = None,
    is_draining: bool = False,
) -> PartitionLease:
    return PartitionLease(
        queue=f"hub-control-{number:02d}",
        current_owner=owner,
        next_owner=next_owner,
        owned_since=NOW - LEASE if owner else None,
        last_renewal=NOW - timedelta(seconds=10) if owner else None,
        expires_at=expires_at or (NOW + timedelta(seconds=20) if owner else None),
        is_draining=is_draining,
    )


def actions(changes: tuple[LeaseChange, ...]) -> dict[str, LeaseAction]:
    return {change.lease.queue[-2:]: change.action for change in changes}


def test_rows_without_owner_are_claimed_for_the_time_of_a_lease() -> None:
    (change,) = plan_round([row()], situation())

    assert change == LeaseChange(
        LeaseAction.CLAIM,
        PartitionLease(
            queue="hub-control-00",
            current_owner="me",
            owned_since=NOW,
            last_renewal=NOW,
            expires_at=NOW + LEASE,
        ),
    )


def test_a_row_of_mine_is_renewed_and_keeps_since_when_it_is() -> None:
    mine = row(owner="me")
    (change,) = plan_round([mine], situation())

    assert change.action is LeaseAction.RENEW
    assert change.lease == replace(mine, last_renewal=NOW, expires_at=NOW + LEASE)


def test_a_row_of_mine_from_an_earlier_life_is_taken_again() -> None:
    assert actions(plan_round([row(owner="me")], situation())) == {"00": LeaseAction.RENEW}


@pytest.mark.parametrize(
    ("late", "is_taken"), [(-timedelta(seconds=1), False), (SKEW / 2, False), (SKEW, True)]
)
def test_what_another_does_not_renew_is_taken_when_it_has_surely_expired(
    late: timedelta, *, is_taken: bool
) -> None:
    rows = [row(owner="other", expires_at=NOW - late)]

    taken = plan_round(rows, situation())

    assert (actions(taken) == {"00": LeaseAction.CLAIM}) is is_taken


def test_a_row_that_was_given_back_for_another_is_his_until_it_expires() -> None:
    given_back = row(next_owner="other", expires_at=NOW + timedelta(seconds=1))

    assert plan_round([given_back], situation()) == ()
    assert actions(plan_round([given_back], situation("other"))) == {"00": LeaseAction.CLAIM}
    late = situation(now=NOW + timedelta(seconds=1) + SKEW)
    assert actions(plan_round([given_back], late)) == {"00": LeaseAction.CLAIM}


def test_what_is_asked_of_me_is_drained_first_and_given_back_then() -> None:
    asked = row(owner="me", next_owner="other")

    (draining,) = plan_round([asked], situation())
    assert draining.action is LeaseAction.DRAIN
    assert draining.lease.is_draining
    assert draining.lease.next_owner == "other"
    assert draining.lease.expires_at == NOW + LEASE

    done = situation(drained=frozenset({asked.queue}))
    (released,) = plan_round([draining.lease], done)
    assert released.action is LeaseAction.RELEASE
    assert released.lease.current_owner is None
    assert released.lease.next_owner == "other"
    assert not released.lease.is_draining


def test_who_stops_drains_all_and_claims_nothing() -> None:
    rows = [row(0, "me"), row(1), row(2, "other"), row(3, "other", expires_at=NOW - LEASE)]

    assert actions(plan_round(rows, situation(is_stopping=True))) == {"00": LeaseAction.DRAIN}
    stopped = situation(is_stopping=True, drained=frozenset({"hub-control-00"}))
    assert actions(plan_round(rows, stopped)) == {"00": LeaseAction.RELEASE}


def test_what_another_drains_because_he_stops_is_asked_for() -> None:
    rows = [row(0, "me"), row(1, "other", is_draining=True), row(2, "me")]

    assert actions(plan_round(rows, situation()))["01"] is LeaseAction.ASK


def test_a_newcomer_asks_for_his_share() -> None:
    rows = [row(number, "other") for number in range(4)]

    changes = plan_round(rows, situation())

    assert actions(changes) == {"00": LeaseAction.ASK, "01": LeaseAction.ASK}
    assert {change.lease.next_owner for change in changes} == {"me"}
    assert {change.lease.current_owner for change in changes} == {"other"}


def test_what_others_have_asked_for_counts_for_them() -> None:
    rows = [row(0, "a", next_owner="b"), row(1, "a", next_owner="b"), row(2, "a"), row(3, "a")]

    assert actions(plan_round(rows, situation())) == {"02": LeaseAction.ASK}


def test_nobody_asks_for_what_would_only_move_the_surplus() -> None:
    rows = [row(0, "a"), row(1, "a"), row(2, "a"), row(3, "me"), row(4, "me")]

    assert actions(plan_round(rows, situation())) == {
        "03": LeaseAction.RENEW,
        "04": LeaseAction.RENEW,
    }


def test_who_has_the_average_takes_one_where_another_has_two_more() -> None:
    rows = [row(0, "a"), row(1, "a"), row(2, "a"), row(3, "b"), row(4, "me")]

    assert actions(plan_round(rows, situation()))["00"] is LeaseAction.ASK


def test_a_fifth_worker_of_four_partitions_has_nothing_and_asks_for_nothing() -> None:
    rows = [row(number, f"other{number}") for number in range(4)]

    assert plan_round(rows, situation()) == ()


@dataclass
class Hub:
    """The rows of a hub as the table keeps them, and the workers that write them."""

    rows: dict[str, PartitionLease]
    now: datetime = NOW
    writes: int = 0
    owned_until: dict[str, dict[str, datetime]] = field(
        default_factory=dict[str, dict[str, datetime]]
    )

    def write(self, worker: str, change: LeaseChange) -> None:
        """Write if nobody else has since it was read; note what the worker may believe."""
        lease = change.lease
        if self.rows[lease.queue].etag != lease.etag:
            return
        self.writes += 1
        self.rows[lease.queue] = replace(lease, etag=str(self.writes))
        believed = self.owned_until.setdefault(worker, {})
        if change.action is LeaseAction.RELEASE:
            believed.pop(lease.queue, None)
        elif lease.current_owner == worker:
            assert lease.expires_at is not None
            believed[lease.queue] = lease.expires_at - SKEW

    def owners(self, queue: str) -> list[str]:
        return [
            worker
            for worker, believed in self.owned_until.items()
            if queue in believed and self.now < believed[queue]
        ]


def draining(rows: list[PartitionLease], worker: str) -> frozenset[str]:
    """Of a worker whose work in flight has always ended by his next round."""
    return frozenset(row.queue for row in rows if row.current_owner == worker and row.is_draining)


def new_hub(partitions: int) -> Hub:
    return Hub({row(number).queue: row(number) for number in range(partitions)})


def take_turns(hub: Hub, order: list[str], *, stale: bool, skews: dict[str, float]) -> None:
    """Let the workers do a round each; stale ones all decide on the same rows."""
    seen = list(hub.rows.values())
    for worker in order:
        rows = seen if stale else list(hub.rows.values())
        decided = plan_round(
            rows,
            Situation(
                worker_id=worker,
                now=hub.now + timedelta(seconds=skews.get(worker, 0.0)),
                drained=draining(rows, worker),
                settings=SETTINGS,
            ),
        )
        for change in decided:
            hub.write(worker, change)
        for queue in hub.rows:
            assert len(hub.owners(queue)) <= 1, "a partition has two owners"


@given(st.data(), st.integers(1, 16), st.integers(1, 8))
def test_any_number_of_workers_comes_to_an_even_share_in_a_few_rounds(
    data: st.DataObject, partitions: int, workers: int
) -> None:
    names = [f"worker{number}" for number in range(workers)]
    hub = new_hub(partitions)
    for _ in range(3 * workers + 6):
        order = data.draw(st.permutations(names))
        take_turns(hub, order, stale=data.draw(st.booleans()), skews={})
        hub.now += timedelta(seconds=SETTINGS.renew_s)
    counts = Counter(row.current_owner for row in hub.rows.values())
    shares = [counts[name] for name in names]

    assert None not in counts
    assert max(shares) - min(shares) <= 1


@given(st.data(), st.integers(1, 8), st.integers(2, 4))
def test_no_partition_has_two_owners_whoever_dies_sleeps_or_has_a_wrong_clock(
    data: st.DataObject, partitions: int, workers: int
) -> None:
    names = [f"worker{number}" for number in range(workers)]
    most = SETTINGS.clock_skew_s / 2
    skews = {name: data.draw(st.floats(-most, most)) for name in names}
    hub = new_hub(partitions)
    for _ in range(data.draw(st.integers(1, 25))):
        awake = data.draw(st.lists(st.sampled_from(names), unique=True))
        take_turns(hub, awake, stale=data.draw(st.booleans()), skews=skews)
        hub.now += timedelta(seconds=data.draw(st.sampled_from([1, 5, 10, 20, 29, 40])))


def test_what_a_dead_worker_had_is_taken_within_a_lease_and_a_round() -> None:
    hub = new_hub(4)
    for _ in range(6):
        take_turns(hub, ["a", "b"], stale=False, skews={})
        hub.now += timedelta(seconds=SETTINGS.renew_s)
    died = hub.now
    while {row.current_owner for row in hub.rows.values()} != {"b"}:
        hub.now += timedelta(seconds=SETTINGS.renew_s)
        take_turns(hub, ["b"], stale=False, skews={})

    assert hub.now - died <= LEASE + SKEW + timedelta(seconds=SETTINGS.renew_s)


def test_other_workers_are_those_that_own_or_ask_and_are_alive() -> None:
    leases = [
        row(0, "me", next_owner="newcomer"),
        row(1, "other"),
        row(2, "dead", expires_at=NOW - SKEW),
        row(3),
    ]

    assert other_workers(leases, situation()) == {"newcomer", "other"}
    assert other_workers(leases[2:], situation()) == frozenset()
    assert other_workers(leases[:1], situation("newcomer")) == {"me"}
