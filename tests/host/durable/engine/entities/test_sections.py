"""Locks: asked for in one order, kept to the block's end, given back in whatever way it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import CriticalSection, EntityId, LockingRulesViolationError, TaskFailedError
from func_host.durable.engine.entities import messages
from func_host.durable.history import ExecutionTerminated
from tests.host.durable.engine.driving import SECOND, SHAPES, T0, Driver, sent

if TYPE_CHECKING:
    from collections.abc import Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]

A = EntityId("Counter", "a")
B = EntityId("counter", "b")
C = EntityId("counter", "c")
RELEASES = ["release @counter@a", "release @counter@b"]


@pytest.fixture(params=SHAPES, ids=["coroutine", "generator"])
def shape(request: pytest.FixtureRequest) -> Shape:
    """Turns an orchestrator written as a generator into the shape under test."""
    turned: Shape = request.param
    return turned


def without_steps(messages_: list[str]) -> list[str]:
    return [message.partition(" ")[2] for message in messages_]


def refusal(ask: Any) -> str:
    with pytest.raises(LockingRulesViolationError) as refused:
        ask()
    return str(refused.value)


def test_a_lock_is_asked_of_the_first_in_order_for_all_of_them(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        section = yield context.lock(B, EntityId("COUNTER", "a"), B, A)
        return [str(each) for each in section.entities]

    driver = Driver(shape(orchestrator))
    assert sent(driver.actions) == ["0 lock @counter@a @counter@b"]
    assert driver.request(0).pos == 0
    assert driver.request(0).parent_execution == "execution"
    driver.grants(0)

    assert driver.result == ["@counter@a", "@counter@b"]


def test_the_block_gives_back_what_it_holds_when_it_is_left(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        before = context.is_locked
        lock = context.lock(A, B)
        asked = context.is_locked
        with (yield lock):
            held = [context.is_locked, *map(str, context.locked_entities)]
            yield context.call_entity(A, "add", 1)
        yield context.call_activity("a")
        return [before, asked, held, context.is_locked, list(context.locked_entities)]

    driver = Driver(shape(orchestrator))
    assert sent(driver.grants(0)) == ["1 call @counter@a add 1"]
    assert sent(driver.answers(1, 1)) == ["2 release @counter@a", "3 release @counter@b"]
    driver.completes(4)

    assert driver.result == [False, False, [True, "@counter@a", "@counter@b"], False, []]
    assert sent(driver.actions[-1:]) == []
    assert driver.replayed().take_actions() == []


def test_an_async_block_gives_back_too() -> None:
    async def orchestrator(context: OrchestrationContext) -> bool:
        async with await context.lock(A, B) as section:
            assert isinstance(section, CriticalSection)
        return context.is_locked

    driver = Driver(orchestrator)
    driver.grants(0)

    assert driver.result is False
    assert without_steps(sent(driver.actions))[1:] == RELEASES


def test_a_release_names_the_request_for_the_lock(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        (yield context.lock(A)).release()

    driver = Driver(shape(orchestrator))
    action = driver.grants(0)[0]
    release = messages.read_release(action)

    assert release.id == driver.request(0).id
    assert release.parent == "instance"


def test_leaving_twice_gives_back_once_and_a_second_lock_may_follow(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        with (yield context.lock(A)) as first:
            first.release()
            second = yield context.lock(A)
        first.release()
        return [context.is_locked, second.entities == (A,)]

    driver = Driver(shape(orchestrator))
    assert sent(driver.grants(0)) == ["1 release @counter@a", "2 lock @counter@a"]
    actions = driver.grants(2)

    assert driver.result == [True, True]
    assert sent(actions) == ["3 release @counter@a"]


def test_inside_only_what_is_locked_may_be_called_one_call_each(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        told: list[str] = []
        with (yield context.lock(A, B)):
            told.append(refusal(lambda: context.call_entity(C, "get")))
            first = context.call_entity(A, "get")
            told.append(refusal(lambda: context.call_entity(A, "get")))
            second = context.call_entity(B, "get")
            yield first
            yield context.call_entity(A, "get")
            yield second
        return told

    driver = Driver(shape(orchestrator))
    assert sent(driver.grants(0)) == ["1 call @counter@a get", "2 call @counter@b get"]
    driver.answers(1)
    driver.answers(3)
    driver.answers(2)

    not_held, busy = driver.result
    assert not_held.startswith("'@counter@c' cannot be called inside context.lock, which holds ")
    assert busy.startswith("'@counter@a' has not answered the call before")


def test_inside_what_is_locked_cannot_be_signalled_but_others_can(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        with (yield context.lock(A)):
            context.signal_entity(B, "add", 1)
            return refusal(lambda: context.signal_entity(A, "add", 1))

    driver = Driver(shape(orchestrator))
    actions = driver.grants(0)

    assert "cannot be signalled while context.lock holds it" in driver.result
    assert sent(actions) == ["1 signal @counter@b add 1", "2 release @counter@a"]


def test_inside_no_child_can_be_started_and_nothing_else_locked(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        with (yield context.lock(A)):
            return [
                refusal(lambda: context.call_sub_orchestrator("child")),
                refusal(lambda: context.lock(B)),
            ]

    driver = Driver(shape(orchestrator))
    driver.grants(0)

    child, lock = driver.result
    assert child.startswith("No sub-orchestration can be started inside context.lock")
    assert lock.startswith("This orchestration holds '@counter@a', so nothing else can be locked")
    assert driver.end.id == 2


def test_while_a_lock_is_asked_for_the_rules_hold_already(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        lock = context.lock(A)
        context.signal_entity(B, "add")
        told = [
            refusal(lambda: context.call_entity(A, "get")),
            refusal(lambda: context.signal_entity(A, "add")),
            refusal(lambda: context.lock(B)),
            refusal(lambda: context.call_sub_orchestrator("child")),
        ]
        yield lock
        return told

    driver = Driver(shape(orchestrator))
    driver.grants(0)

    assert "await the lock first" in driver.result[0]
    assert "is waiting for '@counter@a'" in driver.result[2]


def test_a_rule_that_is_broken_fails_the_orchestration_at_the_line_of_the_call(
    shape: Shape,
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        with (yield context.lock(A, B)):
            yield context.call_entity(C, "get")

    driver = Driver(shape(orchestrator))
    actions = driver.grants(0)

    assert driver.status == "Failed"
    assert driver.end.failure is not None
    assert driver.end.failure.error_type.endswith("LockingRulesViolationError")
    assert 'yield context.call_entity(C, "get")' in (driver.end.failure.stack_trace or "")
    assert without_steps(sent(actions)) == RELEASES


def test_lock_of_nothing_is_refused() -> None:
    async def orchestrator(context: OrchestrationContext) -> None:
        with pytest.raises(ValueError, match="at least one entity"):
            context.lock()

    assert Driver(orchestrator).status == "Completed"


@pytest.mark.parametrize("is_granted", [True, False])
@pytest.mark.parametrize("end", ["returns", "raises", "again", "terminated"])
def test_whatever_ends_the_execution_gives_back_what_it_holds_or_asks_for(
    shape: Shape, end: str, is_granted: bool
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        lock = context.lock(A, B)
        if is_granted:
            yield lock
        yield context.wait_for_external_event("go")
        if end == "raises":
            raise ValueError(end)
        if end == "again":
            context.continue_as_new()

    driver = Driver(shape(orchestrator))
    if is_granted:
        driver.grants(0)
    before = len(driver.history)
    actions = driver.terminates() if end == "terminated" else driver.raises("go")

    assert sent(actions) == ["1 release @counter@a", "2 release @counter@b"]
    assert len(actions) == 3
    run = driver.replayed(driver.history[: before + 2])
    assert run.take_actions() == actions
    if end != "again":
        assert driver.replayed().take_actions() == []


def test_a_lock_that_is_granted_after_the_end_says_nothing(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        context.lock(A)
        yield context.wait_for_external_event("go")

    driver = Driver(shape(orchestrator))
    driver.raises("go")

    assert driver.grants(0) == []


def test_termination_comes_before_a_continue_as_new_that_was_not_taken_and_releases_once() -> None:
    async def orchestrator(context: OrchestrationContext) -> None:
        await context.lock(A)
        context.continue_as_new()

    driver = Driver(orchestrator)
    driver.run.feed(messages.granted_event(driver.request(0), T0))
    driver.run.feed(ExecutionTerminated(timestamp=T0, input="enough"))
    actions = driver.run.take_actions()

    assert sent(actions) == ["1 release @counter@a"]
    assert type(actions[-1]).__name__ == "CompleteOrchestration"


def test_locks_are_given_back_by_one_that_has_asked_for_too_many_steps() -> None:
    async def orchestrator(context: OrchestrationContext) -> None:
        async with await context.lock(A, B):
            while True:
                context.call_activity("a")

    driver = Driver(orchestrator, actions_max=5)
    actions = driver.grants(0)

    assert driver.status == "Failed"
    assert sent(actions) == ["5 release @counter@a", "6 release @counter@b"]


def test_a_dropped_orchestrator_gives_nothing_back(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        with (yield context.lock(A)):
            yield context.create_timer(SECOND)

    driver = Driver(shape(orchestrator))
    driver.grants(0)
    driver.run.close()

    assert driver.run.take_actions() == []
    assert driver.run.take_cancelled_timers() == ()


def test_a_lock_that_is_refused_fails_and_is_withdrawn(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        try:
            yield context.lock(A, B)
        except TaskFailedError as error:
            return [str(error), context.is_locked]

    driver = Driver(shape(orchestrator))
    actions = driver.refuses(0, "Error", "no such entity")

    assert driver.result == ["no such entity", False]
    assert without_steps(sent(actions)) == RELEASES
