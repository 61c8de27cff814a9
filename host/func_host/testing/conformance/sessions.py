"""Conformance of a store under a worker: orchestrators are dropped, processes die, all ends right.

Nothing waits for time to pass: results are committed without delay, and timers fire when the test
moves the clock.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.backend import OutgoingMessage
from func_host.durable.engine.identity import child_execution_id
from func_host.durable.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    OrchestrationInstance,
    ParentInstance,
)
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.programs import (
    AFTER_ENTITIES,
    DROPPED,
    WITH_ENTITIES,
    calls_child,
    ends_while_locking,
    everything,
    fan_out,
    waits,
    with_entities,
)
from func_host.testing.conformance.session_host import Host, recorded_results
from func_host.testing.conformance.world import PATIENCE_S, Status, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from func_bindings.durable.context import OrchestrationContext


def _starts_of_child(world: World, parent: OrchestrationInstance) -> tuple[OutgoingMessage, ...]:
    """Make the start of `child` by the first step of this parent, as it was and by another name."""
    by_step = ParentInstance(name="calls_child", orchestration_instance=parent, task_schedule_id=0)
    return tuple(
        OutgoingMessage(
            instance_id="child",
            execution_id=execution_id,
            event=ExecutionStarted(
                timestamp=world.clock.now(),
                orchestration_instance=OrchestrationInstance("child", execution_id),
                name="child",
                input='"x"',
                parent_instance=by_step,
            ),
        )
        for execution_id in (child_execution_id(parent.execution_id, 0), "another")
    )


class SessionConformance(ConformanceBase):
    """A worker over the store."""

    @pytest.fixture(params=[0, 100], ids=lambda size: f"{size} in memory")
    def cache(self, request: pytest.FixtureRequest) -> int:
        """How many orchestrators stay in memory: with none, each wait costs a replay."""
        size: int = request.param
        return size

    @pytest.mark.parametrize("function", DROPPED)
    async def test_dropping_an_orchestrator_changes_nothing(
        self, world: World, cache: int, function: Callable[..., Any]
    ) -> None:
        """Inside `finally`, `async with`, `except BaseException`: it goes on from its history."""
        async with Host(world, cache) as host:
            await host.start(function)

            assert await host.output() == DROPPED[function]
            assert len(host.called) == len(set(host.called))

    async def test_a_crash_after_every_commit_changes_nothing(
        self, world: World, cache: int
    ) -> None:
        """Whatever the last one was, the end is the same, and no recorded activity runs again."""
        async with Host(world, cache, commits_max=0) as host:
            await host.start(everything)
            for _ in range(2):
                await host.send(EventRaised(timestamp=world.clock.now(), name="go"))
        for _ in range(100):
            await world.crash()
            await world.clock.advance(2)
            recorded = await recorded_results(world)
            async with Host(world, cache, commits_max=1) as host:
                await host.until_committed(1)
                assert recorded.isdisjoint(host.called)
                if (await host.record()).runtime_status.is_terminal:
                    break

        expected = [1, "first 1", ["1/0", "1/1", "1/2"], "child 1", "ValueError", "event"]
        assert await host.output() == expected

    async def test_entities_are_called_signalled_and_locked(self, world: World, cache: int) -> None:
        """Each operation once, failed ones not at all, and delayed ones when they are due."""
        async with Host(world, cache) as host:
            await host.start(with_entities)

            assert await host.output() == WITH_ENTITIES
            for key, state in AFTER_ENTITIES.items():
                await host.until_entity(key, state)
            assert await world.backend.get_instance("@counter@never") is None
            await world.clock.advance(24 * 3600)
            await host.until_entity("2", AFTER_ENTITIES["2"] + 100)

    async def test_a_crash_after_every_commit_changes_nothing_of_entities(
        self, world: World, cache: int
    ) -> None:
        """No operation is lost or done twice, and no lock stays."""
        async with Host(world, cache, commits_max=0) as host:
            await host.start(with_entities)
        for _ in range(100):
            await world.crash()
            await world.clock.advance(2)
            async with Host(world, cache, commits_max=1) as host:
                await host.until_committed(1)
                if (await host.record()).runtime_status.is_terminal:
                    break

        await world.crash()
        async with Host(world, cache) as host:
            assert await host.output() == WITH_ENTITIES
            for key, state in AFTER_ENTITIES.items():
                await host.until_entity(key, state)

    async def test_one_that_is_terminated_gives_back_what_it_has_locked(
        self, world: World, cache: int
    ) -> None:
        """And what it has only asked for."""
        async with Host(world, cache) as host:
            await host.start(ends_while_locking, "one")
            await host.until_entity("2", None, is_locked=True)
            await host.start(ends_while_locking, "two")
            await host.until_running("two")
            for instance_id in ("one", "two"):
                await world.backend.send_message(
                    instance_id, ExecutionTerminated(timestamp=world.clock.now(), input="enough")
                )

            await host.start(with_entities, "three")
            async with asyncio.timeout(PATIENCE_S):
                record = await world.backend.wait_for_completion("three")
            assert record.runtime_status is Status.Completed
            await host.until_entity("1", AFTER_ENTITIES["1"])

    async def test_after_a_crash_only_unrecorded_activities_run_again(
        self, world: World, cache: int
    ) -> None:
        """A fan-out that was half done is done."""
        async with Host(world, cache, held={"5", "6"}) as host:
            await host.start(fan_out)
            await host.until_recorded(6)
        await world.crash()

        async with Host(world, cache) as host:
            assert await host.output() == list(range(8))
            assert sorted(host.called) == ["5", "6"]

    async def test_a_stopped_worker_goes_on_where_it_was(self, world: World, cache: int) -> None:
        """A clean stop and a new start in between change nothing."""
        async with Host(world, cache, held={"3"}) as host:
            await host.start(fan_out)
            await host.until_recorded(7)
        await world.reopen()

        async with Host(world, cache) as host:
            assert await host.output() == list(range(8))
            assert host.called == ["3"]

    async def test_a_child_that_the_same_step_starts_again_runs_once(
        self, world: World, cache: int
    ) -> None:
        """While it runs and when it has ended, whatever execution the second start names."""
        sender = await world.begin("sender")
        async with Host(world, cache, held={"x"}) as host:
            await host.start(calls_child)
            await host.until_called("x")
            execution_id = (await host.record()).execution_id
            starts = _starts_of_child(world, OrchestrationInstance("one", execution_id))
            await sender.send(*starts)
            await host.start(waits, "another")
            await host.until_running("another")
            host.let_go()
            assert await host.output() == "x"

            ended = await world.backend.get_history("child")
            await sender.send(*starts)
            await host.start(waits, "a third")
            await host.until_running("a third")
            assert await world.backend.get_history("child") == ended
            assert host.called == ["x"]
        await world.crash()

        async with Host(world, cache) as host:
            await host.start(waits, "a fourth")
            await host.until_running("a fourth")
            assert await world.backend.get_history("child") == ended
            assert (await host.record("child")).runtime_status is Status.Completed
            assert host.called == []

    async def test_a_suspended_instance_stays_so_and_keeps_its_events(
        self, world: World, cache: int
    ) -> None:
        """Until it is resumed, whatever happens to the process."""
        now = world.clock.now()
        async with Host(world, cache) as host:
            await host.start(waits)
            await host.send(ExecutionSuspended(timestamp=now, reason="hold"))
            await host.send(EventRaised(timestamp=now, name="GO", input="5"))
            await host.until_in_history(EventRaised)
            assert (await host.record()).runtime_status is Status.Suspended
        await world.crash()

        async with Host(world, cache) as host:
            await host.send(ExecutionResumed(timestamp=now, reason="go on"))

            assert await host.output() == 5

    async def test_a_parked_instance_keeps_its_messages_and_goes_on_after_the_fix(
        self, world: World, cache: int
    ) -> None:
        """It stays `Running` meanwhile, says why, and is tried again at each start."""

        async def otherwise(context: OrchestrationContext) -> None:
            await context.create_timer(timedelta(days=1))

        async with Host(world, cache) as host:
            await host.start(waits)
            await host.until_committed(1)
        await world.reopen()
        async with Host(world, cache, replaced={"waits": otherwise}) as host:
            await host.send(EventRaised(timestamp=world.clock.now(), name="go", input="5"))
            await host.until_in_history(EventRaised)
            record = await host.record()
            assert record.runtime_status is Status.Running
            assert "does not fit its history" in (record.parked or "")
        await world.reopen()

        async with Host(world, cache) as host:
            assert await host.output() == 5
            assert (await host.record()).parked is None

    async def test_a_terminated_instance_takes_no_late_result(
        self, world: World, cache: int
    ) -> None:
        """Its activities go on, and what they give is dropped, in this process and the next."""
        async with Host(world, cache, held={"5"}) as host:
            await host.start(fan_out)
            await host.until_recorded(7)
            await host.send(ExecutionTerminated(timestamp=world.clock.now(), input="enough"))
            await world.backend.wait_for_completion("one")
            ended = await world.backend.get_history("one")
            host.let_go()
            await host.start(waits, "another")
            await host.until_running("another")
        await world.crash()

        async with Host(world, cache) as host:
            await host.start(waits, "a third")
            await host.until_running("a third")
            record = await host.record()
            assert (record.runtime_status, record.output) == (Status.Terminated, "enough")
            assert await world.backend.get_history("one") == ended
            assert host.called == []
