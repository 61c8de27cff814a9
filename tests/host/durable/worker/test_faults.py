"""What goes wrong between worker and store, and what is left of it: nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings.errors import (
    FunctionNotFoundError,
    InstanceAlreadyExistsError,
    TaskFailedError,
)
from func_host.durable.worker.settings import WorkerSettings
from tests.host.durable.worker.world import World, index_of

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext

pytestmark = pytest.mark.anyio

OPENING = ["<", "ExecutionStarted"]


def a(value: Any) -> Any: ...
def b(value: Any) -> Any: ...


async def chain(context: OrchestrationContext) -> list[Any]:
    return [await context.call_activity("a", 1), await context.call_activity("b", 2)]


async def waits(context: OrchestrationContext) -> Any:
    return await context.wait_for_external_event("go")


async def fan_out(context: OrchestrationContext) -> list[Any]:
    return await context.task_all([context.call_activity("a", n) for n in range(4)])


async def calls_named(context: OrchestrationContext) -> str:
    try:
        return await context.call_sub_orchestrator(waits, None, "taken")
    except TaskFailedError as error:
        return str(error) if error.details.is_caused_by(InstanceAlreadyExistsError) else "other"


async def calls_unknown(context: OrchestrationContext) -> str:
    try:
        await context.call_sub_orchestrator("nobody")
    except TaskFailedError as error:
        return str(error) if error.details.is_caused_by(FunctionNotFoundError) else "other"
    return "started"


ORCHESTRATORS = [chain, waits, fan_out, calls_named, calls_unknown]


def world(**settings: Any) -> World:
    return World(index_of(ORCHESTRATORS, [a, b]), WorkerSettings(**settings))


# A store that does not answer


@pytest.mark.parametrize("operation", ["commit", "load", "abandon"])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_store_that_fails_before_it_does_anything_is_asked_again(
    operation: str, times: int
) -> None:
    async with world() as w:
        w.backend.fails_before += [operation] * times + ["commit"]
        await w.start(chain)
        for _ in range(12):
            await w.settle(15)
            for call in w.calls:
                if not call.invocation.released.done():
                    call.returns(call.name)

        assert await w.output() == ["a", "b"]
        assert await w.kinds() == [
            *OPENING,
            "TaskScheduled 0",
            ">",
            "<",
            "TaskCompleted 0",
            "TaskScheduled 1",
            ">",
            "<",
            "TaskCompleted 1",
            "ExecutionCompleted 2",
            ">",
        ]


async def test_a_commit_that_took_effect_although_it_failed_is_not_done_twice() -> None:
    async with world() as w:
        w.backend.fails_after += ["commit"] * 2
        await w.start(chain)
        await w.returns(0, "A")
        await w.settle(15)
        assert w.called == [("a", 1), ("b", 2)]
        await w.returns(1, "B")
        await w.settle(15)

        assert await w.output() == ["A", "B"]
        assert len([kind for kind in await w.kinds() if kind.startswith("Task")]) == 4


async def test_the_worker_survives_a_store_that_cannot_tell_what_is_next() -> None:
    async with world() as w:
        w.backend.fails_before += ["next_work_item"] * 3
        await w.start(chain)
        await w.settle(60)
        await w.returns(0)
        await w.returns(1)
        await w.settle(60)
        await w.start(chain, instance_id="second")
        await w.settle(60)

        assert await w.status() == "Completed"
        assert w.called[-1] == ("a", 1)
        assert not w.running.done()


async def test_the_wait_between_tries_doubles_up_to_the_longest() -> None:
    async with world(retry_delay_s=1, retry_delay_max_s=4) as w:
        w.backend.fails_before += ["load"] * 5
        await w.start(chain)
        seen = [w.backend.loads]
        for _ in range(12):
            await w.settle(1)
            seen.append(w.backend.loads)

        # Tries at 0, 1, 3, 7, 11 and so on: the sixth, at 15, works.
        assert seen == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5]


async def test_the_wait_is_short_again_after_a_success() -> None:
    async with world(retry_delay_s=1, retry_delay_max_s=100) as w:
        w.backend.fails_before += ["load"] * 3
        await w.start(waits)
        await w.settle(10)
        assert await w.status() == "Running"

        w.backend.fails_before += ["commit"]
        await w.raise_event("go", 5)
        await w.settle(1)

        assert await w.output() == 5


async def test_results_that_come_while_the_store_is_down_are_not_lost() -> None:
    async with world(retry_delay_s=5) as w:
        await w.start(fan_out)
        await w.settle(1)
        w.backend.fails_before += ["commit"]
        await w.returns(0, 0)
        await w.settle(1)
        for number in (1, 2, 3):
            await w.returns(number, number)
        await w.settle(20)
        for call in w.calls[4:]:
            call.returns(call.value)
        await w.settle(20)

        assert await w.output() == [0, 1, 2, 3]


async def test_work_that_is_handed_out_again_while_it_is_given_up_is_not_forgotten() -> None:
    async with world() as w:
        w.backend.turns_after_abandon = 10
        w.backend.fails_before += ["commit"]
        await w.start(waits)
        await w.settle(1)

        assert await w.status() == "Running"


async def test_an_instance_that_always_fails_does_not_hold_up_the_others() -> None:
    async with world(max_concurrent_orchestrators=1, retry_delay_s=100) as w:
        w.backend.fails_before += ["load"] * 3
        for number in range(3):
            await w.start(waits, instance_id=f"sick {number}")
        await w.start(chain, instance_id="healthy")
        await w.returns(0)
        await w.returns(1)

        assert await w.status("healthy") == "Completed"


# An instance that changed under the worker


async def test_a_purged_instance_is_forgotten() -> None:
    async with world() as w:
        await w.start(chain)
        await w.terminate()
        await w.backend.purge_instance("i")
        await w.returns(0)
        await w.settle(60)

        assert await w.backend.get_instance("i") is None
        assert not w.running.done()


async def test_a_replaced_instance_begins_anew_and_late_results_do_not_count() -> None:
    async with world() as w:
        await w.start(chain)
        await w.settle(1)
        await w.start(chain, replace=True)
        assert w.called == [("a", 1), ("a", 1)]

        await w.returns(0, "old")
        await w.settle(1)
        assert len(w.calls) == 2
        await w.returns(1, "new")
        await w.returns(2, "B")

        assert await w.output() == ["new", "B"]


@pytest.mark.parametrize("cache", [0, 100])
async def test_an_instance_replaced_while_a_commit_is_under_way_begins_anew(cache: int) -> None:
    async with world(session_cache_size=cache) as w:
        await w.start(chain)
        await w.settle(1)
        w.backend.gate = asyncio.Event()
        await w.returns(0, "old")
        await w.start(chain, replace=True)
        w.backend.gate.set()
        w.backend.gate = None
        await w.settle(60)
        assert w.called == [("a", 1), ("a", 1)]
        await w.returns(1, "new")
        await w.settle(1)
        await w.returns(2, "B")

        assert await w.output() == ["new", "B"]


async def test_a_message_handed_out_twice_is_fed_once() -> None:
    async def counts(context: OrchestrationContext) -> list[Any]:
        return [await context.wait_for_external_event("n") for _ in range(3)]

    async with World(index_of([counts])) as w:
        await w.start(counts)
        await w.settle(1)
        w.backend.gate = asyncio.Event()
        await w.raise_event("n", 1)
        await w.backend.abandon("i")
        await w.settle()
        await w.raise_event("n", 2)
        await w.backend.abandon("i")
        await w.settle()
        w.backend.gate.set()
        await w.settle(60)
        await w.raise_event("n", 3)

        assert await w.output() == [1, 2, 3]


@pytest.mark.parametrize("cache", [0, 100])
async def test_a_late_result_of_a_replaced_run_is_not_taken_for_one_of_the_new_run(
    cache: int,
) -> None:
    """Both have a step 0, and the session of the new run may not be loaded when it comes."""
    async with world(session_cache_size=cache) as w:
        await w.start(chain)
        await w.settle(1)
        await w.start(chain, replace=True)
        await w.settle(1)
        await w.returns(0, "old")
        await w.settle(1)
        await w.returns(1, "new")
        await w.settle(1)
        await w.returns(2, "B")

        assert await w.output() == ["new", "B"]


# Children


async def test_a_child_whose_id_is_taken_by_one_that_runs_fails_the_task() -> None:
    async with world() as w:
        await w.start(waits, instance_id="taken")
        await w.start(calls_named)
        await w.settle(1)

        assert "'taken' exists and has not ended" in await w.output()
        assert await w.status("taken") == "Running"


async def test_a_child_takes_the_place_of_one_that_has_ended() -> None:
    async with world() as w:
        await w.start(waits, instance_id="taken")
        await w.raise_event("go", 1, "taken")
        await w.start(calls_named)
        await w.settle(1)
        await w.raise_event("go", "from the child", "taken")

        assert await w.output() == "from the child"
        assert await w.kinds("taken") == [
            *OPENING,
            ">",
            "<",
            "EventRaised",
            "ExecutionCompleted 0",
            ">",
        ]


async def test_a_child_whose_id_waits_for_its_scheduled_start_fails_the_task() -> None:
    async with world() as w:
        at = w.clock.now() + timedelta(days=1)
        await w.start(waits, instance_id="taken", at=at)
        await w.start(calls_named)
        await w.settle(1)
        assert "'taken' exists and has not ended" in await w.output()

        await w.settle(86400)
        await w.raise_event("go", "scheduled", "taken")

        assert await w.output("taken") == "scheduled"


async def test_two_parents_that_want_one_id_get_one_child() -> None:
    async with world() as w:
        await w.start(calls_named, instance_id="first", settle=False)
        await w.start(calls_named, instance_id="second")
        await w.settle(1)
        await w.raise_event("go", "done", "taken")

        outputs = sorted([await w.output("first"), await w.output("second")])
        assert outputs[1] == "done"
        assert "could not be started" in outputs[0]


async def test_an_unknown_child_fails_the_task_with_the_known_names() -> None:
    async with world() as w:
        await w.start(calls_unknown)
        await w.settle(1)
        output = await w.output()

        assert "'nobody' doesn't exist" in output
        assert "'chain'" in output


# Ends from outside


async def test_a_scheduled_instance_can_be_terminated_before_it_starts() -> None:
    async with world() as w:
        await w.start(chain, at=w.clock.now() + timedelta(days=1))
        await w.terminate("never mind")
        record = await w.record()
        assert (record.runtime_status.value, record.output) == ("Terminated", "never mind")

        await w.settle(2 * 86400)

        assert w.calls == []
        assert await w.status() == "Terminated"


async def test_termination_that_arrives_with_the_start_still_ends_the_instance() -> None:
    async with world() as w:
        at = w.clock.now() + timedelta(days=1)
        await w.start(chain, at=at)
        w.backend.fails_before += ["load"]
        await w.terminate()
        await w.settle(2 * 86400)

        assert await w.status() == "Terminated"


async def test_events_that_come_before_a_scheduled_start_are_kept() -> None:
    async with world() as w:
        await w.start(waits, at=w.clock.now() + timedelta(days=1))
        await w.raise_event("go", "early")
        assert await w.status() == "Pending"

        await w.settle(86400)

        assert await w.output() == "early"


async def test_an_orchestrator_that_starts_over_for_ever_can_be_terminated() -> None:
    async def spins(context: OrchestrationContext) -> None:
        await context.task_all([])
        context.continue_as_new()

    async with World(index_of([spins, chain], [a, b])) as w:
        async with asyncio.timeout(5):
            await w.start(spins)
            await w.start(chain, instance_id="other")
            assert w.called == [("a", 1)]
            await w.terminate()
            await w.settle(1)

        assert await w.status() == "Terminated"


async def test_nothing_is_written_about_an_instance_behind_its_end() -> None:
    async with world() as w:
        await w.start(waits)
        await w.settle(1)
        w.backend.gate = asyncio.Event()
        await w.raise_event("go", 1)
        await w.raise_event("go", 2)
        await w.terminate()
        w.backend.gate.set()
        await w.settle(60)

        assert await w.output() == 1
        assert len(w.commits) == 2
        assert (await w.kinds()).count("EventRaised") == 1


async def test_a_step_whose_task_is_cancelled_from_outside_is_taken_up_again() -> None:
    tries: list[int] = []

    async def impatient(context: OrchestrationContext) -> Any:
        tries.append(1)
        if len(tries) == 1:
            for task in asyncio.all_tasks():
                if getattr(task.get_coro(), "__name__", "") == "_process":
                    asyncio.get_running_loop().call_soon(task.cancel)
        context.create_timer(timedelta(days=1))
        return await context.wait_for_external_event("go")

    async with World(index_of([impatient])) as w:
        w.backend.gate = asyncio.Event()
        await w.start(impatient)
        w.backend.gate.set()
        await w.settle(5)
        await w.raise_event("go", 3)

        assert await w.output() == 3
        assert len(tries) == 2
        assert not w.running.done()
