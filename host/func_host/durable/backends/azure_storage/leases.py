"""Who owns which partition: the rules of the table partition manager, as a function of its rows.

A row per control queue says who owns it until when, and who has asked for it. Nobody takes what is
owned: he writes his name as the next owner, and the owner, when he sees it, stops reading the
queue, lets run out what is in flight and gives the row back. What an owner no longer renews is
taken when it has expired. Every write is conditional on what was read, so of two that decide on
the same row one is refused. The same rows and rules as `DurableTask.AzureStorage` 2.x, so that its
workers can share the hub; stricter in one place: expired is what is so by `clock_skew_s`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSettings:
    """The times of the leases; those of `DurableTask.AzureStorage` unless said otherwise.

    Args:
        lease_s: How long an owner owns without renewing.
        renew_s: Time from one round to the next.
        busy_s: The same while a partition is being handed over.
        drain_s: How long what is in flight may take when a partition is handed over.
        clock_skew_s: How far the clocks of two machines may be apart: an owner stops this much
            before his lease ends, and nobody takes it until this much after.
        operation_s: Time limit of a request.
    """

    lease_s: float = 30.0
    renew_s: float = 10.0
    busy_s: float = 1.0
    drain_s: float = 60.0
    clock_skew_s: float = 3.0
    operation_s: float = 2.0

    def __post_init__(self) -> None:
        """Refuse times under which a lease would end before its renewal."""
        assert self.renew_s + self.operation_s < self.lease_s - self.clock_skew_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLease:
    """A row of the partitions table.

    Args:
        queue: Name of the control queue, which is the row key.
        etag: What a write is conditional on.
        current_owner: Worker that owns the partition.
        next_owner: Worker that asks for it, or that it was given back for.
        owned_since: When the current owner took it.
        last_renewal: When he last renewed it.
        expires_at: Until when he owns it.
        is_draining: Whether he is giving it back.
    """

    queue: str
    etag: str = ""
    current_owner: str | None = None
    next_owner: str | None = None
    owned_since: datetime | None = None
    last_renewal: datetime | None = None
    expires_at: datetime | None = None
    is_draining: bool = False


class LeaseAction(Enum):
    """What is done with a lease; the word is for the log."""

    CLAIM = "claimed"
    RENEW = "renewed"
    DRAIN = "draining"
    RELEASE = "released"
    ASK = "asked for"


@dataclass(frozen=True, slots=True)
class LeaseChange:
    """A row as it shall be, under the etag it was read with."""

    action: LeaseAction
    lease: PartitionLease


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a worker decides by, apart from the rows.

    Args:
        worker_id: Who decides.
        now: Wall clock, UTC.
        drained: Queues he was giving back and has nothing in flight of any more.
        is_stopping: Whether he gives all back.
        settings: The times.
    """

    worker_id: str
    now: datetime
    drained: AbstractSet[str] = frozenset()
    is_stopping: bool = False
    settings: LeaseSettings


def plan_round(leases: Sequence[PartitionLease], situation: Situation) -> tuple[LeaseChange, ...]:
    """Decide what a worker does with the rows he has read: at most one change to each."""
    changes: dict[str, LeaseChange] = {}
    for lease in leases:
        change = _plan_row(lease, situation)
        if change is not None:
            changes[lease.queue] = change
    if not situation.is_stopping:
        after = [
            changes[lease.queue].lease if lease.queue in changes else lease for lease in leases
        ]
        for lease in _to_ask_for(after, situation):
            changes[lease.queue] = _ask(lease, situation)
    return tuple(changes.values())


def renewal(lease: PartitionLease, situation: Situation) -> LeaseChange:
    """Renew a lease that is held and that nobody has asked for."""
    return LeaseChange(LeaseAction.RENEW, _renewed(lease, situation))


def other_workers(leases: Sequence[PartitionLease], situation: Situation) -> frozenset[str]:
    """Give the other workers that own something or have asked for it, and are alive."""
    names = {
        name
        for lease in leases
        if not is_expired(lease, situation)
        for name in (lease.current_owner, lease.next_owner)
    }
    return frozenset(name for name in names if name not in {None, situation.worker_id} and name)


def is_expired(lease: PartitionLease, situation: Situation) -> bool:
    """Tell whether nobody owns it any more, whatever the row says."""
    if lease.expires_at is None:
        return True
    margin = timedelta(seconds=situation.settings.clock_skew_s)
    if lease.current_owner == situation.worker_id:
        margin = timedelta()
    return situation.now >= lease.expires_at + margin


def _plan_row(lease: PartitionLease, situation: Situation) -> LeaseChange | None:
    me = situation.worker_id
    if lease.current_owner == me and (situation.is_stopping or not is_expired(lease, situation)):
        return _plan_own(lease, situation)
    if situation.is_stopping:
        return None
    if is_expired(lease, situation) and lease.current_owner is not None:
        return _claim(lease, situation)
    if lease.current_owner is None:
        # He for whom it was given back has until its end to take it.
        is_free = lease.next_owner in {None, me} or is_expired(lease, situation)
        return _claim(lease, situation) if is_free else None
    if lease.is_draining and lease.next_owner is None:
        return _ask(lease, situation)
    return None


def _plan_own(lease: PartitionLease, situation: Situation) -> LeaseChange:
    is_wanted = lease.next_owner not in {None, situation.worker_id}
    if not is_wanted and not situation.is_stopping:
        return renewal(lease, situation)
    if lease.queue in situation.drained:
        return LeaseChange(
            LeaseAction.RELEASE, replace(lease, current_owner=None, is_draining=False)
        )
    draining = replace(_renewed(lease, situation), is_draining=True, next_owner=lease.next_owner)
    return LeaseChange(LeaseAction.DRAIN, draining)


def _renewed(lease: PartitionLease, situation: Situation) -> PartitionLease:
    return replace(
        lease,
        next_owner=None,
        last_renewal=situation.now,
        expires_at=situation.now + timedelta(seconds=situation.settings.lease_s),
        is_draining=False,
    )


def _claim(lease: PartitionLease, situation: Situation) -> LeaseChange:
    claimed = replace(
        _renewed(lease, situation),
        current_owner=situation.worker_id,
        owned_since=situation.now,
    )
    return LeaseChange(LeaseAction.CLAIM, claimed)


def _ask(lease: PartitionLease, situation: Situation) -> LeaseChange:
    return LeaseChange(LeaseAction.ASK, replace(lease, next_owner=situation.worker_id))


def _to_ask_for(
    leases: Sequence[PartitionLease], situation: Situation
) -> tuple[PartitionLease, ...]:
    """Choose what to ask others for, so that all end with the same number, or one more.

    A row that was asked for counts for the one who asked.
    """
    holders = [lease.next_owner or lease.current_owner for lease in leases]
    counts = Counter(holder for holder in holders if holder is not None)
    mine = counts.pop(situation.worker_id, 0)
    average = len(leases) // (len(counts) + 1)
    asked: list[PartitionLease] = []
    for other, theirs in sorted(counts.items()):
        want = average - mine
        if want < 0:
            break
        if want == 0 and theirs - average > 1:
            want = 1
        askable = [
            lease for lease in leases if lease.current_owner == other and lease.next_owner is None
        ]
        chosen = askable[: max(0, min(want, theirs - average))]
        asked += chosen
        mine += len(chosen)
    return tuple(asked)
