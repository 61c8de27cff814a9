"""Conformance: delayed messages are never early and never lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import World, ids_of, names_of

HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)


class TimerConformance(ConformanceBase):
    """Messages with `visible_at`."""

    async def test_a_timer_is_never_early(self, world: World) -> None:
        """Not by a microsecond; and not late."""
        run = await world.begin("one")
        await run.send(run.timer(1, HOUR))

        await world.clock.advance(HOUR - MOMENT)
        await world.expect_idle()
        await world.clock.advance(MOMENT)
        item = await world.take()
        assert names_of(item) == ["timer 1"]
        assert item.messages[0].execution_id == "first"
        await world.expect_idle()

    async def test_a_waiting_worker_is_woken_in_time(self, world: World) -> None:
        """By the timer alone, and by one that was set while it waited and is due before."""
        run = await world.begin("one")
        await run.send(run.timer(1, timedelta(days=30)))
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(world.take())
            await world.clock.advance(timedelta(days=2))
            await run.send(run.timer(2, timedelta(seconds=61)))
            await world.clock.advance(timedelta(seconds=61) - MOMENT)
            assert not waiting.done()
            await world.clock.advance(MOMENT)
        assert names_of(waiting.result()) == ["timer 2"]

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(world.take())
            await world.clock.advance(timedelta(days=28, seconds=-61) - MOMENT)
            assert not waiting.done()
            await world.clock.advance(MOMENT)
        assert names_of(waiting.result()) == ["timer 1"]

    async def test_timers_come_in_the_order_they_are_due(self, world: World) -> None:
        """Among themselves and among messages, whatever the order they were set in."""
        run = await world.begin("one")
        await run.send(*(run.timer(hours, hours * HOUR) for hours in (3, 1, 2)))
        await world.clock.advance(1.5 * HOUR)
        await world.backend.send_message("one", world.raised("at half past one"))
        await world.clock.advance(1 * HOUR)
        await world.backend.send_message("one", world.raised("at half past two"))
        await world.clock.advance(1 * HOUR)

        arrived: list[str] = []
        while len(arrived) < 5:
            arrived += names_of(await world.take())
        assert arrived == [
            "timer 1",
            "at half past one",
            "timer 2",
            "at half past two",
            "timer 3",
        ]

    async def test_a_timer_of_the_past_is_due_at_once(self, world: World) -> None:
        """Behind what waits already."""
        run = await world.begin("one")
        await run.send(world.to("one", "before"), run.timer(1, -HOUR), run.timer(2, 0 * HOUR))

        assert names_of(await world.take()) == ["before", "timer 1", "timer 2"]

    async def test_timers_outlive_a_crash(self, world: World) -> None:
        """Due or not, each comes in its time, once."""
        run = await world.begin("one")
        await run.send(run.timer(1, HOUR), run.timer(2, 3 * HOUR))
        await world.clock.advance(2 * HOUR)
        await world.crash()

        item = await world.take()
        assert names_of(item) == ["timer 1"]
        await run.commit(run.plan(consumed=ids_of(item)))
        await world.expect_idle()
        await world.clock.advance(2 * HOUR)
        assert names_of(await world.take()) == ["timer 2"]
        await world.expect_idle()

    async def test_a_timer_comes_again_until_it_is_consumed(self, world: World) -> None:
        """After `abandon`, and after a restart."""
        run = await world.begin("one")
        await run.send(run.timer(1, HOUR))
        await world.clock.advance(HOUR)
        assert names_of(await world.take()) == ["timer 1"]
        await world.backend.abandon("one")
        assert names_of(await world.take()) == ["timer 1"]
        await world.reopen()

        item = await world.take()
        assert names_of(item) == ["timer 1"]
        await run.commit(run.plan(consumed=ids_of(item)))
        await world.crash()
        await world.expect_idle()

    async def test_abandon_does_not_hurry_a_timer(self, world: World) -> None:
        """What is not due stays away."""
        run = await world.begin("one")
        await run.send(run.timer(1, HOUR))
        await world.backend.abandon("one")
        await world.expect_idle()

        await world.clock.advance(HOUR)
        assert names_of(await world.take()) == ["timer 1"]

    async def test_a_cancelled_timer_does_not_come(self, world: World) -> None:
        """It alone; also after a crash."""
        run = await world.begin("one")
        other = await world.begin("other")
        await run.send(*(run.timer(number, HOUR) for number in (1, 2, 3)))
        await other.send(other.timer(2, HOUR))
        await run.commit(run.plan(cancelled_timers=(2, 99)))
        await world.crash()

        await world.clock.advance(HOUR)
        items = [await world.take(), await world.take()]
        arrived = {item.instance_id: names_of(item) for item in items}
        assert arrived == {"one": ["timer 1", "timer 3"], "other": ["timer 2"]}
        await world.expect_idle()

    async def test_a_timer_of_an_earlier_run_is_dropped_or_says_so(self, world: World) -> None:
        """Continue-as-new leaves timers behind; the worker must be able to tell."""
        run = await world.begin("one")
        await run.send(run.timer(1, HOUR))
        start = world.start_of("one", execution_id="second")
        await run.commit(run.plan(start, started=start))
        await run.send(run.timer(2, 2 * HOUR))

        await world.clock.advance(2 * HOUR)
        messages = (await world.take()).messages
        current = [message for message in messages if message.execution_id == "second"]
        assert len(current) == 1
        assert all(
            message.execution_id == "first" for message in messages if message not in current
        )

    async def test_timers_by_the_thousand(self, world: World) -> None:
        """All of one moment, and some of each; none is lost, none comes twice."""
        run = await world.begin("one")
        other = await world.begin("other")
        await run.send(*(run.timer(number, HOUR) for number in range(1000)))
        await other.send(*(other.timer(number, number * HOUR / 1000) for number in range(1000)))
        await run.commit(run.plan(cancelled_timers=tuple(range(500, 1000))))

        arrived: dict[str, list[str]] = {"one": [], "other": []}
        for quarter in range(4):
            await world.clock.advance(HOUR / 4)
            last = f"last of quarter {quarter}"
            await world.create(last)
            while (item := await world.take()).instance_id != last:
                arrived[item.instance_id] += names_of(item)
        while len(arrived["one"]) < 500 or len(arrived["other"]) < 1000:
            item = await world.take()
            arrived[item.instance_id] += names_of(item)
        assert arrived["one"] == [f"timer {number}" for number in range(500)]
        assert arrived["other"] == [f"timer {number}" for number in range(1000)]
        await world.expect_idle()
