"""Waiting for work unless something else happens first."""

import asyncio
from typing import NoReturn

import pytest

from func_host.durable.racing import sleep_long, unless
from func_host.testing.clock import SimulatedClock

pytestmark = pytest.mark.anyio


async def never() -> None:
    await asyncio.Event().wait()


async def at_once() -> int:
    return 7


async def broken() -> NoReturn:
    raise ValueError("work")


async def test_work_that_ends_first_gives_its_result() -> None:
    assert await unless(at_once, never) == 7
    assert await unless(at_once) == 7


async def test_an_interruption_ends_the_work() -> None:
    cancelled: list[bool] = []

    async def work() -> None:
        try:
            await never()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    assert await unless(work, never, at_once) is None
    assert cancelled == [True]


async def test_what_the_work_raises_comes_out_as_it_is() -> None:
    with pytest.raises(ValueError, match="work"):
        await unless(broken, never)


async def test_a_fault_of_an_interruption_is_not_swallowed() -> None:
    with pytest.raises(ExceptionGroup) as group:
        await unless(never, broken)
    assert group.group_contains(ValueError, match="work")


async def test_cancelling_the_wait_cancels_everything_in_it() -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(unless(never, never))
        await at_once()
        waiting.cancel()
    assert waiting.cancelled()


async def test_a_sleep_of_any_length_is_cut_into_days() -> None:
    clock = SimulatedClock()
    async with asyncio.TaskGroup() as tasks:
        sleeping = tasks.create_task(sleep_long(clock, 200_000))
        endless = tasks.create_task(sleep_long(clock, float("inf")))
        await clock.advance(199_999)
        assert not sleeping.done()
        await clock.advance(2)
        assert sleeping.done()
        endless.cancel()
    await sleep_long(clock, -1)
