"""Conformance: how instances come into being."""

from __future__ import annotations

from datetime import timedelta

import pytest

from func_bindings.errors import InstanceAlreadyExistsError
from func_host.durable.backend import StaleCommitError
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import Run, Status, World, ids_of, names_of

ODD_IDS = (
    "a b",
    "100%_done",
    'it\'s "quoted"',
    "[brackets]{braces}",
    "tab\tand\nnewline",
    "zażółć-gęślą",
    "数据-🚀",
    "%",
    "_",
    "-",
    "x" * 400,
)


class CreationConformance(ConformanceBase):
    """`create_instance`."""

    async def test_a_new_instance_is_pending(self, world: World) -> None:
        """Its status row says what its start event says."""
        start = world.start_of("one", name="greet", input='{"n": 1}')
        await world.backend.create_instance(start)

        record = await world.status_of("one")
        assert (record.instance_id, record.execution_id) == ("one", "first")
        assert (record.name, record.version, record.input) == ("greet", "1.0", '{"n": 1}')
        assert record.created_time == record.last_updated_time == world.clock.now()
        assert record.runtime_status is Status.Pending
        assert (record.output, record.custom_status, record.parked) == (None, None, None)

    async def test_a_new_instance_has_one_work_item_its_start(self, world: World) -> None:
        """The worker finds no history, and the fence of nothing stored."""
        start = await world.create("one", input='"x"')
        item = await world.take()

        assert (item.instance_id, [message.event for message in item.messages]) == ("one", [start])
        stored = await world.backend.load("one")
        assert stored is not None
        assert (list(stored.history), stored.fence.history_length) == ([], 0)
        assert stored.fence.execution_id == "first"
        await world.expect_idle()

    async def test_an_id_of_one_that_has_not_ended_is_refused(self, world: World) -> None:
        """And the one that is there is not disturbed."""
        await world.create("pending")
        with pytest.raises(InstanceAlreadyExistsError) as refusal:
            await world.create("pending", execution_id="second")
        assert (refusal.value.instance_id, refusal.value.status) == ("pending", Status.Pending)

        assert names_of(await world.take()) == ["start first"]
        run = await world.begin("running")
        with pytest.raises(InstanceAlreadyExistsError):
            await world.create("running", execution_id="second")
        assert list(await world.backend.get_history("running")) == run.events
        await world.expect_idle()

    @pytest.mark.parametrize("status", [Status.Completed, Status.Failed, Status.Terminated])
    async def test_one_that_has_ended_is_replaced(self, world: World, status: Status) -> None:
        """History, messages and result are gone; the worker gets only the new start."""
        run = await world.begin("one")
        await world.backend.send_message("one", world.raised("unread"))
        await run.end(status, output='"old"')
        await world.create("one", execution_id="second", input='"new"')

        record = await world.status_of("one")
        assert (record.runtime_status, record.execution_id) == (Status.Pending, "second")
        assert (record.input, record.output) == ('"new"', None)
        assert list(await world.backend.get_history("one")) == []
        assert names_of(await world.take()) == ["start second"]
        await world.expect_idle()

    async def test_one_that_runs_is_replaced_only_where_asked(self, world: World) -> None:
        """What its worker still does is stale."""
        run = await world.begin("one")
        await run.send(run.timer(1, timedelta(hours=1)))
        await world.backend.send_message("one", world.raised("unread"))
        await world.create("one", execution_id="second", replace=True)

        with pytest.raises(StaleCommitError):
            await run.end()
        assert names_of(await world.take()) == ["start second"]
        await world.clock.advance(timedelta(hours=2))
        await world.expect_idle()

    async def test_who_holds_messages_of_a_replaced_instance_is_told(self, world: World) -> None:
        """The new start comes marked, once: what was handed out before is void."""
        await world.begin("one")
        await world.backend.send_message("one", world.raised("unread"))
        assert not (await world.take()).is_replaced
        await world.create("one", execution_id="second", replace=True)

        item = await world.take()
        assert (names_of(item), item.is_replaced) == (["start second"], True)
        await world.backend.send_message("one", world.raised("for the new one"))
        item = await world.take()
        assert (names_of(item), item.is_replaced) == (["for the new one"], False)

    async def test_a_replaced_instance_runs_as_any_other(self, world: World) -> None:
        """Nothing of the old one is in its way."""
        await world.begin_and_end("one", output='"old"')
        start = await world.create("one", execution_id="second")
        item = await world.take()
        stored = await world.backend.load("one")
        assert stored is not None
        run = Run(world, start, stored.fence)
        await run.commit(run.plan(start, started=start, consumed=ids_of(item)))
        await run.end(output='"new"')

        assert (await world.status_of("one")).output == '"new"'
        assert list(await world.backend.get_history("one")) == run.events

    async def test_a_scheduled_start_waits(self, world: World) -> None:
        """The instance exists at once and begins in its time."""
        at = world.clock.now() + timedelta(days=3)
        await world.backend.create_instance(world.start_of("later", scheduled=at))
        assert (await world.status_of("later")).runtime_status is Status.Pending

        await world.clock.advance(timedelta(days=3, microseconds=-1))
        await world.expect_idle()
        await world.clock.advance(timedelta(microseconds=1))
        assert (await world.take()).instance_id == "later"

    @pytest.mark.parametrize("instance_id", ODD_IDS)
    async def test_any_id_is_kept_as_it_is(self, world: World, instance_id: str) -> None:
        """Through work items, commits, queries, a crash and a purge."""
        await world.begin("zz-other")
        run = await world.begin(instance_id)
        await run.send(world.to(instance_id, "to myself"))
        await world.crash()

        assert (await world.take()).instance_id == instance_id
        assert await world.all_ids() == sorted([instance_id, "zz-other"])
        await run.end()
        assert (await world.backend.wait_for_completion(instance_id)).instance_id == instance_id
        assert await world.backend.purge_instance(instance_id)
        assert await world.all_ids() == ["zz-other"]

    @pytest.mark.parametrize(
        "text", ["", "null", '"é 🚀 \\ud800 \' %"', '"' + "x" * 3_000_000 + '"']
    )
    async def test_an_input_is_kept_as_it_is(self, world: World, text: str) -> None:
        """Empty, odd or large, in the status row and in the start message."""
        await world.create("one", input=text)
        await world.crash()

        assert (await world.status_of("one")).input == text
        (message,) = (await world.take()).messages
        assert message.event == world.start_of("one", input=text)
