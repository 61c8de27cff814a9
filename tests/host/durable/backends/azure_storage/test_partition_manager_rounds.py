"""A worker's rounds over the rows of a hub: what it asks, writes, believes and tells."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from func_host.durable.backends.azure_storage.leases import LeaseSettings, PartitionLease
from func_host.durable.backends.azure_storage.leases_table import LeaseConflictError
from func_host.durable.backends.azure_storage.partition_manager_rounds import PartitionRounds

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio

SETTINGS = LeaseSettings()
QUEUES = tuple(f"hub-control-{number:02d}" for number in range(4))


class SteppedClock:
    """Two clocks that move when told to; they need not move together."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 22, 7, tzinfo=UTC)
        self.steady = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds


@dataclass
class FakeTable:
    """The rows in memory, under the rules of the service; counts requests, fails when told to."""

    clock: SteppedClock
    rows: dict[str, PartitionLease] = field(
        default_factory=lambda: {queue: PartitionLease(queue=queue, etag="0") for queue in QUEUES}
    )
    requests: list[str] = field(default_factory=list[str])
    writes: int = 0
    is_down: bool = False
    loses_answers: bool = False
    takes_s: float = 0.0

    async def read(self) -> tuple[PartitionLease, ...]:
        self._ask("read")
        return tuple(self.rows.values())

    async def replace(self, lease: PartitionLease) -> PartitionLease:
        self._ask("replace")
        (written,) = self._write([lease])
        return written

    async def replace_all(self, leases: Sequence[PartitionLease]) -> tuple[PartitionLease, ...]:
        self._ask("replace all")
        return self._write(leases)

    def set(self, queue: str, **columns: str | datetime | None) -> None:
        """Write as another worker does."""
        self._write([replace(self.rows[queue], **columns)])  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- columns of the row

    def _ask(self, request: str) -> None:
        self.requests.append(request)
        self.clock.advance(self.takes_s)
        if self.is_down:
            raise TimeoutError

    def _write(self, leases: Sequence[PartitionLease]) -> tuple[PartitionLease, ...]:
        if any(self.rows[lease.queue].etag != lease.etag for lease in leases):
            raise LeaseConflictError("changed")
        self.writes += 1
        written = tuple(replace(lease, etag=f"{self.writes}") for lease in leases)
        self.rows |= {lease.queue: lease for lease in written}
        if self.loses_answers:
            raise TimeoutError
        return written


@dataclass
class Told:
    """What the reader of the queues was told."""

    events: list[str] = field(default_factory=list[str])

    def partition_acquired(self, queue: str) -> None:
        self.events.append(f"acquired {queue[-2:]}")

    def partition_draining(self, queue: str) -> None:
        self.events.append(f"draining {queue[-2:]}")

    def partition_lost(self, queue: str) -> None:
        self.events.append(f"lost {queue[-2:]}")

    def take(self) -> list[str]:
        events, self.events = self.events, []
        return events


