"""Mistakes once made with what orchestrators do, but must not."""

from __future__ import annotations

import asyncio
from collections import UserDict
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import OrchestrationContext, activity_trigger, orchestration_trigger, route
from tests.host.web.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

pytestmark = pytest.mark.anyio


async def use_timeout(context: OrchestrationContext) -> None:
    async with asyncio.timeout(0.01):
        await context.wait_for_external_event("never")


async def use_wait_for(context: OrchestrationContext) -> None:
    await asyncio.wait_for(context.wait_for_external_event("never"), 0.01)


async def use_task_group(context: OrchestrationContext) -> None:
    async with asyncio.TaskGroup():
        await context.wait_for_external_event("never")


async def cancel_task(context: OrchestrationContext) -> None:
    task: Any = asyncio.current_task()
    task.cancel()
    await context.wait_for_external_event("never")


@pytest.mark.parametrize("misuse", [use_timeout, use_wait_for, use_task_group, cancel_task])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_orchestrator_cannot_reach_the_task_of_the_host(
    misuse: Callable[[OrchestrationContext], Awaitable[None]],
) -> None:
    """It cancelled the host's own task, or waited for ever without a word."""

    @orchestration_trigger
    async def misusing(context: OrchestrationContext) -> None:
        await misuse(context)

    async with Hub(misusing).open() as hub:
        await hub.post("/orchestrators/misusing/one")
        await hub.settle()
        status = (await hub.get("/instances/one")).json()

    assert status["runtimeStatus"] == "Failed", status


class Unwilling(UserDict[str, int]):
    """A value that ends the process when it is written."""

    def __iter__(self) -> Iterator[str]:
        raise SystemExit(3)


async def test_a_result_whose_class_ends_the_process_fails_the_instance_only() -> None:
    """It ended the host."""

    @orchestration_trigger
    async def unwilling(context: OrchestrationContext) -> Unwilling:
        return Unwilling(a=1)

    async with Hub(unwilling).open() as hub:
        await hub.post("/orchestrators/unwilling/one")
        await hub.settle()
        status = (await hub.get("/instances/one")).json()

    assert status["runtimeStatus"] == "Failed", status


async def test_values_that_end_the_process_when_they_are_written_end_only_their_call() -> None:
    """They ended the host, whether an activity or an HTTP function returned them."""

    @activity_trigger
    async def give() -> Unwilling:
        return Unwilling(a=1)

    @orchestration_trigger
    async def calling(context: OrchestrationContext) -> None:
        await context.call_activity(give)

    @route("give")
    async def give_over_http() -> Unwilling:
        return Unwilling(a=1)

    async with Hub(give, calling, give_over_http).open() as hub:
        answer = await hub.http.get("/api/give")
        await hub.post("/orchestrators/calling/one")
        await hub.settle()
        status = (await hub.get("/instances/one")).json()

    assert answer.status_code == 500
    assert status["runtimeStatus"] == "Failed", status
    assert "cannot be written as JSON" in status["output"]


async def test_an_event_without_a_name_is_refused_in_words() -> None:
    """It said that None has no attribute casefold."""
    nameless: Any = None

    @orchestration_trigger
    async def waiting(context: OrchestrationContext) -> None:
        await context.wait_for_external_event(nameless)

    async with Hub(waiting).open() as hub:
        await hub.post("/orchestrators/waiting/one")
        await hub.settle()
        status = (await hub.get("/instances/one")).json()

    assert "takes the name of an event, not NoneType" in status["output"]
