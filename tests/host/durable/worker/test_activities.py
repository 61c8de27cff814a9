"""How activities run in the worker: slots, order, failures, time limits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import TaskFailedError
from func_host.durable.history import TaskFailed
from func_host.durable.worker.settings import WorkerSettings
from tests.host.durable.worker.world import NOTHING, World, index_of

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext

pytestmark = pytest.mark.anyio


@dataclass
class Picky:
    number: int

    def __post_init__(self) -> None:
        raise KeyError("this class takes nothing")


class Treacherous:
    @property
    def __dict__(self) -> Any:  # type: ignore[override]  # what is under test
        raise OSError("no fields today")


def a(value: Any) -> Any: ...
def typed(value: int) -> Any: ...
def picky(value: Picky) -> Any: ...
def defaulted(value: int = 5) -> Any: ...


async def fan_out(context: OrchestrationContext) -> list[Any]:
    name, count = context.get_input()
    return await context.task_all([context.call_activity(name, n) for n in range(count)])


async def one(context: OrchestrationContext) -> Any:
    name, value = context.get_input()
    try:
        return await context.call_activity(name, value)
    except TaskFailedError as error:
        return {"type": error.details.error_type, "text": str(error)}


async def forgets(context: OrchestrationContext) -> str:
    for number in range(3):
        context.call_activity("a", number)
    return "done"


async def first_of(context: OrchestrationContext) -> Any:
    winner = await context.task_any([context.call_activity("a", n) for n in range(2)])
    return winner.result


def world(**settings: Any) -> World:
    types = {"typed": int, "picky": Picky}
    index = index_of([fan_out, one, forgets, first_of], [a, typed, picky, defaulted], types)
    return World(index, WorkerSettings(**settings))


async def test_no_more_activities_run_than_there_are_slots_and_in_order() -> None:
    async with world(max_concurrent_activities=2) as w:
        await w.start(fan_out, ["a", 5])
        assert [value for _, value in w.called] == [0, 1]

        await w.returns(1)
        assert [value for _, value in w.called] == [0, 1, 2]
        for number in (0, 2, 3, 4):
            await w.returns(number)

        assert len(await w.output()) == 5


async def test_many_activities_that_do_not_exist_fail_their_tasks() -> None:
    async with world(max_concurrent_activities=1) as w:
        await w.start(fan_out, ["nobody", 3000])
        await w.settle(1)

        assert await w.status() == "Failed"
        output = (await w.record()).output or ""
        assert "Activity function 'nobody' failed" in output
        assert "known activity functions: 'a', 'typed', 'picky'" in output
        await w.start(one, ["a", 1], "next")
        assert w.called == [("a", 1)]


async def test_an_activity_that_does_not_exist_is_told_by_its_error_type() -> None:
    async with world() as w:
        await w.start(one, ["nobody", 1])
        await w.settle(1)

        assert (await w.output())["type"] == "func_bindings.errors.FunctionNotFoundError"


async def test_an_input_that_does_not_fit_the_parameter_fails_the_task() -> None:
    async with world() as w:
        await w.start(one, ["typed", "three"])
        await w.settle(1)

        assert (await w.output())["type"] == "func_bindings.errors.SerializationError"


async def test_no_input_leaves_the_default_of_the_parameter_in_force() -> None:
    async with world() as w:
        await w.start(one, ["defaulted", None])
        await w.start(one, ["defaulted", 0], "other")

        assert w.called == [("defaulted", NOTHING), ("defaulted", 0)]


async def test_an_input_whose_class_refuses_it_with_any_error_fails_the_task() -> None:
    async with world(max_concurrent_activities=1) as w:
        await w.start(one, ["picky", {"number": 1}])
        await w.settle(1)
        assert "this class takes nothing" in (await w.output())["text"]

        await w.start(one, ["a", 1], "next")
        assert w.called == [("a", 1)]


async def test_an_activity_that_cannot_be_called_fails_its_task_and_frees_its_slot() -> None:
    async with world(max_concurrent_activities=1) as w:
        w.invoker.fails_with = RuntimeError("can't start new thread")
        await w.start(one, ["a", 1])
        await w.settle(1)
        assert "can't start new thread" in (await w.output())["text"]
        w.invoker.fails_with = None

        await w.start(one, ["a", 2], "next")
        assert w.called == [("a", 2)]


@pytest.mark.parametrize("result", [object(), {"x": [object()]}, float("nan"), "\udc80"])
async def test_a_result_that_cannot_be_written_fails_the_task(result: object) -> None:
    async with world() as w:
        await w.start(one, ["a", 1])
        await w.returns(0, result)
        await w.settle(1)

        assert (await w.output())["type"] == "func_bindings.errors.SerializationError"


async def test_a_failure_is_told_in_the_words_of_the_extension_with_its_causes() -> None:
    async with world() as w:
        await w.start(one, ["a", 1])
        error = ValueError("bad")
        error.__cause__ = OSError("disk")
        w.calls[0].raises(error)
        await w.settle(1)

        (failed,) = [each for each in await w.history() if isinstance(each, TaskFailed)]
        assert failed.reason == "Activity function 'a' failed: ValueError: bad"
        assert failed.failure_details is not None
        assert failed.failure_details.inner_failure is not None
        assert failed.failure_details.inner_failure.error_type == "OSError"


async def test_an_activity_over_its_time_limit_fails_at_once_and_keeps_its_slot() -> None:
    async with world(max_concurrent_activities=1) as w:
        await w.start(one, ["a", 1])
        w.calls[0].times_out()
        await w.settle(1)
        assert (await w.output())["type"] == "func_bindings.errors.FunctionTimeoutError"

        await w.start(one, ["a", 2], "next")
        assert len(w.calls) == 1
        await w.returns(0, "too late")

        assert w.called == [("a", 1), ("a", 2)]
        assert "TaskFailed 0" in await w.kinds()
        assert "TaskCompleted 0" not in await w.kinds()


async def test_activities_nobody_waits_for_run_all_the_same() -> None:
    async with world(max_concurrent_activities=1) as w:
        await w.start(forgets)
        await w.settle(1)
        assert await w.output() == "done"
        for number in range(3):
            await w.returns(number)

        assert [value for _, value in w.called] == [0, 1, 2]
        assert json.loads((await w.record()).output or "") == "done"


async def test_a_result_behind_the_end_is_dropped() -> None:
    async with world() as w:
        await w.start(first_of)
        await w.returns(1, "fast")
        ended = await w.history()
        await w.returns(0, "slow")
        await w.settle(1)

        assert await w.output() == "fast"
        assert await w.history() == ended
        assert w.backend.loads == 1


async def test_instances_take_turns_in_the_order_they_came() -> None:
    async with world(max_concurrent_activities=1) as w:
        for number in range(4):
            await w.start(one, ["a", number], f"i{number}")
        for number in range(4):
            await w.returns(number)

        assert [value for _, value in w.called] == [0, 1, 2, 3]


async def test_after_a_crash_only_activities_without_recorded_result_run_again() -> None:
    first = world()
    async with first as w:
        await w.start(fan_out, ["a", 4])
        await w.returns(1, "one")
        await w.returns(3, "three")
        await w.settle(1)
        await w.returns(0, "lost")  # not committed yet
    again = World(first.index, store=first.store, clock=first.clock, ids=first.ids)
    async with again as w:
        assert [value for _, value in w.called] == [0, 2]
        await w.returns(0, "zero")
        await w.returns(1, "two")
        await w.settle(1)

        assert await w.output() == ["zero", "one", "two", "three"]