class World:
    """A hub and one worker, or several."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.table = FakeTable(self.clock)
        self.told = Told()
        self.me = self.worker("me", self.told)

    def worker(self, worker_id: str, told: Told | None = None) -> PartitionRounds:
        return PartitionRounds(
            self.table,
            worker_id=worker_id,
            settings=SETTINGS,
            clock=self.clock,
            listener=told or Told(),
        )

    def take_requests(self) -> list[str]:
        requests, self.table.requests = self.table.requests, []
        return requests


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_worker_takes_all(world: World) -> None:
    delay_s = await world.me.run()

    assert world.told.take() == ["acquired 00", "acquired 01", "acquired 02", "acquired 03"]
    assert world.me.owned == set(QUEUES)
    assert delay_s == SETTINGS.renew_s


async def test_all_that_is_owned_is_renewed_in_one_request_without_reading(world: World) -> None:
    await world.me.run()
    world.take_requests()
    for _ in range(6):
        world.clock.advance(SETTINGS.renew_s)
        await world.me.run()

    assert world.take_requests() == ["replace all"] * 6
    assert world.me.owned == set(QUEUES)


async def test_what_is_not_renewed_ends_before_another_may_take_it(world: World) -> None:
    await world.me.run()
    expires_at = world.table.rows[QUEUES[0]].expires_at
    assert expires_at is not None

    world.clock.advance(SETTINGS.lease_s - SETTINGS.clock_skew_s - 0.1)
    assert world.me.owns(QUEUES[0])
    world.clock.advance(0.2)
    assert not world.me.owns(QUEUES[0])
    assert world.clock.now() + timedelta(seconds=SETTINGS.clock_skew_s / 2) < expires_at


async def test_a_lease_counts_from_before_its_request(world: World) -> None:
    await world.me.run()
    world.table.takes_s = 5.0
    await world.me.run()
    world.clock.advance(SETTINGS.lease_s - SETTINGS.clock_skew_s - 5.0 + 0.1)

    assert not world.me.owns(QUEUES[0])


async def test_a_machine_that_slept_owns_nothing_whichever_clock_stood_still(world: World) -> None:
    await world.me.run()

    world.clock.wall += timedelta(seconds=60)  # the steady clock does not count sleep on Linux
    assert world.me.owned == frozenset()
    world.clock.wall -= timedelta(seconds=60)
    world.clock.steady += 60
    assert world.me.owned == frozenset()


async def test_what_nobody_took_in_the_meantime_is_owned_again_without_a_word(
    world: World,
) -> None:
    await world.me.run()
    world.told.take()
    world.clock.advance(300)
    await world.me.run()

    assert world.me.owned == set(QUEUES)
    assert world.told.take() == []


async def test_what_another_took_in_the_meantime_is_lost(world: World) -> None:
    await world.me.run()
    world.told.take()
    world.clock.advance(300)
    other = world.worker("other")
    await other.run()
    assert other.owned == set(QUEUES)
    assert world.me.owned == frozenset()

    await world.me.run()

    assert world.told.take() == ["lost 00", "lost 01", "lost 02", "lost 03"]
    assert world.me.owned == frozenset()


async def test_an_answer_that_was_lost_costs_nothing_but_a_round(world: World) -> None:
    await world.me.run()
    world.told.take()
    world.clock.advance(SETTINGS.renew_s)
    world.table.loses_answers = True
    with pytest.raises(TimeoutError):
        await world.me.run()
    world.table.loses_answers = False
    world.clock.advance(SETTINGS.busy_s)
    await world.me.run()
    world.clock.advance(SETTINGS.renew_s + SETTINGS.busy_s)

    assert world.me.owned == set(QUEUES)
    assert world.told.take() == []


async def test_a_storage_that_is_down_ends_ownership_by_the_clock(world: World) -> None:
    await world.me.run()
    world.table.is_down = True
    for _ in range(3):
        world.clock.advance(SETTINGS.renew_s)
        with pytest.raises(TimeoutError):
            await world.me.run()

    assert world.me.owned == frozenset()


async def test_two_workers_share_and_the_handover_waits_for_what_is_in_flight(
    world: World,
) -> None:
    other_told = Told()
    other = world.worker("other", other_told)
    await world.me.run()
    world.told.take()
    assert await other.run() == SETTINGS.busy_s  # it waits for what it has asked for

    world.clock.advance(SETTINGS.renew_s)
    assert await world.me.run() == SETTINGS.busy_s
    assert world.told.take() == ["draining 00", "draining 01"]
    assert world.me.owned == set(QUEUES)
    await world.me.run()
    assert world.told.take() == []

    world.me.finish_drain(QUEUES[0])
    await world.me.run()
    await other.run()
    assert world.told.take() == ["lost 00"]
    assert other_told.take() == ["acquired 00"]
    assert not world.me.owns(QUEUES[0])
    assert world.me.owns(QUEUES[1])
    assert other.owned == {QUEUES[0]}


async def test_what_does_not_drain_in_time_is_given_back_all_the_same(world: World) -> None:
    other = world.worker("other")
    await world.me.run()
    await other.run()
    await world.me.run()
    for _ in range(int(SETTINGS.drain_s / 5)):
        assert QUEUES[0] in world.me.owned
        world.clock.advance(5)
        await world.me.run()

    await other.run()
    assert other.owned == set(QUEUES[:2])
    assert world.me.owned == set(QUEUES[2:])


async def test_a_drain_that_nobody_wants_any_more_is_taken_back(world: World) -> None:
    await world.me.run()
    world.table.set(QUEUES[0], next_owner="other")
    await world.me.run()
    world.told.take()
    world.table.set(QUEUES[0], next_owner=None)
    await world.me.run()

    assert world.told.take() == ["acquired 00"]


async def test_who_stops_gives_all_back_as_it_drains(world: World) -> None:
    await world.me.run()
    world.told.take()
    world.me.stop()
    await world.me.run()
    assert world.told.take() == ["draining 00", "draining 01", "draining 02", "draining 03"]
    for queue in QUEUES:
        assert not world.me.is_idle
        world.me.finish_drain(queue)
    await world.me.run()

    assert world.told.take() == ["lost 00", "lost 01", "lost 02", "lost 03"]
    assert world.me.is_idle
    assert {row.current_owner for row in world.table.rows.values()} == {None}


async def test_a_release_that_meets_another_write_is_repeated_and_nothing_is_read_again(
    world: World,
) -> None:
    await world.me.run()
    world.me.stop()
    await world.me.run()
    world.told.take()
    for queue in QUEUES:
        world.me.finish_drain(queue)
    world.table.loses_answers = True
    with pytest.raises(TimeoutError):
        await world.me.run()
    world.table.loses_answers = False
    world.table.set(QUEUES[1], next_owner="other")
    await world.me.run()

    assert world.told.take() == ["lost 00", "lost 01", "lost 02", "lost 03"]
    assert world.me.is_idle
    assert world.table.rows[QUEUES[1]].next_owner == "other"


async def test_a_restarted_worker_takes_its_own_leases_at_once(world: World) -> None:
    await world.me.run()
    told = Told()
    world.clock.advance(1)
    await world.worker("me", told).run()

    assert told.take() == ["acquired 00", "acquired 01", "acquired 02", "acquired 03"]


async def test_who_has_lost_the_hub_owns_nothing(world: World) -> None:
    await world.me.run()
    world.told.take()
    world.me.forget_all()

    assert world.me.owned == frozenset()
    assert world.told.take() == ["lost 00", "lost 01", "lost 02", "lost 03"]


async def test_the_others_are_known_once_the_rows_were_read(world: World) -> None:
    await world.me.run()
    assert world.me.peers == frozenset()
    other = world.worker("other")
    for _ in range(20):
        for worker in (world.me, other):
            for queue in QUEUES:
                worker.finish_drain(queue)
            await worker.run()
        world.clock.advance(1)

    assert world.me.peers == {"other"}
    assert other.peers == {"me"}


async def test_who_disowns_what_he_has_owns_nothing_whatever_the_rows_say(world: World) -> None:
    await world.me.run()
    world.me.disown()
    assert world.me.owned == frozenset()
    await world.me.run()

    assert not any(world.me.owns(queue) for queue in QUEUES)
