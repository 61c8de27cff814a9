"""The functions of the recorded scenarios, in Python."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from func_bindings import EntityId, RetryOptions, TaskFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from func_bindings import OrchestrationContext

    Steps = Generator[Any, Any, Any]

attempts: list[str] = []
"""How often `Flaky` was called; a test that calls it empties the list."""


# Activities


def say(value: Any) -> str:
    return f"Hello {value}!"


def double(value: int) -> int:
    return value * 2


def fail(value: str) -> None:
    raise ValueError(f"outer failure: {value}")


def flaky(value: Any) -> str:
    attempts.append("Flaky")
    if len(attempts) < 3:
        raise ValueError(f"flaky attempt {len(attempts)}")
    return f"ok after {len(attempts)}"


def slow(value: str) -> str:
    return value.partition(":")[0]


def echo(value: Any) -> Any:
    return value


ACTIVITIES: dict[str, Callable[..., Any]] = {
    "Say": say,
    "Double": double,
    "Fail": fail,
    "Flaky": flaky,
    "Slow": slow,
    "Echo": echo,
}


# Orchestrators


def chain(context: OrchestrationContext) -> Steps:
    results: list[str] = []
    for city in ("Tokyo", "Seattle", "London"):
        result = yield context.call_activity("Say", city)
        results += [result]
    return results


async def fan_out(context: OrchestrationContext) -> int:
    return sum(await context.task_all([context.call_activity("Double", n) for n in range(1, 6)]))


async def fails(context: OrchestrationContext) -> None:
    await context.call_activity("Fail", "x")


def caught(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_activity("Fail", "x")
    except TaskFailedError as error:
        return f"caught: {error}"


def throws(context: OrchestrationContext) -> None:
    raise ValueError("thrown by the orchestrator")


async def retry(context: OrchestrationContext) -> str:
    return await context.call_activity("Flaky", retry=RetryOptions(1000, 3), expected_type=str)


def retry_exhausted(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_activity_with_retry("Fail", RetryOptions(1000, 2), "x")
    except TaskFailedError:
        return (yield context.call_activity("Say", "gave up"))


async def timer_only(context: OrchestrationContext) -> str:
    await context.create_timer(timedelta(seconds=3))
    return "rang"


async def long_timer(context: OrchestrationContext) -> str:
    await context.create_timer(context.current_utc_datetime + timedelta(days=10))
    return "rang"


def timer_or_event(context: OrchestrationContext) -> Steps:
    timer = context.create_timer(timedelta(seconds=8))
    event = context.wait_for_external_event("Approve")
    winner = yield context.task_any([timer, event])
    if winner is timer:
        return "timeout"
    timer.cancel()
    return f"approved by {winner.result}"


async def event_before(context: OrchestrationContext) -> list[Any]:
    await context.create_timer(timedelta(seconds=3))
    first = await context.wait_for_external_event("A")
    second = await context.wait_for_external_event("B")
    return [first, json.dumps(second, separators=(",", ":"))]


def event_timeout(context: OrchestrationContext) -> Steps:
    event = context.wait_for_external_event("Never")
    winner = yield context.task_any([context.create_timer(timedelta(seconds=2)), event])
    return "in time" if winner is event else "timeout: Event Never not received in 00:00:02"


def parent(context: OrchestrationContext) -> Steps:
    child_id = f"{context.instance_id}-child"
    first = yield context.call_sub_orchestrator("Child", "explicit", child_id)
    return [first, (yield context.call_sub_orchestrator("Child", "default id"))]


async def child(context: OrchestrationContext) -> str:
    return await context.call_activity("Say", context.get_input(), str)


async def parent_of_failing(context: OrchestrationContext) -> None:
    await context.call_sub_orchestrator("Fails", None, f"{context.instance_id}-child")


def flaky_sub(context: OrchestrationContext) -> str:
    if context.instance_id.endswith(":0"):
        raise ValueError("sub attempt 1")
    return "ok"


async def parent_retries(context: OrchestrationContext) -> str:
    retry = RetryOptions(2000, 2)
    return await context.call_sub_orchestrator("FlakySub", retry=retry, expected_type=str)


async def parent_catches(context: OrchestrationContext) -> str:
    try:
        await context.call_sub_orchestrator("WaitOne", None, f"{context.instance_id}-child")
    except TaskFailedError as error:
        return f"caught: {error}"
    return "not caught"


async def fire_and_forget(context: OrchestrationContext) -> str:
    child_id = f"{context.instance_id}-child"
    context.call_sub_orchestrator("Child", "forgotten", child_id)
    return child_id


async def rewindable(context: OrchestrationContext) -> list[str]:
    return [
        await context.call_activity("Say", "before", str),
        await context.call_activity("NeedsFix", None, str),
    ]


async def rewind_parent(context: OrchestrationContext) -> Any:
    child_id = f"{context.instance_id}-child"
    return await context.call_sub_orchestrator("Rewindable", None, child_id)


def wait_one(context: OrchestrationContext) -> Steps:
    return (yield context.wait_for_external_event("Go"))


def rounds(context: OrchestrationContext) -> Steps:
    number = context.get_input()
    data = yield context.wait_for_external_event("Go")
    yield context.call_activity("Say", data)
    if number == 3:
        return f"round {number} saw {data}"
    context.continue_as_new(number + 1)


async def rounds_activity(context: OrchestrationContext) -> str | None:
    number = context.get_input()
    said = await context.call_activity("Say", f"round {number}", str)
    if number == 3:
        return said
    context.continue_as_new(number + 1)
    return None


def rounds_plain(context: OrchestrationContext) -> str | None:
    number = context.get_input()
    if number == 3:
        return f"round {number}"
    context.continue_as_new(number + 1)
    return None


async def status(context: OrchestrationContext) -> str:
    context.set_custom_status({"phase": 1})
    await context.call_activity("Say", "a")
    context.set_custom_status({"phase": 2, "note": 'héllo "q"'})
    await context.call_activity("Say", "b")
    return "done"


def nothing(context: OrchestrationContext) -> None:
    return None


def echo_input(context: OrchestrationContext) -> Any:
    return context.get_input()


async def echo_activity(context: OrchestrationContext) -> str:
    return await context.call_activity("Say", context.get_input(), str)


async def slow_chain(context: OrchestrationContext) -> str:
    results = [
        await context.call_activity("Slow", piece) for piece in context.get_input().split(",")
    ]
    return f"slowchain:{'+'.join(results)}"


async def slow_fan_out(context: OrchestrationContext) -> str:
    pieces = context.get_input().split(",")
    results = await context.task_all([context.call_activity("Slow", each) for each in pieces])
    return f"slowfanout:{'+'.join(results)}"


async def slow_parent(context: OrchestrationContext) -> str:
    before = await context.call_activity("Echo", "before")
    child_id = f"{context.instance_id}-child"
    result = await context.call_sub_orchestrator("SlowChain", context.get_input(), child_id)
    after = await context.call_activity("Echo", "after")
    return f"slowparent:{before}/{result}/{after}"


def wait_then_act(context: OrchestrationContext) -> Steps:
    awaited = context.get_input()
    first = yield context.call_activity("Echo", "first")
    context.set_custom_status("waiting")
    if awaited.startswith("timer:"):
        yield context.create_timer(timedelta(seconds=int(awaited.removeprefix("timer:"))))
        word = "timer"
    else:
        word = yield context.wait_for_external_event(awaited)
    context.set_custom_status("woken")
    second = yield context.call_activity("Echo", f"second {word}")
    return f"waited:{first}/{word}/{second}"


async def entity_call(context: OrchestrationContext) -> list[Any]:
    counter = EntityId("Counter", context.instance_id)
    await context.call_entity(counter, "add", 5)
    context.signal_entity(counter, "add", 2)
    got = await context.call_entity(counter, "get")
    return [got, await context.call_entity(counter, "add", 1)]


def entity_lock(context: OrchestrationContext) -> Steps:
    first = EntityId("Counter", f"{context.instance_id}-a")
    second = EntityId("Counter", f"{context.instance_id}-b")
    with (yield context.lock(second, first)):
        yield context.call_entity(first, "add", 10)
        return (yield context.call_entity(second, "add", 10))


async def entity_call_throws(context: OrchestrationContext) -> str:
    try:
        await context.call_entity(EntityId("Counter", context.instance_id), "fail")
    except TaskFailedError as error:
        return f"{error.details.error_type.removeprefix('System.')}: {error}"
    return "not caught"


def entity_scheduled(context: OrchestrationContext) -> None:
    counter = EntityId("Counter", "golden-entity-scheduled")
    context.signal_entity(counter, "add", 3, at=timedelta(seconds=4))


ORCHESTRATORS: dict[str, Callable[[OrchestrationContext], Any]] = {
    "Chain": chain,
    "FanOut": fan_out,
    "Fails": fails,
    "Caught": caught,
    "Throws": throws,
    "Retry": retry,
    "RetryExhausted": retry_exhausted,
    "TimerOnly": timer_only,
    "LongTimer": long_timer,
    "TimerOrEvent": timer_or_event,
    "EventBefore": event_before,
    "EventTimeout": event_timeout,
    "Parent": parent,
    "Child": child,
    "ParentOfFailing": parent_of_failing,
    "FlakySub": flaky_sub,
    "ParentRetries": parent_retries,
    "ParentCatches": parent_catches,
    "FireAndForget": fire_and_forget,
    "Rewindable": rewindable,
    "RewindParent": rewind_parent,
    "WaitOne": wait_one,
    "Rounds": rounds,
    "RoundsActivity": rounds_activity,
    "RoundsPlain": rounds_plain,
    "Status": status,
    "Nothing": nothing,
    "EchoActivity": echo_activity,
    "Echo": echo_input,
    "SlowChain": slow_chain,
    "SlowFanOut": slow_fan_out,
    "SlowParent": slow_parent,
    "WaitThenAct": wait_then_act,
    "EntityCall": entity_call,
    "EntityLock": entity_lock,
    "EntityCallThrows": entity_call_throws,
    "EntityScheduledFromOrchestration": entity_scheduled,
}
