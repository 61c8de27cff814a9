"""What a host does about the partitions in one cycle, given what it read.

As the provider's table partition manager: claim what is free or has lapsed, renew what is held,
give up what another asks for once it is drained, and ask for as many as make the shares even.
Every change is a replacement under the ETag that was read; one that fails changes nothing, and
the next cycle starts from what is there then.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from func_host.durable.backends.azure_storage.partition_leases import PartitionLease

LEASE: Final = timedelta(seconds=30)
"""How long a renewal holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The host that plans.

    Args:
        worker_id: Its id, of which there must be no other.
        listening: Control queues that it reads now.
        drained: Control queues that it stopped reading and has nothing in flight of.
        is_stopping: True where it gives everything up.
    """

    worker_id: str
    listening: frozenset[str] = frozenset()
    drained: frozenset[str] = frozenset()
    is_stopping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CyclePlan:
    """What to do in a cycle.

    Args:
        stop: Queues to stop reading before anything else: they are another's.
        drain: Queues to stop reading and to let what is in flight end.
        writes: Rows to replace, in this order.
        listen: Queues to read once their row is written.
        is_settling: True where the next cycle should follow soon: something is being given up or
            waited for.
    """

    stop: frozenset[str]
    drain: frozenset[str]
    writes: tuple[PartitionLease, ...]
    listen: frozenset[str]
    is_settling: bool


def plan_cycle(leases: Sequence[PartitionLease], me: Holder, now: datetime) -> CyclePlan:
    """Plan one cycle from all rows as they were read."""
    after = [_next(lease, me, now) for lease in leases]
    if not me.is_stopping:
        after = _balanced(after, me.worker_id)
    mine = [lease for lease in after if lease.current_owner == me.worker_id]
    draining = frozenset(lease.queue for lease in mine if lease.is_draining)
    return CyclePlan(
        stop=frozenset(
            lease.queue
            for lease in leases
            if lease.queue in me.listening and lease.current_owner != me.worker_id
        ),
        drain=draining,
        writes=tuple(new for old, new in zip(leases, after, strict=True) if new != old),
        listen=frozenset(lease.queue for lease in mine) - draining,
        is_settling=bool(draining) or any(lease.next_owner == me.worker_id for lease in after),
    )


def _next(lease: PartitionLease, me: Holder, now: datetime) -> PartitionLease:
    if not me.is_stopping and _is_free(lease, me.worker_id, now):
        lease = replace(
            lease,
            current_owner=me.worker_id,
            next_owner=None,
            owned_since=now,
            is_draining=False,
        )
    if lease.current_owner == me.worker_id:
        return _renewed_or_released(lease, me, now)
    if lease.current_owner and lease.is_draining and not lease.next_owner and not me.is_stopping:
        return replace(lease, next_owner=me.worker_id)
    return lease


def _is_free(lease: PartitionLease, worker_id: str, now: datetime) -> bool:
    """Tell whether nobody holds it and nobody else was promised it, or its time is over."""
    if lease.current_owner is None and lease.next_owner in {None, worker_id}:
        return True
    return lease.expires_at is not None and now >= lease.expires_at


def _renewed_or_released(lease: PartitionLease, me: Holder, now: datetime) -> PartitionLease:
    is_given_up = me.is_stopping or lease.next_owner is not None
    if is_given_up and lease.queue in me.drained:
        return replace(lease, current_owner=None, is_draining=False)
    return replace(lease, last_renewal=now, expires_at=now + LEASE, is_draining=is_given_up)


def _balanced(leases: Sequence[PartitionLease], worker_id: str) -> list[PartitionLease]:
    """Ask the hosts that hold more than their share for what is missing from ours."""
    shares = Counter(
        holder for lease in leases if (holder := lease.next_owner or lease.current_owner)
    )
    mine = shares.pop(worker_id, 0)
    average = len(leases) // (len(shares) + 1)
    asked_for: set[str] = set()
    for other, theirs in shares.items():
        missing, excess = average - mine, theirs - average
        if missing < 0:
            break
        if missing == 0 and excess > 1:
            missing = 1
        held = (
            lease.queue for lease in leases if lease.current_owner == other and not lease.next_owner
        )
        taken = [queue for queue, _ in zip(held, range(min(missing, excess)), strict=False)]
        asked_for.update(taken)
        mine += len(taken)
    return [
        replace(lease, next_owner=worker_id) if lease.queue in asked_for else lease
        for lease in leases
    ]
