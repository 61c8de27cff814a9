"""Conformance: what a step sends to others is part of the step."""

from __future__ import annotations

from datetime import timedelta

from func_host.durable.backend import OutgoingMessage
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import Status, World, names_of


class OutboxConformance(ConformanceBase):
    """`Commit.outbox`."""

    async def test_a_message_reaches_another_instance(self, world: World) -> None:
        """With the run it is meant for."""
        await world.begin("receiver")
        sender = await world.begin("sender")
        await sender.send(
            world.to("receiver", "to anyone"), world.to("receiver", "to you", execution_id="first")
        )
        await world.crash()

        item = await world.take()
        assert (item.instance_id, names_of(item)) == ("receiver", ["to anyone", "to you"])
        assert [message.execution_id for message in item.messages] == [None, "first"]
        await world.expect_idle()

    async def test_a_message_can_be_delayed(self, world: World) -> None:
        """Also to others."""
        await world.begin("receiver")
        sender = await world.begin("sender")
        later = world.clock.now() + timedelta(minutes=5)
        await sender.send(world.to("receiver", "later", visible_at=later))

        await world.expect_idle()
        await world.clock.advance(300)
        assert names_of(await world.take()) == ["later"]

    async def test_an_instance_can_send_to_itself(self, world: World) -> None:
        """It comes as a new work item."""
        run = await world.begin("one")
        await run.send(world.to("one", "to myself"))

        item = await world.take()
        assert (item.instance_id, names_of(item)) == ("one", ["to myself"])

    async def test_what_nobody_can_receive_is_dropped(self, world: World) -> None:
        """The step itself is written: to nobody, to one that has ended, to itself at its end."""
        await world.begin_and_end("ended")
        run = await world.begin("one")
        await run.send(world.to("nobody", "a"), world.to("ended", "b"))
        await run.commit(
            run.plan(
                status=Status.Completed,
                outbox=(world.to("one", "too late"), run.timer(1, timedelta(hours=1))),
            )
        )

        assert await world.backend.get_instance("nobody") is None
        await world.clock.advance(timedelta(hours=2))
        await world.expect_idle()
        await world.crash()
        await world.expect_idle()

    async def test_a_start_creates_a_child(self, world: World) -> None:
        """Pending, with its input, in the same step."""
        parent = await world.begin("parent")
        start = world.start_of("child", execution_id="of child", name="sub", input="[1]")
        await parent.send(OutgoingMessage(instance_id="child", event=start))
        await world.crash()

        record = await world.status_of("child")
        assert (record.runtime_status, record.name) == (Status.Pending, "sub")
        assert (record.execution_id, record.input) == ("of child", "[1]")
        assert record.created_time == start.timestamp
        item = await world.take()
        assert (item.instance_id, item.messages[0].event) == ("child", start)
        await world.expect_idle()

    async def test_a_child_that_exists_gets_the_start_as_a_message(self, world: World) -> None:
        """Its row is not touched; also one that has ended gets it."""
        child = await world.begin("child")
        ended = await world.begin_and_end("ended", output="1")
        parent = await world.begin("parent")
        starts = [
            world.start_of(name, execution_id="second", input="2") for name in ("child", "ended")
        ]
        await parent.send(
            *(
                OutgoingMessage(instance_id=start.orchestration_instance.instance_id, event=start)
                for start in starts
            )
        )

        items = {(await world.take()), (await world.take())}
        assert {item.instance_id for item in items} == {"child", "ended"}
        assert names_of(*items) == ["start second"] * 2
        assert (await world.status_of("child")).execution_id == "first"
        assert (await world.status_of("ended")).output == "1"
        assert list(await world.backend.get_history("child")) == child.events
        assert list(await world.backend.get_history("ended")) == ended.events

    async def test_a_message_may_follow_the_start_it_needs(self, world: World) -> None:
        """In the same step."""
        parent = await world.begin("parent")
        start = world.start_of("child")
        await parent.send(
            world.to("child", "too early"),
            OutgoingMessage(instance_id="child", event=start),
            world.to("child", "in time"),
            OutgoingMessage(
                instance_id="child", event=world.start_of("child", execution_id="second")
            ),
        )

        assert names_of(await world.take()) == ["start first", "in time", "start second"]
        assert (await world.status_of("child")).execution_id == "first"

    async def test_a_step_may_start_hundreds(self, world: World) -> None:
        """All come, in order, with their inputs; those without one have none."""
        parent = await world.begin("parent")
        starts = [
            world.start_of(f"child {number:03}", input=f'"{number} ż"' if number % 2 else None)
            for number in range(500)
        ]
        await parent.send(
            *(
                OutgoingMessage(instance_id=start.orchestration_instance.instance_id, event=start)
                for start in starts
            )
        )

        items = [await world.take() for _ in starts]
        assert [item.messages[0].event for item in items] == starts
        assert len(await world.all_ids()) == 100
        for start in starts[::99]:
            record = await world.status_of(start.orchestration_instance.instance_id)
            assert record.input == start.input
        await world.expect_idle()
