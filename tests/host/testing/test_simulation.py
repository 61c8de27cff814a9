"""The loop in virtual time: nothing waits for real, and nothing hangs."""

import asyncio
from datetime import timedelta

import pytest

from func_host.testing.clock import START
from func_host.testing.simulation import (
    DeadlockError,
    LivelockError,
    LoopClock,
    VirtualTimeLoop,
    run_in_virtual_time,
)

DAY_S = 86_400.0


def test_days_pass_in_no_time_and_on_the_microsecond() -> None:
    loop = VirtualTimeLoop()
    clock = LoopClock(loop)

    run_in_virtual_time(loop, clock.sleep(3 * DAY_S + 0.000001))

    assert clock.monotonic() == 3 * DAY_S + 0.000001
    assert clock.now() == START + timedelta(days=3, microseconds=1)


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    loop = VirtualTimeLoop()
    clock = LoopClock(loop)
    woken: list[tuple[float, float]] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for seconds in (5.0, 0.0, DAY_S, 0.25):
                group.create_task(sleep(seconds))

    run_in_virtual_time(loop, main())

    assert woken == [(0.0, 0.0), (0.25, 0.25), (5.0, 5.0), (DAY_S, DAY_S)]


def test_a_sleep_is_never_too_short_however_the_numbers_round() -> None:
    loop = VirtualTimeLoop(turns_max=1_000)
    clock = LoopClock(loop)

    async def main() -> None:
        end = clock.monotonic() + 62.381888
        while (remaining := end - clock.monotonic()) > 0:
            await clock.sleep(remaining / 3 if remaining > 1 else remaining)

    run_in_virtual_time(loop, main())

    assert clock.monotonic() >= 62.381888


def test_where_everything_waits_for_ever_it_raises_instead_of_hanging() -> None:
    loop = VirtualTimeLoop()

    async def main() -> None:
        await LoopClock(loop).sleep(7.0)
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match="after 7 virtual seconds"):
        run_in_virtual_time(loop, main())


def test_where_something_is_busy_for_ever_it_raises_too() -> None:
    loop = VirtualTimeLoop(turns_max=100)

    async def main() -> None:
        while True:
            await LoopClock(loop).sleep(1.0)

    with pytest.raises(LivelockError):
        run_in_virtual_time(loop, main())


def test_what_is_left_over_is_cancelled() -> None:
    loop = VirtualTimeLoop()
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def main() -> None:
        waiting = asyncio.get_running_loop().create_task(wait())
        await LoopClock(loop).sleep(1.0)
        assert not waiting.done()

    run_in_virtual_time(loop, main())

    assert ended == ["cancelled"]
    assert loop.is_closed()
