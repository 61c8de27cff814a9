"""Conformance: what was acknowledged is there after a crash, and work goes on."""

from __future__ import annotations

from datetime import timedelta

from func_host.durable.backend import WorkItem
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import Status, World, ids_of, names_of


class RecoveryConformance(ConformanceBase):
    """A store that is opened again."""

    async def test_an_instance_with_open_activities_comes_once(self, world: World) -> None:
        """Without messages, after a clean stop and after a crash alike."""
        await world.begin("one", open_activities=3)
        await world.reopen()
        assert await world.take() == WorkItem("one")
        await world.expect_idle()

        await world.crash()
        assert await world.take() == WorkItem("one")
        await world.expect_idle()

    async def test_an_instance_with_messages_comes_once_with_all(self, world: World) -> None:
        """Delivered before or not; open activities do not make a second item."""
        run = await world.begin("one", open_activities=1)
        await world.backend.send_message("one", world.raised("delivered"))
        assert names_of(await world.take()) == ["delivered"]
        await world.backend.send_message("one", world.raised("not yet"))
        await world.crash()

        item = await world.take()
        assert names_of(item) == ["delivered", "not yet"]
        await world.expect_idle()
        await run.commit(run.plan(consumed=ids_of(item)))
        await world.crash()
        await world.expect_idle()

    async def test_a_pending_instance_comes_again(self, world: World) -> None:
        """Its start is a message like any other."""
        await world.create("one")
        await world.take()
        await world.crash()

        assert names_of(await world.take()) == ["start first"]

    async def test_instances_that_only_wait_or_have_ended_stay_away(self, world: World) -> None:
        """There is nothing to do for them."""
        waiting = await world.begin("waiting")
        await waiting.send(waiting.timer(1, timedelta(hours=1)))
        ended = await world.begin("ended", open_activities=5)
        await ended.commit(ended.plan(status=Status.Terminated, output="enough", open_activities=5))
        await world.crash()

        await world.expect_idle()

    async def test_a_suspended_or_parked_instance_comes_too(self, world: World) -> None:
        """It has not ended, and its worker knows what to do with its messages."""
        suspended = await world.begin("suspended", open_activities=1)
        await suspended.commit(suspended.plan(status=Status.Suspended, open_activities=1))
        parked = await world.begin("parked", open_activities=1)
        await parked.commit(parked.plan(parked="another code", open_activities=1))
        await world.crash()

        assert {(await world.take()).instance_id for _ in range(2)} == {"suspended", "parked"}
        await world.expect_idle()

    async def test_many_instances_come_once_each(self, world: World) -> None:
        """However many there are, and though new messages arrive meanwhile."""
        runs = [await world.begin(f"{number:04}", open_activities=1) for number in range(1200)]
        for run in runs[::3]:
            await world.backend.send_message(run.instance_id, world.raised("before"))
        await world.crash()
        for run in runs[::100]:
            await world.backend.send_message(run.instance_id, world.raised("after"))

        items = [await world.take() for _ in runs]
        assert len({item.instance_id for item in items}) == len(runs)
        for item in items:
            number = int(item.instance_id)
            expected = ["before"] * (number % 3 == 0) + ["after"] * (number % 100 == 0)
            assert names_of(item) == expected
        await world.expect_idle()

    async def test_what_was_acknowledged_is_durable(self, world: World) -> None:
        """A creation, a message, a step, an end, a purge: each is there right after its call."""
        await world.create("one", input='"x"')
        await world.crash()
        assert (await world.status_of("one")).input == '"x"'
        await world.take()

        run = await world.begin("two")
        await world.crash()
        assert list(await world.backend.get_history("two")) == run.events
        await world.take()

        await world.backend.send_message("two", world.raised("a"))
        await world.crash()
        items = [await world.take(), await world.take()]
        assert sorted(names_of(*items)) == ["a", "start first"]

        await run.end(output='"done"')
        await world.crash()
        assert (await world.status_of("two")).output == '"done"'

        await world.backend.purge_instance("two")
        await world.crash()
        assert await world.all_ids() == ["one"]

    async def test_a_store_can_crash_again_and_again(self, world: World) -> None:
        """Numbers of messages are not used twice for different ones."""
        run = await world.begin("one")
        for number in range(5):
            await world.backend.send_message("one", world.raised(f"event {number}"))
            await world.crash()
            item = await world.take()
            assert names_of(item) == [f"event {number}"]
            await run.commit(run.plan(consumed=ids_of(item)))
