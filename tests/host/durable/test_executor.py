"""Runs native orchestrators, or says why an instance must be parked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from func_host.durable.catalog import AppCatalog
from func_host.durable.executor import InProcessExecutor, replay_safe
from func_host.durable.history import ExecutionStarted, OrchestrationInstance
from tests.host.durable.engine.driving import T0, Driver
from tests.host.durable.worker.world import index_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from func_bindings import OrchestrationContext


async def shop(context: OrchestrationContext) -> Any:
    await context.call_activity("a")
    return await context.call_activity("b")


def executor_of(*orchestrators: Callable[..., Any]) -> InProcessExecutor:
    return InProcessExecutor(AppCatalog(index_of(orchestrators)))


def started(name: str) -> ExecutionStarted:
    return ExecutionStarted(
        timestamp=T0, orchestration_instance=OrchestrationInstance("i", "execution"), name=name
    )


def test_a_known_orchestrator_is_started_but_not_run() -> None:
    run, reason = executor_of(shop).start(started("SHOP"))

    assert reason is None
    assert run is not None
    assert run.take_actions() == []


def test_an_unknown_orchestrator_is_refused_in_the_words_of_the_extension() -> None:
    executor = executor_of(shop)
    run, reason = executor.start(started("nobody"))

    assert run is None
    assert reason == (
        "The function 'nobody' doesn't exist, is disabled, or is not an orchestrator function. "
        "Additional info: The following are the known orchestrator functions: 'shop'."
    )
    assert executor.why_unknown("nobody") == reason
    assert executor.why_unknown("Shop") is None


def test_a_history_is_replayed() -> None:
    driver = Driver(shop)
    driver.completes(0)

    run, reason = executor_of(shop).replay(started("shop"), driver.history)

    assert reason is None
    assert run is not None
    assert [action.name for action in run.open_activities()] == ["b"]
    run.close()


def test_a_history_that_does_not_fit_gives_the_reason_and_lets_the_orchestrator_go() -> None:
    closed: list[str] = []
    driver = Driver(shop)
    driver.completes(0)

    async def changed(context: OrchestrationContext) -> None:
        try:
            await context.call_activity("c")
        finally:
            closed.append("closed")

    changed.__name__ = "shop"
    run, reason = executor_of(changed).replay(started("shop"), driver.history)

    assert run is None
    assert "history has activity 'a' (step 0), the code asks for activity 'c'" in (reason or "")
    assert closed == ["closed"]


def test_a_logger_is_silent_while_it_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    is_silent = True
    logger = replay_safe("shop", lambda: is_silent)
    with caplog.at_level(logging.INFO):
        logger.info("replayed")
        assert not logger.isEnabledFor(logging.ERROR)
        is_silent = False
        logger.info("new %s", 1, extra={"order": 7})
        try:
            int("x")
        except ValueError:
            logger.exception("failed")

    assert [each.getMessage() for each in caplog.records] == ["new 1", "failed"]
    assert vars(caplog.records[0])["order"] == 7
    assert caplog.records[1].exc_info is not None
