"""The app that is measured: one orchestration of each shape, activities that do next to nothing.

Each orchestrator takes `is_async` in its input: activities run in the host's threads, or on its
event loop.
"""

import time
from dataclasses import dataclass
from datetime import timedelta

from func_bindings import (
    OrchestrationContext,
    activity_trigger,
    entity_trigger,
    orchestration_trigger,
)

MEASURED_STEPS = 200


@dataclass(frozen=True)
class Size:
    """How much to do, and with which kind of activities."""

    count: int = 5
    is_async: bool = False


@dataclass(frozen=True)
class Step:
    """A step that is done, and when, by a clock that only this process knows."""

    number: int
    at_ns: int


@activity_trigger
def bench_hello(name: str) -> str:
    """Greet, in a thread."""
    return f"Hello {name}!"


@activity_trigger
async def bench_hello_async(name: str) -> str:
    """Greet, on the loop."""
    return f"Hello {name}!"


@activity_trigger
def bench_square(number: int) -> int:
    """Square, in a thread."""
    return number * number


@activity_trigger
async def bench_square_async(number: int) -> int:
    """Square, on the loop."""
    return number * number


@activity_trigger
def bench_step(number: int) -> Step:
    """Count one up, in a thread."""
    return Step(number + 1, time.perf_counter_ns())


@activity_trigger
async def bench_step_async(number: int) -> Step:
    """Count one up, on the loop."""
    return Step(number + 1, time.perf_counter_ns())


@orchestration_trigger
async def bench_chain(context: OrchestrationContext) -> list[str]:
    """Greet so many, one after the other."""
    size = context.get_input(Size)
    if size.is_async:
        return [
            await context.call_activity(bench_hello_async, f"{number}")
            for number in range(size.count)
        ]
    return [await context.call_activity(bench_hello, f"{number}") for number in range(size.count)]


@orchestration_trigger
async def bench_fan_out(context: OrchestrationContext) -> int:
    """Square so many numbers side by side; give their sum."""
    size = context.get_input(Size)
    if size.is_async:
        tasks = [context.call_activity(bench_square_async, number) for number in range(size.count)]
    else:
        tasks = [context.call_activity(bench_square, number) for number in range(size.count)]
    return sum(await context.task_all(tasks))


@orchestration_trigger
async def bench_sequence(context: OrchestrationContext) -> dict[str, float]:
    """Do one step after the other; give the cost of the first and of the last 200 of them."""
    size = context.get_input(Size)
    marks = {1, MEASURED_STEPS + 1, size.count - MEASURED_STEPS, size.count}
    moments: dict[int, int] = {}
    number = 0
    while number < size.count:
        if size.is_async:
            done = await context.call_activity(bench_step_async, number)
        else:
            done = await context.call_activity(bench_step, number)
        number = done.number
        if number in marks:
            moments[number] = done.at_ns
    if number <= MEASURED_STEPS:
        return {"steps": number}
    first = moments[MEASURED_STEPS + 1] - moments[1]
    last = moments[size.count] - moments[size.count - MEASURED_STEPS]
    return {"steps": number, "first_ms": first / 1e6, "last_ms": last / 1e6}


@orchestration_trigger
async def bench_event(context: OrchestrationContext) -> int:
    """Wait for a number; give it."""
    return await context.wait_for_external_event("Go", int)


@orchestration_trigger
async def bench_echo(context: OrchestrationContext) -> int:
    """Wait for so many numbers; show each of them as the custom status."""
    size = context.get_input(Size)
    for _ in range(size.count):
        context.set_custom_status(await context.wait_for_external_event("Go", int))
    return size.count


@orchestration_trigger
async def bench_listen(context: OrchestrationContext) -> int:
    """Wait for so many events and show nothing of them."""
    size = context.get_input(Size)
    for _ in range(size.count):
        await context.wait_for_external_event("Go", int)
    return size.count


@orchestration_trigger
async def bench_parent(context: OrchestrationContext) -> list[str]:
    """Run a chain of so many as a child."""
    return await context.call_sub_orchestrator(bench_chain, context.get_input(Size))


@orchestration_trigger
async def bench_again(context: OrchestrationContext) -> int:
    """Start over so many times, and do nothing."""
    size = context.get_input(Size)
    if size.count:
        context.continue_as_new(Size(size.count - 1))
    return size.count


@orchestration_trigger
async def bench_timer(context: OrchestrationContext) -> str:
    """Wait for a second."""
    await context.create_timer(timedelta(seconds=1))
    return "fired"


@entity_trigger
@dataclass
class BenchCounter:
    """Counts."""

    value: int = 0

    def add(self, amount: int) -> None:
        """Add to it."""
        self.value += amount
