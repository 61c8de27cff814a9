"""Functions that tests of the management API start and signal; some are as the recorded ones."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from func_bindings import (
    EntityContext,
    EntityId,
    OrchestrationContext,
    RetryOptions,
    Task,
    activity_trigger,
    entity_trigger,
    orchestration_trigger,
)

if TYPE_CHECKING:
    from collections.abc import Generator


@orchestration_trigger(name="Echo")
async def echo(context: OrchestrationContext) -> Any:
    return context.get_input()


@activity_trigger(name="SayHello")
async def say_hello(name: str | None) -> str:
    return f"Hello {name or 'nobody'}!"


@activity_trigger(name="Boom")
async def boom(text: str) -> None:
    raise ValueError("activity boom")


@orchestration_trigger(name="Chain")
def chain(context: OrchestrationContext) -> Generator[Task[Any], Any, list[str]]:
    context.set_custom_status({"step": 1})
    first = yield context.call_activity("SayHello", "Oslo")
    second = yield context.call_activity("SayHello", "Lima")
    third = yield context.call_activity("SayHello", None)
    context.set_custom_status("done")
    return [first, second, third]


@orchestration_trigger(name="Fail")
async def fail(context: OrchestrationContext) -> None:
    raise ValueError("orchestrator boom")


@orchestration_trigger(name="FailRetry")
async def fail_retry(context: OrchestrationContext) -> None:
    await context.call_activity("Boom", "x", retry=RetryOptions(1000, 2))


@orchestration_trigger(name="Heals")
async def heals(context: OrchestrationContext) -> str:
    return await context.call_activity("SayHello", "Before") + " healed"


@activity_trigger(name="Sleep")
async def sleep(seconds: int) -> str:
    if seconds > 1:
        await asyncio.Event().wait()
    return f"slept {seconds}"


@orchestration_trigger(name="Slow")
async def slow(context: OrchestrationContext) -> Any:
    return await context.call_activity("Sleep", 20)


@orchestration_trigger(name="Short")
async def short(context: OrchestrationContext) -> Any:
    return await context.call_activity("Sleep", 1)


@orchestration_trigger(name="ParentFail")
async def parent_fail(context: OrchestrationContext) -> Any:
    return await context.call_sub_orchestrator("Fail", None, f"{context.instance_id}-child")


@orchestration_trigger(name="Loop")
async def loop(context: OrchestrationContext) -> Any:
    turn = context.get_input()
    if turn < 3:
        await context.call_activity("SayHello", f"n{turn}")
        context.continue_as_new(turn + 1)
    return turn


@orchestration_trigger(name="Timer")
async def timer(context: OrchestrationContext) -> str:
    await context.create_timer(timedelta(seconds=1))
    return "rang"


@orchestration_trigger(name="LongTimer")
async def long_timer(context: OrchestrationContext) -> str:
    await context.create_timer(timedelta(hours=1))
    return "rang"


@orchestration_trigger(name="WaitEvent")
async def wait_event(context: OrchestrationContext) -> Any:
    return await context.wait_for_external_event("Approve")


@orchestration_trigger(name="TwoEvents")
async def two_events(context: OrchestrationContext) -> list[Any]:
    first = await context.wait_for_external_event("First")
    context.set_custom_status(first)
    return [first, await context.wait_for_external_event("Second")]


@orchestration_trigger(name="Parent")
async def parent(context: OrchestrationContext) -> Any:
    child = f"{context.instance_id}-child"
    return await context.call_sub_orchestrator("Echo", {"from": "parent"}, child)


@orchestration_trigger(name="ParentPending")
async def parent_pending(context: OrchestrationContext) -> Any:
    child = f"{context.instance_id}-child"
    return await context.call_sub_orchestrator("WaitEvent", {"from": "parent"}, child)


@orchestration_trigger(name="NoOutput")
async def no_output(context: OrchestrationContext) -> None:
    context.set_custom_status(None)


@orchestration_trigger(name="TextStatus")
async def text_status(context: OrchestrationContext) -> str:
    context.set_custom_status(context.get_input())
    await context.wait_for_external_event("Go")
    return ""


@orchestration_trigger(name="LoopWait")
async def loop_wait(context: OrchestrationContext) -> None:
    turn = context.get_input() or 0
    if turn < 2:
        context.continue_as_new(turn + 1)
        return
    await context.wait_for_external_event("Go")


@orchestration_trigger(name="CallsEntity")
async def calls_entity(context: OrchestrationContext) -> Any:
    called = EntityId("Counter", "called")
    context.signal_entity(called, "add", 5)
    return await context.call_entity(called, "get")


@orchestration_trigger(name="Locks")
async def locks(context: OrchestrationContext) -> None:
    """Hold the lock of a counter until told to go."""
    async with await context.lock(EntityId("Counter", context.get_input())):
        await context.wait_for_external_event("Go")


@entity_trigger(name="Recorder")
async def recorder(context: EntityContext) -> None:
    """Store what the last operation was."""
    value = context.get_input()
    if context.operation_name == "delete":
        context.destruct_on_exit()
        return
    kind = "none" if value is None else _KINDS[type(value)]
    context.set_state({"op": context.operation_name, "input": value, "kind": kind})


_KINDS: dict[type, str] = {
    dict: "Object",
    list: "Array",
    str: "String",
    int: "Integer",
    float: "Float",
    bool: "Boolean",
}


@entity_trigger(name="Counter")
async def counter(context: EntityContext) -> None:
    value = context.get_state(int)
    match context.operation_name:
        case "add":
            context.set_state(value + context.get_input())
        case "reset":
            context.set_state(0)
        case "get":
            context.set_result(value)
        case "delete":
            context.destruct_on_exit()
        case "nullify":
            context.set_state(None)
        case _:
            raise ValueError("entity boom")


ALL = (
    echo,
    say_hello,
    boom,
    chain,
    fail,
    fail_retry,
    timer,
    long_timer,
    wait_event,
    two_events,
    parent,
    parent_pending,
    no_output,
    text_status,
    loop_wait,
    heals,
    sleep,
    slow,
    short,
    parent_fail,
    loop,
    calls_entity,
    locks,
    recorder,
    counter,
)
