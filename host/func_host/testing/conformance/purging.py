"""Conformance: purging deletes all there is of an instance that has ended, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from func_bindings.errors import InstanceConflictError
from func_host.durable.backend import InstanceQuery, OutgoingMessage
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import Status, World, names_of


class PurgeConformance(ConformanceBase):
    """`purge_instance` and `purge_instances`."""

    async def test_a_purged_instance_is_gone(self, world: World) -> None:
        """With its history and messages; its id is free."""
        run = await world.begin("one")
        start = world.start_of("one", execution_id="second")
        await run.send(OutgoingMessage(instance_id="one", event=start))
        await run.end(output="1")
        assert await world.backend.purge_instance("one")

        assert await world.backend.get_instance("one") is None
        assert list(await world.backend.get_history("one")) == []
        await world.expect_idle()
        await world.crash()
        await world.expect_idle()
        again = await world.begin("one")
        assert list(await world.backend.get_history("one")) == again.events

    async def test_there_may_be_nothing_to_purge(self, world: World) -> None:
        """That is an answer, not an error."""
        assert not await world.backend.purge_instance("nobody")

    async def test_one_that_has_not_ended_is_not_purged(self, world: World) -> None:
        """And stays as it is."""
        run = await world.begin("one")
        with pytest.raises(InstanceConflictError) as refusal:
            await world.backend.purge_instance("one")
        assert refusal.value.status is Status.Running

        assert list(await world.backend.get_history("one")) == run.events
        await world.create("pending")
        with pytest.raises(InstanceConflictError):
            await world.backend.purge_instance("pending")

    async def test_a_filter_purges_what_matches_and_has_ended(self, world: World) -> None:
        """Whatever the page size says."""
        for number in range(25):
            await world.begin_and_end(f"old {number:02}")
        await world.begin("old but running")
        await world.clock.advance(timedelta(days=1))
        await world.begin_and_end("new")
        await (await world.begin("failed")).end(Status.Failed)

        long_ago = InstanceQuery(
            created_time_to=world.clock.now() - timedelta(hours=1), page_size=3
        )
        assert await world.backend.purge_instances(long_ago) == 25
        assert await world.all_ids() == ["failed", "new", "old but running"]
        failed = InstanceQuery(runtime_status=(Status.Failed, Status.Running))
        assert await world.backend.purge_instances(failed) == 1
        assert await world.backend.purge_instances(InstanceQuery(runtime_status=())) == 0
        assert await world.all_ids() == ["new", "old but running"]

    async def test_a_purge_spares_what_others_wait_for(self, world: World) -> None:
        """Messages of other instances are not touched."""
        await world.begin("one")
        await world.backend.send_message("one", world.raised("a"))
        await world.create("two")
        names = {names_of(await world.take())[0], names_of(await world.take())[0]}
        assert names == {"a", "start first"}
        assert await world.backend.purge_instances(InstanceQuery()) == 0
        await world.crash()

        names = {names_of(await world.take())[0], names_of(await world.take())[0]}
        assert names == {"a", "start first"}
