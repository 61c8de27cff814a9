"""The rounds of a partition manager: read, decide, write, and know until when what is owned.

Without storage, threads and waiting: those are given or done by `partition_manager`. A lease is
counted from before the request that renewed it, and what cannot be renewed runs out by itself.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from func_host.durable.backends.azure_storage.leases import (
    LeaseAction,
    PartitionLease,
    Situation,
    other_workers,
    plan_round,
    renewal,
)
from func_host.durable.backends.azure_storage.leases_table import LeaseConflictError
from func_host.log import PARTITION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from func_host.clock import Clock
    from func_host.durable.backends.azure_storage.leases import LeaseChange, LeaseSettings
    from func_host.durable.backends.azure_storage.leases_table import LeaseTable

_logger = logging.getLogger(__name__)

_CONFLICTS_MAX: Final = 10


class QueueListener(Protocol):
    """Who is told of each change once, in order."""

    def partition_acquired(self, queue: str) -> None:
        """Start to read the queue."""
        ...

    def partition_draining(self, queue: str) -> None:
        """Stop reading, let what is in flight end, and call `finish_drain`."""
        ...

    def partition_lost(self, queue: str) -> None:
        """Stop at once: it belongs to somebody else, or to nobody."""
        ...


@dataclass(frozen=True, slots=True)
class _Deadline:
    """Until when a partition is owned, by both clocks: one may stand still, one may be set."""

    monotonic: float
    wall: datetime


class PartitionRounds:
    """What one worker knows and does about the partitions of a hub.

    `owns` may be asked from any thread; all else belongs to one event loop.
    """

    def __init__(
        self,
        table: LeaseTable,
        *,
        worker_id: str,
        settings: LeaseSettings,
        clock: Clock,
        listener: QueueListener,
    ) -> None:
        self._table = table
        self._worker_id = worker_id
        self._settings = settings
        self._clock = clock
        self._listener = listener
        self._deadlines: dict[str, _Deadline] = {}
        self._leases: dict[str, PartitionLease] = {}
        self._partition_count: int | None = None
        self.peers: frozenset[str] = frozenset()
        """The other workers that own partitions, as the last read of the rows told."""
        self._is_disowned = False
        self._taken: dict[str, PartitionLease] = {}  # as the rows were before they were taken
        self._draining_since: dict[str, float] = {}
        self._drained: set[str] = set()
        self._is_stopping = False
        self._is_waiting = False

    def owns(self, queue: str) -> bool:
        """Tell whether this worker surely owns the partition at this moment."""
        deadline = self._deadlines.get(queue)
        return (
            deadline is not None
            and not self._is_disowned
            and self._clock.monotonic() < deadline.monotonic
            and self._clock.now() < deadline.wall
        )

    @property
    def owned(self) -> frozenset[str]:
        """The control queues that are owned at this moment, those being given back included."""
        return frozenset(queue for queue in tuple(self._deadlines) if self.owns(queue))

    def is_given_back(self, queue: str, *, held_s: float) -> bool:
        """Tell whether a partition that was taken had been given back, or was never owned.

        The one that gave it back must have had it for `held_s`.
        """
        before = self._taken.get(queue)
        if before is None or before.current_owner is not None:
            return False
        if before.owned_since is None or before.last_renewal is None:
            return True
        return before.last_renewal - before.owned_since >= timedelta(seconds=held_s)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held, which is when a worker that stops has stopped."""
        return not self._leases and not self._drained

    def finish_drain(self, queue: str) -> None:
        """Say that nothing of the partition is in flight any more."""
        if queue in self._draining_since:
            self._drained.add(queue)

    def disown(self) -> None:
        """Own nothing from this moment on, whatever the rows say; safe from any thread."""
        self._is_disowned = True

    def stop(self) -> None:
        """Give everything back from the next round on."""
        self._is_stopping = True

    def forget_all(self) -> None:
        """Own nothing any more, as when the hub belongs to another app; the rows run out."""
        for queue in tuple(self._leases):
            self._lose(queue)

    async def run(self) -> float:
        """Do one round and give the seconds to the next one.

        Raises:
            AzureError: The storage failed; what is owned stays so until its deadline.
            TimeoutError: It did not answer in time; likewise.
        """
        for _ in range(_CONFLICTS_MAX):
            if self._may_renew_unread():
                is_done = await self._renew(tuple(self._leases.values()))
            else:
                is_done = await self._full_round()
            if is_done:
                break
        is_busy = bool(self._draining_since) or self._is_stopping or self._is_waiting
        return self._settings.busy_s if is_busy else self._settings.renew_s

    def _may_renew_unread(self) -> bool:
        """Whether there is nothing to learn: whoever wants one of my rows changes its etag."""
        return (
            len(self._leases) == self._partition_count
            and not self._draining_since
            and not self._is_stopping
        )

    async def _full_round(self) -> bool:
        async with asyncio.timeout(self._settings.operation_s):
            leases = await self._table.read()
        self._partition_count = len(leases)
        situation = self._situation()
        self.peers = other_workers(leases, situation)
        self._notice(leases)
        changes = plan_round(leases, situation)
        asked = {change.lease.queue for change in changes if change.action is LeaseAction.ASK}
        asked |= {lease.queue for lease in leases if lease.next_owner == self._worker_id}
        claimed = {change.lease.queue for change in changes if change.action is LeaseAction.CLAIM}
        self._is_waiting = bool(asked - claimed)
        renewals = [change.lease for change in changes if change.action is LeaseAction.RENEW]
        is_done = not renewals or await self._renew(renewals)
        before = {lease.queue: lease for lease in leases}
        for change in changes:
            if change.action is LeaseAction.CLAIM:
                self._taken[change.lease.queue] = before[change.lease.queue]
            if change.action is not LeaseAction.RENEW:
                is_done = await self._apply(change) and is_done
        return is_done

    async def _renew(self, leases: Sequence[PartitionLease]) -> bool:
        situation, started = self._situation(), self._clock.monotonic()
        wanted = [renewal(lease, situation).lease for lease in leases]
        try:
            async with asyncio.timeout(self._settings.operation_s):
                written = await self._table.replace_all(wanted)
        except LeaseConflictError:
            self._partition_count = None
            return False
        for lease in written:
            self._keep(lease, started)
        return True

    async def _apply(self, change: LeaseChange) -> bool:
        started = self._clock.monotonic()
        if change.action is LeaseAction.RELEASE:
            # Before the row is free, nothing may happen under it any more.
            self._let_go(change.lease.queue)
        try:
            async with asyncio.timeout(self._settings.operation_s):
                written = await self._table.replace(change.lease)
        except LeaseConflictError:
            return False
        queue = written.queue
        match change.action:
            case LeaseAction.CLAIM | LeaseAction.RENEW:
                self._keep(written, started)
            case LeaseAction.DRAIN:
                self._keep(written, started)
                self._start_to_drain(queue, started)
            case LeaseAction.RELEASE:
                self._end_drain(queue)
            case LeaseAction.ASK:
                pass
        level = logging.DEBUG if change.action is LeaseAction.DRAIN else logging.INFO
        _logger.log(level, f"partition {change.action.value}", extra={PARTITION: queue})  # noqa: G004 -- one of five constant texts
        return True

    def _keep(self, lease: PartitionLease, started: float) -> None:
        """Own what was written, from the moment at which writing it began."""
        settings = self._settings
        assert lease.expires_at is not None
        own_s = settings.lease_s - settings.clock_skew_s
        is_new = lease.queue not in self._leases
        self._leases[lease.queue] = lease
        self._deadlines[lease.queue] = _Deadline(
            started + own_s, lease.expires_at - timedelta(seconds=settings.clock_skew_s)
        )
        if not lease.is_draining and lease.queue in self._draining_since:
            self._end_drain(lease.queue)
            is_new = True
        if is_new:
            self._listener.partition_acquired(lease.queue)

    def _start_to_drain(self, queue: str, started: float) -> None:
        if queue not in self._draining_since:
            self._draining_since[queue] = started
            self._listener.partition_draining(queue)

    def _end_drain(self, queue: str) -> None:
        self._draining_since.pop(queue, None)
        self._drained.discard(queue)

    def _lose(self, queue: str) -> None:
        self._let_go(queue)
        self._end_drain(queue)

    def _let_go(self, queue: str) -> None:
        """Own it no longer; that it is being given back stays known until the row says so."""
        self._deadlines.pop(queue, None)
        if queue in self._draining_since:
            self._drained.add(queue)
        self._taken.pop(queue, None)
        if self._leases.pop(queue, None) is not None:
            self._listener.partition_lost(queue)

    def _notice(self, leases: Sequence[PartitionLease]) -> None:
        """See which rows are another's now, and what others wrote into mine."""
        mine = {lease.queue: lease for lease in leases if lease.current_owner == self._worker_id}
        for queue in sorted({*self._leases, *self._draining_since}):
            if queue in mine:
                if queue in self._leases:
                    self._leases[queue] = mine[queue]
            else:
                self._lose(queue)

    def _situation(self) -> Situation:
        limit = self._clock.monotonic() - self._settings.drain_s
        overdue = {queue for queue, since in self._draining_since.items() if since <= limit}
        return Situation(
            worker_id=self._worker_id,
            now=self._clock.now(),
            drained=frozenset(self._drained | overdue),
            is_stopping=self._is_stopping,
            settings=self._settings,
        )
