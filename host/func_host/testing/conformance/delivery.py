"""Conformance: messages come in order, once, and not less than once."""

from __future__ import annotations

import asyncio

import pytest

from func_bindings.errors import InstanceCompletedError, InstanceNotFoundError
from func_host.durable.backend import WorkItem
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import World, ids_of, names_of


class DeliveryConformance(ConformanceBase):
    """`send_message`, `next_work_item` and `abandon`."""

    async def test_messages_come_in_the_order_they_were_sent(self, world: World) -> None:
        """In one work item or several."""
        await world.begin("one")
        sent = [f"event {number}" for number in range(1000)]
        for name in sent:
            await world.backend.send_message("one", world.raised(name))

        arrived: list[str] = []
        while len(arrived) < len(sent):
            item = await world.take()
            assert item.instance_id == "one"
            arrived += names_of(item)
        assert arrived == sent
        await world.expect_idle()

    async def test_a_message_comes_once_while_it_is_worked_on(self, world: World) -> None:
        """What arrives in the meantime comes alone."""
        run = await world.begin("one")
        await world.backend.send_message("one", world.raised("first"))
        first = await world.take()
        await world.backend.send_message("one", world.raised("second"))
        second = await world.take()

        assert (names_of(first), names_of(second)) == (["first"], ["second"])
        await run.commit(run.plan(consumed=ids_of(first)))
        await world.expect_idle()

    async def test_a_consumed_message_never_comes_again(self, world: World) -> None:
        """Not after `abandon`, not after a crash."""
        run = await world.begin("one")
        await world.backend.send_message("one", world.raised("read"))
        await run.commit(run.plan(consumed=ids_of(await world.take())))

        await world.backend.abandon("one")
        await world.expect_idle()
        await world.crash()
        await world.expect_idle()

    async def test_what_is_unconsumed_comes_again_after_abandon(self, world: World) -> None:
        """With what arrived since, in order."""
        run = await world.begin("one")
        for name in ("a", "b", "c"):
            await world.backend.send_message("one", world.raised(name))
        item = await world.take()
        assert names_of(item) == ["a", "b", "c"]
        await run.commit(run.plan(consumed=(item.messages[1].id,)))
        await world.backend.abandon("one")
        await world.backend.send_message("one", world.raised("d"))

        assert names_of(await world.take()) == ["a", "c", "d"]
        await world.expect_idle()

    async def test_abandoning_one_does_not_disturb_others(self, world: World) -> None:
        """Nor does abandoning one that has nothing, or that does not exist."""
        await world.begin("one")
        await world.begin("two")
        await world.backend.send_message("one", world.raised("a"))
        await world.backend.send_message("two", world.raised("b"))
        taken = {item.instance_id: item for item in (await world.take(), await world.take())}
        await world.backend.abandon("two")
        await world.backend.abandon("nobody")

        assert set(taken) == {"one", "two"}
        item = await world.take()
        assert (item.instance_id, names_of(item)) == ("two", ["b"])
        await world.expect_idle()

    async def test_an_abandoned_instance_with_open_activities_comes_again(
        self, world: World
    ) -> None:
        """Even without messages: whoever abandoned it has lost their results."""
        run = await world.begin("one", open_activities=2)
        await world.expect_idle()
        await world.backend.abandon("one")
        assert await world.take() == WorkItem("one")

        await run.commit(run.plan(open_activities=0))
        await world.backend.abandon("one")
        await world.expect_idle()

    async def test_abandon_knows_what_is_being_consumed(self, world: World) -> None:
        """A commit that was asked for before it counts, though it is not written yet."""
        run = await world.begin("one")
        await world.backend.send_message("one", world.raised("read"))
        item = await world.take()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(world.take())
            await world.clock.advance(1)
            await asyncio.gather(
                run.commit(run.plan(consumed=ids_of(item))), world.backend.abandon("one")
            )
            await world.create("two")
        assert waiting.result().instance_id == "two"

    async def test_whoever_has_waited_longest_is_next(self, world: World) -> None:
        """A busy instance does not push in front of others."""
        for name in ("c", "a", "b"):
            await world.begin(name)
        for name in ("b", "c", "a", "b", "b"):
            await world.backend.send_message(name, world.raised(f"for {name}"))

        items = [await world.take() for _ in range(3)]
        assert [item.instance_id for item in items] == ["b", "c", "a"]
        assert names_of(items[0]) == ["for b"] * 3

    async def test_a_waiting_worker_is_woken(self, world: World) -> None:
        """By a message that is durable, at once."""
        await world.begin("one")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(world.take())
            await world.clock.advance(1)
            assert not waiting.done()
            await world.backend.send_message("one", world.raised("wake up"))
        assert names_of(waiting.result()) == ["wake up"]

    async def test_two_workers_share_the_work(self, world: World) -> None:
        """Each item goes to one of them."""
        await world.begin("one")
        await world.begin("two")
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(world.take()) for _ in range(2)]
            await world.clock.advance(1)
            await world.backend.send_message("one", world.raised("a"))
            await world.backend.send_message("two", world.raised("b"))
        assert sorted(task.result().instance_id for task in waiting) == ["one", "two"]

    async def test_a_cancelled_wait_loses_nothing(self, world: World) -> None:
        """The message comes to the next one who waits."""
        await world.begin("one")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(world.take())
            await world.clock.advance(1)
            waiting.cancel()
        await world.backend.send_message("one", world.raised("a"))

        assert names_of(await world.take()) == ["a"]

    async def test_nothing_is_sent_to_nobody(self, world: World) -> None:
        """The sender learns it."""
        with pytest.raises(InstanceNotFoundError):
            await world.backend.send_message("nobody", world.raised("a"))
        await world.begin_and_end("one")
        with pytest.raises(InstanceCompletedError):
            await world.backend.send_message("one", world.raised("a"))
        await world.expect_idle()
