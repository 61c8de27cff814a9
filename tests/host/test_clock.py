from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from func_host import clock as clocks
from func_host.clock import SystemClock, SystemIds

pytestmark = pytest.mark.anyio


class ShiftedTime:
    """The module `time` on a machine whose wall clock was moved."""

    def __init__(self, by_s: float) -> None:
        self._by_s = by_s

    def time(self) -> float:
        return datetime.now(UTC).timestamp() + self._by_s  # noqa: TID251 -- the clock under test

    def monotonic(self) -> float:
        return time.monotonic()


async def test_a_sleep_is_never_shorter_than_asked() -> None:
    clock = SystemClock()
    before = clock.monotonic()

    await clock.sleep(0.05)

    assert clock.monotonic() - before >= 0.05


async def test_a_machine_that_slept_wakes_its_sleepers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The monotonic clock stood still meanwhile, the wall clock did not."""
    monkeypatch.setattr(clocks, "LOOK_AGAIN_S", 0.01)
    clock = SystemClock()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(clock.sleep(3600))
        await asyncio.wait({tasks.create_task(clock.sleep(0.02))})
        monkeypatch.setattr(clocks, "time", ShiftedTime(3601))


async def test_a_wall_clock_set_back_delays_no_sleeper(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(SystemClock().sleep(0.05))
        await asyncio.wait({tasks.create_task(SystemClock().sleep(0.01))})
        monkeypatch.setattr(clocks, "time", ShiftedTime(-3600))


def test_now_is_aware_utc() -> None:
    before = datetime.now(UTC)  # noqa: TID251 -- the clock under test

    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert timedelta(0) <= now - before < timedelta(seconds=5)


def test_ids_are_32_hex_digits_and_differ() -> None:
    ids = SystemIds()

    one, other = ids.new_id(), ids.new_id()

    assert one != other
    assert len(one) == 32
    assert set(one) <= set("0123456789abcdef")


def test_chance_is_from_zero_to_one() -> None:
    ids = SystemIds()

    assert all(0 <= ids.jitter() < 1 for _ in range(100))


def test_an_id_is_a_random_uuid() -> None:
    ids = SystemIds()

    for _ in range(1_000):
        text = ids.new_id()
        made = uuid.UUID(hex=text)
        assert (made.hex, made.version, made.variant) == (text, 4, uuid.RFC_4122)


def test_threads_that_draw_ids_at_the_same_time_get_different_ones() -> None:
    ids = SystemIds()

    def draw(count: int) -> list[str]:
        return [ids.new_id() for _ in range(count)]

    with ThreadPoolExecutor(8) as threads:
        drawn = list(threads.map(draw, [1_000] * 16))

    assert len({each for some in drawn for each in some}) == 16_000
