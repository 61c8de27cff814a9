"""Conformance: a step is written all or nothing, and only where its fence holds."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from func_host.durable.backend import Fence, OutgoingMessage, StaleCommitError
from func_host.durable.history import TaskCompleted, TaskScheduled
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import Run, Status, World, ids_of, names_of


class CommitConformance(ConformanceBase):
    """`commit` and `load`."""

    async def test_a_history_grows_step_by_step(self, world: World) -> None:
        """And is read back whole, in order, with the fence of the next step."""
        run = await world.begin("one")
        for number in range(300):
            now = world.clock.now()
            scheduled = TaskScheduled(timestamp=now, event_id=number, name="work")
            done = TaskCompleted(timestamp=now, task_scheduled_id=number, result=f'"{number} ż"')
            await run.commit(run.plan(scheduled, done))

            if number in {0, 30, 299}:
                stored = await world.backend.load("one")
                assert stored is not None
                assert stored.fence == run.fence
                assert list(stored.history) == run.events
        assert list(await world.backend.get_history("one")) == run.events

    async def test_the_status_row_is_the_last_commits(self, world: World) -> None:
        """What a commit does not repeat is gone; the start is not touched."""
        run = await world.begin("one")
        created = world.clock.now()
        await world.clock.advance(60)
        await run.commit(
            run.plan(status=Status.Suspended, custom_status='{"at": "ż"}', parked="another code")
        )
        record = await world.status_of("one")
        assert (record.runtime_status, record.custom_status) == (Status.Suspended, '{"at": "ż"}')
        assert (record.parked, record.name) == ("another code", "orchestrator")
        assert (record.created_time, record.last_updated_time) == (created, world.clock.now())
        stored = await world.backend.load("one")
        assert stored is not None
        assert (stored.runtime_status, stored.custom_status) == (Status.Suspended, '{"at": "ż"}')
        assert stored.parked == "another code"

        await run.commit(run.plan())
        record = await world.status_of("one")
        assert (record.runtime_status, record.custom_status) == (Status.Running, None)
        assert record.parked is None

    async def test_the_end_keeps_its_output(self, world: World) -> None:
        """As text, whatever it says."""
        run = await world.begin("one")
        await run.end(Status.Failed, output="it broke: 'ż'")

        record = await world.status_of("one")
        assert (record.runtime_status, record.output) == (Status.Failed, "it broke: 'ż'")

    @pytest.mark.parametrize("length", [0, 2, 4])
    async def test_another_length_of_history_is_stale(self, world: World, length: int) -> None:
        """Too short or too long; the history is three events."""
        run = await world.begin("one")
        run.fence = Fence("first", length)
        await self._expect_stale(world, run)

    async def test_another_execution_is_stale(self, world: World) -> None:
        """Even with the right length."""
        run = await world.begin("one")
        run.fence = Fence("another", run.fence.history_length)
        await self._expect_stale(world, run)

    async def _expect_stale(self, world: World, run: Run) -> None:
        """Check that a commit is refused and leaves no trace anywhere."""
        await world.backend.send_message("one", world.raised("unread"))
        item = await world.take()
        before = (await world.status_of("one"), list(await world.backend.get_history("one")))
        child = OutgoingMessage(instance_id="child", event=world.start_of("child"))
        with pytest.raises(StaleCommitError):
            await run.commit(
                run.plan(
                    status=Status.Completed,
                    output='"x"',
                    consumed=ids_of(item),
                    outbox=(world.to("one", "sent"), run.timer(1, timedelta(0)), child),
                )
            )

        history = list(await world.backend.get_history("one"))
        assert (await world.status_of("one"), history) == before
        assert await world.backend.get_instance("child") is None
        await world.backend.abandon("one")
        assert names_of(await world.take()) == ["unread"]
        await world.expect_idle()

    async def test_a_purged_instance_is_stale(self, world: World) -> None:
        """It does not come back."""
        run = await world.begin_and_end("one")
        await world.backend.purge_instance("one")

        with pytest.raises(StaleCommitError):
            await run.end()
        assert await world.backend.get_instance("one") is None

    async def test_of_two_commits_over_the_same_state_one_wins(self, world: World) -> None:
        """Whether they come at once or one after the other."""
        run = await world.begin("one")
        commits = [run.plan(custom_status=f'"{n}"') for n in range(5)]
        outcomes = await asyncio.gather(
            *(world.backend.commit(commit) for commit in commits), return_exceptions=True
        )

        assert sum(outcome is None for outcome in outcomes) == 1
        assert sum(isinstance(outcome, StaleCommitError) for outcome in outcomes) == 4
        winner = outcomes.index(None)
        assert (await world.status_of("one")).custom_status == f'"{winner}"'
        assert len(await world.backend.get_history("one")) == 5

    async def test_continue_as_new_replaces_the_history(self, world: World) -> None:
        """The row is that of the new start, and what was not read is still to come."""
        run = await world.begin("one")
        await run.commit(run.plan(custom_status='"old"'))
        await world.backend.send_message("one", world.raised("unread"))
        await world.clock.advance(10)
        start = world.start_of("one", execution_id="second", name="renamed", input="2")
        await run.commit(run.plan(start, started=start))

        record = await world.status_of("one")
        assert (record.execution_id, record.name, record.input) == ("second", "renamed", "2")
        assert (record.created_time, record.custom_status) == (world.clock.now(), None)
        stored = await world.backend.load("one")
        assert stored is not None
        assert (list(stored.history), stored.fence) == ([start], Fence("second", 1))
        assert names_of(await world.take()) == ["unread"]
        await run.end()

    async def test_continue_as_new_replaces_a_long_history(self, world: World) -> None:
        """Again and again, with large inputs."""
        run = await world.begin("one")
        for number in range(3):
            now = world.clock.now()
            task = TaskScheduled(timestamp=now, event_id=0, name="work")
            await run.commit(run.plan(*(task,) * 500))
            start = world.start_of("one", execution_id=f"run {number}", input=str(number) * 200_000)
            await run.commit(run.plan(start, started=start))

            assert list(await world.backend.get_history("one")) == [start]
            assert (await world.status_of("one")).input == str(number) * 200_000
        start = world.start_of("one", execution_id="last", input=None)
        await run.commit(run.plan(start, started=start))
        assert (await world.status_of("one")).input is None

    async def test_a_start_waiting_for_an_instance_outlives_its_end(self, world: World) -> None:
        """It is a message like any other, and its worker begins the next execution with it."""
        other = await world.begin("other")
        run = await world.begin("one")
        start = world.start_of("one", execution_id="second", input='"again"')
        await other.send(OutgoingMessage(instance_id="one", event=start))
        await run.end(output='"old"')
        await world.crash()

        item = await world.take()
        assert names_of(item) == ["start second"]
        assert (await world.status_of("one")).output == '"old"'
        await run.commit(run.plan(start, started=start, consumed=ids_of(item)))
        record = await world.status_of("one")
        assert (record.runtime_status, record.output) == (Status.Running, None)
        assert (record.input, record.execution_id) == ('"again"', "second")

    async def test_messages_end_with_their_instance(self, world: World) -> None:
        """Unread events and timers of one that has ended are dropped."""
        run = await world.begin("one")
        await run.send(run.timer(1, timedelta(hours=1)), world.to("one", "unread"))
        await run.end()

        await world.clock.advance(timedelta(hours=2))
        await world.expect_idle()
        await world.crash()
        await world.expect_idle()

    async def test_large_steps_are_kept(self, world: World) -> None:
        """Megabytes in events, output and messages."""
        run = await world.begin("one")
        text = '"' + "ż" * 1_000_000 + '"'
        now = world.clock.now()
        done = TaskCompleted(timestamp=now, task_scheduled_id=0, result=text)
        message = OutgoingMessage(instance_id="one", event=world.raised("large", text))
        await run.commit(run.plan(done, outbox=(message,), custom_status=text))
        await world.crash()

        assert list(await world.backend.get_history("one")) == run.events
        assert (await world.status_of("one")).custom_status == text
        (arrived,) = (await world.take()).messages
        assert arrived.event == message.event
        await run.end(output=text)
        assert (await world.status_of("one")).output == text

    async def test_a_hundred_instances_commit_at_once(self, world: World) -> None:
        """Each writes its own history, and a stale one among them harms nobody."""
        runs = [await world.begin(f"{number:03}") for number in range(100)]
        runs[50].fence = Fence("another", 3)

        async def work(run: Run) -> None:
            for number in range(5):
                event = world.raised(f"{run.instance_id} {number}")
                await run.commit(run.plan(event))

        outcomes = await asyncio.gather(*map(work, runs), return_exceptions=True)
        await world.crash()

        failed = [index for index, outcome in enumerate(outcomes) if outcome is not None]
        assert failed == [50]
        for run in runs:
            assert list(await world.backend.get_history(run.instance_id)) == run.events
