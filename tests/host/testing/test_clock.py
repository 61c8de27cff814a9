"""The simulated clock moves only by hand, and wakes sleepers in order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from func_host.testing.clock import START, SimulatedClock

pytestmark = pytest.mark.anyio


async def test_time_stands_still_until_it_is_moved() -> None:
    clock = SimulatedClock()
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    await clock.sleep(0)
    await clock.sleep(-5)
    assert clock.now() == START

    await clock.advance(timedelta(days=1))
    assert (clock.now(), clock.monotonic()) == (START + timedelta(days=1), 86_400.0)


async def test_sleepers_wake_in_order_each_at_its_moment() -> None:
    clock = SimulatedClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float, times: int = 1) -> None:
        for _ in range(times):
            await clock.sleep(seconds)
            woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("slow", 5))
        group.create_task(sleeper("same", 2))
        group.create_task(sleeper("quick", 2, times=3))
        await clock.advance(4.5)
        assert woken == [("same", 2), ("quick", 2), ("quick", 4)]
        await clock.advance(1.5)
        assert woken[3:] == [("slow", 5), ("quick", 6)]


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = SimulatedClock()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(clock.sleep(1))
        second = group.create_task(clock.sleep(2))
        await clock.advance(0)
        first.cancel()
        await clock.advance(1.5)
        assert first.cancelled()
        assert not second.done()
        await clock.advance(0.5)
    assert second.done()
