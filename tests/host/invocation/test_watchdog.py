from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from func_bindings import activity_trigger, entity_trigger
from func_host import log
from func_host.clock import SystemClock
from func_host.indexing.entity_classes import read_entity_class
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from func_host.invocation.watchdog import LoopWatchdog

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


@activity_trigger
async def blocks(until: float) -> None:
    while time.monotonic() < until:
        pass


@activity_trigger
async def waits(seconds: float) -> None:
    await SystemClock().sleep(seconds)


@entity_trigger
class Blocking:
    async def blocks(self, until: float) -> None:
        while time.monotonic() < until:
            pass


def index_of(*functions: Callable[..., object]) -> FunctionIndex:
    from func_bindings.metadata import metadata_of  # noqa: PLC0415 -- only this helper needs it

    indexed: list[IndexedFunction] = []
    for function in functions:
        metadata = metadata_of(function)
        assert metadata is not None
        indexed.append(
            IndexedFunction(
                name=function.__name__,
                function=function,
                trigger=metadata.triggers[0],
                client_inputs=(),
                location=metadata.location,
                app="app",
                app_dir=Path(),
                is_async=True,
                entity_class=read_entity_class(function)[0] if isinstance(function, type) else None,
            )
        )
    return FunctionIndex(indexed)


async def test_a_function_that_blocks_the_loop_is_named_with_its_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING), LoopWatchdog(index_of(blocks), SystemClock()):
        await asyncio.gather(blocks(time.monotonic() + 0.6))

    [record, *_] = caplog.records
    assert getattr(record, log.FUNCTION_NAME) == "blocks"
    assert "test_watchdog.py:" in getattr(record, log.SOURCE_LINE)


async def test_an_operation_of_a_class_that_blocks_the_loop_is_named_after_the_entity(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING), LoopWatchdog(index_of(Blocking), SystemClock()):
        await asyncio.gather(Blocking().blocks(time.monotonic() + 0.6))

    assert getattr(caplog.records[0], log.FUNCTION_NAME) == "Blocking"


async def test_a_function_that_waits_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), LoopWatchdog(index_of(waits), SystemClock()):
        await waits(0.5)

    assert not caplog.records


async def test_a_loop_blocked_by_nobody_of_the_app_is_not_mentioned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING), LoopWatchdog(index_of(waits), SystemClock()):
        await blocks(time.monotonic() + 0.5)

    assert not caplog.records
