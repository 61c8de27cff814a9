"""What the workers of the suite run: orchestrators that are dropped, and one with everything."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from func_bindings.durable.entities import EntityId
from func_bindings.durable.retry import RetryOptions
from func_bindings.errors import TaskFailedError
from func_bindings.metadata import (
    ActivityTrigger,
    EntityTrigger,
    OrchestrationTrigger,
    SourceLocation,
)
from func_host.indexing.functions import FunctionIndex, IndexedFunction

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from func_bindings.durable.context import OrchestrationContext
    from func_bindings.durable.entities import EntityContext
    from func_bindings.metadata import Trigger

    Steps = Generator[Any, Any, Any]


# Orchestrators that do something while they are dropped


async def in_finally(context: OrchestrationContext) -> list[Any]:
    """Undo in a `finally` that waits."""
    results: list[Any] = []
    try:
        results.append(await context.call_activity("work", "try"))
    finally:
        results.append(await context.call_activity("work", "finally"))
        context.set_custom_status("left")
    return results


def in_finally_of_a_generator(context: OrchestrationContext) -> Steps:
    """The same, yielding."""
    results: list[Any] = []
    try:
        results.append((yield context.call_activity("work", "try")))
    finally:
        results.append((yield context.call_activity("work", "finally")))
    return results


async def in_async_with(context: OrchestrationContext) -> list[Any]:
    """Hold something that is given back by an activity."""
    async with _lock(context) as key:
        return [key, await context.call_activity("work", "inside")]


@asynccontextmanager
async def _lock(context: OrchestrationContext) -> AsyncGenerator[Any]:
    key = await context.call_activity("work", "lock")
    try:
        yield key
    finally:
        await context.call_activity("work", "unlock")


async def in_except_everything(context: OrchestrationContext) -> list[Any]:
    """Catch what ends the wait when the orchestrator is dropped, and ask for more."""
    try:
        return [await context.call_activity("work", "try")]
    except BaseException:  # noqa: BLE001 -- what is under test
        context.continue_as_new("never")
        return [await context.call_activity("work", "never")]


async def in_nested_functions(context: OrchestrationContext) -> list[Any]:
    """Iterate over an async generator that waits in its own `finally`."""
    return [each async for each in _numbers(context)]


async def _numbers(context: OrchestrationContext) -> AsyncGenerator[Any]:
    try:
        for number in range(3):
            yield await context.call_activity("work", number)
    finally:
        await context.call_activity("work", "end of numbers")


DROPPED: dict[Callable[..., Any], list[Any]] = {
    in_finally: ["try", "finally"],
    in_finally_of_a_generator: ["try", "finally"],
    in_async_with: ["lock", "inside"],
    in_except_everything: ["try"],
    in_nested_functions: [0, 1, 2],
}


# One orchestrator with everything, and what else the tests run


async def everything(context: OrchestrationContext) -> list[Any]:
    """Take every kind of step, then start over once."""
    turn = context.get_input() or 0
    results: list[Any] = [turn, await context.call_activity("work", f"first {turn}")]
    tasks = [context.call_activity("work", f"{turn}/{number}") for number in range(3)]
    results.append(await context.task_all(tasks))
    results.append(await context.call_sub_orchestrator(child, f"child {turn}"))
    try:
        await context.call_activity("fail", turn, retry=RetryOptions(1000, 2))
    except TaskFailedError as error:
        results.append(error.details.error_type)
    event = context.wait_for_external_event("go")
    timer = context.create_timer(timedelta(days=1))
    winner = await context.task_any([event, timer])
    if winner is event:
        timer.cancel()
    results.append("event" if winner is event else "timer")
    if turn == 0:
        context.continue_as_new(1)
    return results


async def child(context: OrchestrationContext) -> Any:
    """Pass on what an activity gives."""
    return await context.call_activity("work", context.get_input())


async def calls_child(context: OrchestrationContext) -> Any:
    """Pass on what a child gives."""
    return await context.call_sub_orchestrator(child, "x", "child")


async def fan_out(context: OrchestrationContext) -> list[Any]:
    """Run eight activities at once."""
    return await context.task_all([context.call_activity("work", n) for n in range(8)])


async def waits(context: OrchestrationContext) -> Any:
    """Wait for an event."""
    return await context.wait_for_external_event("go")


# Entities


def counter(context: EntityContext) -> None:
    """Count; `tell` passes on to another counter, `fail` counts and fails."""
    value = context.get_state(int, expected_type=int)
    match context.operation_name:
        case "add":
            value += context.get_input(int)
            context.set_state(value)
        case "tell":
            key, number = context.get_input()
            context.signal_entity(EntityId("counter", key), "add", number)
        case "fail":
            context.set_state(value + 1000)
            context.signal_entity(EntityId("counter", "never"), "add", 1)
            raise ValueError("failed")
        case _:
            pass
    context.set_result(value)


async def with_entities(context: OrchestrationContext) -> list[Any]:
    """Call, signal and lock two counters."""
    one, two = EntityId("counter", "1"), EntityId("counter", "2")
    results: list[Any] = [await context.call_entity(one, "add", 5)]
    context.signal_entity(one, "add", 1)
    context.signal_entity(two, "add", 100, at=timedelta(days=1))
    async with await context.lock(two, one):
        results.append(await context.call_activity("work", "inside"))
        results.append(await context.call_entity(one, "add", -2))
        results.append(await context.call_entity(two, "add", 2))
    try:
        await context.call_entity(one, "fail")
    except TaskFailedError as error:
        results.append(error.details.error_type)
    context.signal_entity(one, "tell", ["2", 10])
    results.append(await context.call_entity(one, "get"))
    return results


WITH_ENTITIES = [5, "inside", 4, 2, "ValueError", 4]
AFTER_ENTITIES = {"1": 4, "2": 12}
"""What the counters stand at then, but for the signal of the next day."""


async def ends_while_locking(context: OrchestrationContext) -> None:
    """Hold a lock, and wait for a lock, until somebody puts an end to it."""
    await context.lock(EntityId("counter", "1"), EntityId("counter", "2"))
    await context.wait_for_external_event("never")


def work(value: Any) -> Any:
    """Give back what came in."""
    return value


def fail(value: Any) -> None:
    """Fail."""
    raise ValueError(f"failed {value}")


def index_with(replaced: Mapping[str, Callable[..., Any]]) -> FunctionIndex:
    """Index all of them, some with other code."""
    orchestrators = {
        each.__name__: each
        for each in (
            *DROPPED,
            everything,
            child,
            calls_child,
            fan_out,
            waits,
            with_entities,
            ends_while_locking,
        )
    }
    return FunctionIndex(
        [
            *(
                _indexed(name, each, OrchestrationTrigger(parameter="context"))
                for name, each in {**orchestrators, **replaced}.items()
            ),
            *(
                _indexed(each.__name__, each, ActivityTrigger(parameter="value"))
                for each in (work, fail)
            ),
            _indexed("counter", counter, EntityTrigger(parameter="context")),
        ]
    )


def _indexed(name: str, function: Callable[..., Any], trigger: Trigger) -> IndexedFunction:
    return IndexedFunction(
        name=name,
        function=function,
        trigger=trigger,
        client_inputs=(),
        location=SourceLocation(__file__, 1),
        app="conformance",
        app_dir=Path(),
        is_async=False,
    )
