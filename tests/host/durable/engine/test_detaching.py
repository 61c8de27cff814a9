"""A dropped orchestrator: its frames are closed, and nothing it still asks for has any effect."""

from __future__ import annotations

import gc
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.host.durable.engine.driving import SECOND, Driver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator

    from func_bindings import OrchestrationContext
    from tests.host.durable.engine.driving import Shape

    Steps = Generator[Any, Any, Any]


def in_finally(context: OrchestrationContext, log: list[str]) -> Steps:
    try:
        yield context.call_activity("a")
    finally:
        log.append("finally")


def awaiting_in_finally(context: OrchestrationContext, log: list[str]) -> Steps:
    try:
        yield context.call_activity("a")
    finally:
        log.append("undo")
        try:
            yield context.call_activity("undo")
        finally:
            log.append("after undo")
            yield context.create_timer(SECOND)


def catching_everything(context: OrchestrationContext, log: list[str]) -> Steps:
    try:
        yield context.call_activity("a")
    except BaseException as error:  # noqa: BLE001 -- what is under test
        log.append(type(error).__name__)
        context.set_custom_status("caught")
        context.continue_as_new("again")
        yield context.wait_for_external_event("go")
        log.append("never")


def ending_all_the_same(context: OrchestrationContext, log: list[str]) -> Steps:
    try:
        yield context.call_activity("a")
    except BaseException:  # noqa: BLE001 -- what is under test
        log.append("returned")
        return "a result that nobody takes"


def raising_another(context: OrchestrationContext, log: list[str]) -> Steps:
    try:
        yield context.call_activity("a")
    finally:
        log.append("raised")
        raise SystemExit(3)


def reading_an_event(context: OrchestrationContext, log: list[str]) -> Steps:
    try:
        yield context.call_activity("a")
    finally:
        yield context.wait_for_external_event("kept")
        log.append("never")


def in_with(context: OrchestrationContext, log: list[str]) -> Steps:
    with entered(log):
        yield context.call_activity("a")


@contextmanager
def entered(log: list[str]) -> Generator[None]:
    try:
        yield
    finally:
        log.append("left")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (in_finally, ["finally"]),
        (awaiting_in_finally, ["undo", "after undo"]),
        (catching_everything, ["Dropped"]),
        (ending_all_the_same, ["returned"]),
        (raising_another, ["raised"]),
        (reading_an_event, []),
        (in_with, ["left"]),
    ],
)
def test_what_a_dropped_orchestrator_does_has_no_effect(
    shape: Shape,
    function: Callable[[OrchestrationContext, list[str]], Steps],
    expected: list[str],
) -> None:
    log: list[str] = []
    driver = Driver(shape(lambda context: function(context, log)))
    driver.raises("kept", 1)
    driver.run.take_actions()
    status = driver.run.custom_status

    driver.run.close()
    gc.collect()

    assert log == expected
    assert driver.run.take_actions() == []
    assert driver.run.take_cancelled_timers() == ()
    assert driver.run.custom_status == status


def test_a_dropped_orchestrator_goes_on_from_its_history(shape: Shape) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        results: list[Any] = []
        try:
            results.append((yield context.call_activity("a")))
        finally:
            results.append((yield context.call_activity("undo")))
        return results

    driver = Driver(shape(orchestrator))
    driver.run.close()
    driver.run = driver.replayed()
    driver.completes(0, 1)
    driver.run.close()
    driver.run = driver.replayed()
    driver.completes(1, 2)

    assert driver.result == [1, 2]


def test_every_finally_of_nested_functions_runs_to_its_end(shape: Shape) -> None:
    log: list[str] = []

    def inner(context: OrchestrationContext) -> Steps:
        try:
            yield context.call_activity("a")
        finally:
            try:
                yield context.call_activity("undo")
            finally:
                log.append("inner")

    def orchestrator(context: OrchestrationContext) -> Steps:
        try:
            yield from inner(context)
        finally:
            log.append("outer")

    Driver(shape(orchestrator)).run.close()

    assert log == ["inner", "outer"]


@pytest.mark.anyio
async def test_every_finally_of_nested_coroutines_runs_to_its_end() -> None:
    log: list[str] = []

    async def cities(context: OrchestrationContext) -> AsyncIterator[Any]:
        try:
            while True:
                yield await context.call_activity("city")
        finally:
            try:
                await context.call_activity("undo")
            finally:
                log.append("generator")

    async def inner(context: OrchestrationContext) -> None:
        try:
            async for city in cities(context):
                log.extend([city])
        finally:
            await context.task_all([context.call_activity("undo")])

    async def orchestrator(context: OrchestrationContext) -> None:
        try:
            await inner(context)
        except BaseException as error:
            log.append(type(error).__name__)
            raise

    driver = Driver(orchestrator)
    driver.completes(0, "Tokyo")
    driver.run.close()
    gc.collect()

    assert log == ["Tokyo", "generator", "Dropped"]


@pytest.mark.anyio
async def test_an_async_context_manager_is_left_when_the_orchestrator_is_dropped() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def lock(context: OrchestrationContext) -> AsyncGenerator[None]:
        await context.call_activity("lock")
        try:
            yield
        finally:
            log.append("unlock")
            await context.call_activity("unlock")
            log.append("unlocked")

    async def orchestrator(context: OrchestrationContext) -> Any:
        async with lock(context):
            return await context.call_activity("a")

    driver = Driver(orchestrator)
    driver.completes(0)
    driver.run.close()
    assert log == ["unlock"]

    driver.run = driver.replayed()
    driver.completes(1, "held")
    driver.completes(2)

    assert driver.result == "held"
    assert log == ["unlock", "unlock", "unlocked"]


def test_nothing_is_logged_by_a_dropped_orchestrator(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    def orchestrator(context: OrchestrationContext) -> Steps:
        try:
            yield context.call_activity("a")
        finally:
            context.logger.error("dropped")

    with caplog.at_level("INFO"):
        Driver(shape(orchestrator)).run.close()

    assert caplog.records == []


def test_closing_twice_is_as_closing_once(shape: Shape) -> None:
    log: list[str] = []
    driver = Driver(shape(lambda context: in_finally(context, log)))

    driver.run.close()
    driver.run.close()

    assert log == ["finally"]


def test_an_orchestrator_that_has_ended_is_closed_without_effect(shape: Shape) -> None:
    log: list[str] = []
    driver = Driver(shape(lambda context: in_finally(context, log)))
    driver.completes(0)

    driver.run.close()

    assert log == ["finally"]


@pytest.mark.filterwarnings("ignore:coroutine ignored GeneratorExit")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_orchestrator_that_will_not_go_is_left_alone(shape: Shape) -> None:
    attempts: list[int] = []

    def orchestrator(context: OrchestrationContext) -> Steps:
        while True:
            try:
                yield context.call_activity("a")
            except BaseException:  # noqa: BLE001 -- what is under test
                attempts.append(1)

    driver = Driver(shape(orchestrator))
    driver.run.close()

    assert len(attempts) >= 1000
    del driver
    gc.collect()
