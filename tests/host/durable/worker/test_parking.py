"""An instance that its code no longer fits: parked, not failed, and gone on with after the fix."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.worker.settings import WorkerSettings
from tests.host.durable.worker.world import World, index_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from func_bindings import OrchestrationContext

pytestmark = pytest.mark.anyio

OPENING = ["<", "ExecutionStarted"]


def a(value: Any) -> Any: ...
def b(value: Any) -> Any: ...


async def before(context: OrchestrationContext) -> list[Any]:
    first = await context.call_activity("a")
    return [first, await context.wait_for_external_event("go")]


async def after(context: OrchestrationContext) -> list[Any]:
    first = await context.call_activity("b")
    return [first, await context.wait_for_external_event("go")]


async def with_timer(context: OrchestrationContext) -> str:
    await context.create_timer(timedelta(hours=1))
    await context.create_timer(timedelta(hours=1))
    return context.current_utc_datetime.isoformat()


async def without_timer(context: OrchestrationContext) -> None:
    await context.call_activity("a")


class Deployments:
    """One hub that is started again and again, each time with other code of the orchestrator."""

    def __init__(self) -> None:
        self.first = World(index_of([before], [a, b]))

    @asynccontextmanager
    async def of(
        self, function: Callable[..., Any] | None, **settings: Any
    ) -> AsyncGenerator[World]:
        orchestrators: list[Callable[..., Any]] = []
        if function is not None:

            def shop(context: OrchestrationContext) -> Any:
                return function(context)

            orchestrators.append(shop)
        world = World(
            index_of(orchestrators, [a, b]),
            WorkerSettings(**settings),
            store=self.first.store,
            clock=self.first.clock,
            ids=self.first.ids,
        )
        async with world:
            yield world


@pytest.fixture
def deployments() -> Deployments:
    return Deployments()


async def waiting(deployments: Deployments) -> None:
    async with deployments.of(before) as w:
        await w.start("shop")
        await w.returns(0, "A")
        await w.settle(1)


async def test_a_parked_instance_stays_running_and_says_why(
    deployments: Deployments, caplog: pytest.LogCaptureFixture
) -> None:
    await waiting(deployments)
    async with deployments.of(after) as w:
        await w.raise_event("other")
        await w.settle(1)

        record = await w.record()
        assert record.runtime_status.value == "Running"
        assert "history has activity 'a' (step 0)" in (record.parked or "")
        errors = [each for each in caplog.records if each.levelno >= logging.ERROR]
        assert [each.getMessage() for each in errors] == ["instance is parked"]


async def test_messages_of_a_parked_instance_are_kept_and_consumed_after_the_fix(
    deployments: Deployments,
) -> None:
    await waiting(deployments)
    async with deployments.of(after) as w:
        await w.raise_event("other", 1)
        await w.raise_event("go", 2)
        await w.settle(1)
        assert w.calls == []
        assert w.store.instances["i"].messages == {}
        assert (await w.kinds())[-4:] == ["<", "EventRaised", "<", "EventRaised"]

    async with deployments.of(before) as w:
        await w.settle(1)

        assert await w.output() == ["A", 2]
        assert (await w.record()).parked is None
        assert (await w.kinds())[-3:] == ["EventRaised", "ExecutionCompleted 1", ">"]


async def test_each_start_of_the_app_tries_it_again(deployments: Deployments) -> None:
    await waiting(deployments)
    for _ in range(2):
        async with deployments.of(after) as w:
            await w.raise_event("other")
            await w.settle(1)
            assert (await w.record()).parked is not None

    async with deployments.of(before) as w:
        await w.settle(1)
        assert (await w.record()).parked is None
        await w.raise_event("go", 2)

        assert await w.output() == ["A", 2]


async def test_a_parked_instance_is_reported_once_and_costs_no_commits(
    deployments: Deployments,
) -> None:
    await waiting(deployments)
    async with deployments.of(after, session_cache_size=0) as w:
        await w.raise_event("other")
        await w.settle(1)
    async with deployments.of(after, session_cache_size=0) as w:
        await w.settle(1)

        assert w.commits == []


async def test_activities_of_a_parked_instance_run_after_the_fix(deployments: Deployments) -> None:
    async with deployments.of(before) as w:
        await w.start("shop")
        await w.settle(1)
    async with deployments.of(after) as w:
        await w.settle(1)
        assert w.calls == []
        assert (await w.record()).parked is not None
    async with deployments.of(before) as w:
        assert w.called == [("a", None)]
        await w.returns(0, "A")
        await w.raise_event("go", 2)

        assert await w.output() == ["A", 2]


async def test_timers_of_a_parked_instance_fire_and_are_not_lost(
    deployments: Deployments,
) -> None:
    async with deployments.of(with_timer) as w:
        await w.start("shop")
        await w.settle(1)
    async with deployments.of(without_timer) as w:
        await w.settle(3600)
        assert (await w.record()).parked is not None
        await w.settle(3600 * 5)
    async with deployments.of(with_timer) as w:
        # The second timer counts from when the first had fired, so it is due at the fix.
        assert await w.output() == w.clock.now().isoformat()


async def test_a_parked_instance_can_be_terminated(deployments: Deployments) -> None:
    await waiting(deployments)
    async with deployments.of(after) as w:
        await w.raise_event("other")
        await w.settle(1)
        await w.terminate("give up")

        record = await w.record()
        assert (record.runtime_status.value, record.output) == ("Terminated", "give up")
        assert record.parked is None
        assert (await w.kinds())[-4:] == ["<", "ExecutionTerminated", "ExecutionCompleted 1", ">"]


async def test_a_parked_instance_can_be_suspended_and_resumed(deployments: Deployments) -> None:
    await waiting(deployments)
    async with deployments.of(after) as w:
        await w.suspend()
        assert await w.status() == "Suspended"
        await w.raise_event("go", 2)
    async with deployments.of(before) as w:
        await w.settle(1)
        assert await w.status() == "Suspended"
        await w.resume()

        assert await w.output() == ["A", 2]


async def test_an_orchestrator_that_is_not_there_parks_its_instances(
    deployments: Deployments,
) -> None:
    async with deployments.of(None) as w:
        await w.start("shop")
        await w.raise_event("go", 2)
        await w.settle(1)
        record = await w.record()
        assert record.runtime_status.value == "Running"
        assert "'shop' doesn't exist" in (record.parked or "")

    async with deployments.of(before) as w:
        await w.settle(1)
        assert w.called == [("a", None)]
        await w.returns(0, "A")

        assert await w.output() == ["A", 2]


async def test_an_instance_of_an_unknown_orchestrator_can_be_terminated(
    deployments: Deployments,
) -> None:
    async with deployments.of(None) as w:
        await w.start("shop")
        await w.terminate()

        assert await w.status() == "Terminated"


async def test_the_app_may_lose_an_orchestrator_while_instances_run(
    deployments: Deployments,
) -> None:
    await waiting(deployments)
    async with deployments.of(None) as w:
        await w.raise_event("go", 2)
        await w.settle(1)
        assert "'shop' doesn't exist" in ((await w.record()).parked or "")
    async with deployments.of(before) as w:
        await w.settle(1)

        assert await w.output() == ["A", 2]


async def test_continue_as_new_into_code_that_is_gone_parks_the_new_execution(
    deployments: Deployments,
) -> None:
    async def again(context: OrchestrationContext) -> Any:
        if context.get_input() == 0:
            await context.wait_for_external_event("go")
            return context.continue_as_new(1)
        return await context.call_activity("a")

    async with deployments.of(again) as w:
        await w.start("shop", 0)
        await w.settle(1)
        w.backend.fails_after.append("commit")
        await w.raise_event("go")
    async with deployments.of(None) as w:
        await w.settle(1)
        assert (await w.record()).parked is not None
    async with deployments.of(again) as w:
        await w.settle(1)
        await w.returns(0, "A")

        assert await w.output() == "A"
