"""Conformance: waiting for the end of an instance, and the life of a backend itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from func_bindings.errors import InstanceNotFoundError
from func_host.durable.backend import BackendError, StoreInUseError
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import PATIENCE_S, Status, World

if TYPE_CHECKING:
    from func_host.durable.backend import Backend


def counted(backend: Backend) -> dict[tuple[str, str, int], int]:
    """Give how often the backend has asked others, by kind of request."""
    counts = backend.request_counts()
    by_kind = {(each.service, each.operation, each.status): each.count for each in counts}
    assert len(by_kind) == len(counts)
    return by_kind


class CompletionConformance(ConformanceBase):
    """`wait_for_completion`."""

    async def test_those_who_wait_are_woken_by_the_end(self, world: World) -> None:
        """All of them, with the row as it is then; steps before do not wake them."""
        run = await world.begin("one")
        async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE_S):
            waiting = [
                group.create_task(world.backend.wait_for_completion("one")) for _ in range(3)
            ]
            await run.commit(run.plan())
            await world.clock.advance(1)
            assert not any(task.done() for task in waiting)
            await run.end(output='"done"')
        for task in waiting:
            assert task.result() == await world.status_of("one")
            assert task.result().output == '"done"'

    async def test_an_end_in_the_past_is_no_wait(self, world: World) -> None:
        """However it ended."""
        await (await world.begin("one")).end(Status.Terminated, output="enough")
        record = await world.backend.wait_for_completion("one")
        assert (record.runtime_status, record.output) == (Status.Terminated, "enough")

    async def test_nobody_waits_for_nobody(self, world: World) -> None:
        """They learn it at once."""
        with pytest.raises(InstanceNotFoundError):
            await world.backend.wait_for_completion("nobody")

    async def test_who_stops_waiting_disturbs_nobody(self, world: World) -> None:
        """The others are woken."""
        run = await world.begin("one")
        async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE_S):
            first = group.create_task(world.backend.wait_for_completion("one"))
            second = group.create_task(world.backend.wait_for_completion("one"))
            await world.clock.advance(1)
            first.cancel()
            await world.clock.advance(1)
            await run.end()
        assert second.result().runtime_status is Status.Completed


class LifecycleConformance(ConformanceBase):
    """Opening and closing."""

    async def test_a_store_has_one_owner(self, world: World) -> None:
        """A second one is refused and disturbs nothing; afterwards it may open.

        Where hosts share a store there is nothing to refuse.
        """
        if not world.backend.features.has_one_owner:
            pytest.skip("The features of the store say that hosts share it.")
        await world.begin("one")
        with pytest.raises(StoreInUseError):
            await world.store.connect().__aenter__()

        await world.begin("two")
        await world.reopen()
        assert await world.all_ids() == ["one", "two"]

    async def test_closing_twice_is_safe(self, world: World) -> None:
        """Also where it was never opened."""
        await world.backend.__aexit__(None, None, None)
        await world.backend.__aexit__(None, None, None)
        await world.store.connect().__aexit__(None, None, None)

        await world.reopen()

    async def test_a_closed_backend_does_nothing(self, world: World) -> None:
        """It says so."""
        run = await world.begin("one")
        closed = world.backend
        await world.reopen()

        with pytest.raises(BackendError):
            await closed.commit(run.plan())
        with pytest.raises(BackendError):
            await closed.create_instance(world.start_of("two"))
        with pytest.raises(BackendError):
            await closed.get_instance("one")
        with pytest.raises(BackendError):
            await closed.next_work_item()
        assert list(await world.backend.get_history("one")) == run.events

    async def test_what_is_asked_of_others_adds_up(self, world: World) -> None:
        """Each kind of request is counted once, counts only grow, and closing is counted too."""
        closed = world.backend
        before = counted(closed)
        await (await world.begin("one")).end()
        await world.reopen()
        after = counted(closed)

        assert all(count > 0 for count in after.values())
        assert all(after[kind] >= count for kind, count in before.items())

    async def test_closing_ends_all_waiting(self, world: World) -> None:
        """For work and for the end of an instance."""
        await world.begin("one")
        work = asyncio.ensure_future(world.backend.next_work_item())
        end = asyncio.ensure_future(world.backend.wait_for_completion("one"))
        await world.clock.advance(1)
        await world.reopen()

        async with asyncio.timeout(PATIENCE_S):
            outcomes = await asyncio.gather(work, end, return_exceptions=True)
        assert all(isinstance(outcome, BackendError) for outcome in outcomes)

    async def test_closing_finishes_commits_in_progress(self, world: World) -> None:
        """What was asked for before is durable."""
        run = await world.begin("one")
        commit = asyncio.ensure_future(run.end(output="1"))
        await world.clock.advance(0)
        await world.reopen()
        await commit

        assert (await world.status_of("one")).output == "1"
