"""What a store asks of others is told once a minute, as long as there is something to tell."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from func_host.durable.backends import request_report
from func_host.durable.backends.memory import MemoryBackend, MemoryStore
from func_host.durable.backends.request_report import RequestReport
from func_host.log import JsonFormatter, PlainFormatter
from func_host.testing.clock import SimulatedClock
from tests.host.durable.backends.asking import AskingBackend

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

pytestmark = pytest.mark.anyio


class Lines(logging.Handler):
    """What was logged, as people read it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(PlainFormatter(coloured=False))
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(re.sub(r"^\[.*?\] ", "", self.format(record)))

    def taken(self) -> list[str]:
        """Give what came since the last look."""
        lines, self._lines = self._lines, []
        return lines


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines, level = Lines(), request_report.logger.level
    request_report.logger.setLevel(logging.INFO)
    request_report.logger.addHandler(lines)
    yield lines
    request_report.logger.removeHandler(lines)
    request_report.logger.setLevel(level)


@asynccontextmanager
async def running(backend: AskingBackend, clock: SimulatedClock) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(RequestReport(backend, clock).run())
        await clock.advance(0)
        yield
        task.cancel()


async def test_a_line_comes_once_a_minute_with_what_came_in_it(lines: Lines) -> None:
    clock = SimulatedClock()
    backend = AskingBackend(clock)
    backend.ask("PutMessage", 9)
    async with running(backend, clock):
        await clock.advance(59)
        assert lines.taken() == []

        backend.ask("GetMessages", 3)
        await clock.advance(1)
        told = "requests=12, duration_s=60, operations=GetMessages 3, PutMessage 9"
        assert lines.taken() == [f"storage requests ({told})"]

        backend.ask("GetMessages", 2)
        await clock.advance(60)
        told = "requests=2, duration_s=60, operations=GetMessages 2"
        assert lines.taken() == [f"storage requests ({told})"]


async def test_a_minute_without_requests_is_silent_and_counted_to_the_next(lines: Lines) -> None:
    clock = SimulatedClock()
    backend = AskingBackend(clock)
    backend.ask("Open")
    async with running(backend, clock):
        await clock.advance(60)
        lines.taken()
        await clock.advance(60)
        assert lines.taken() == []

        backend.ask("Open")
        await clock.advance(60)
        assert lines.taken() == ["storage requests (requests=1, duration_s=120, operations=Open 1)"]


async def test_answers_of_any_status_are_counted_together(lines: Lines) -> None:
    clock = SimulatedClock()
    backend = AskingBackend(clock)
    backend.ask("PutMessage", 2, status=201)
    backend.ask("PutMessage", 1, status=503)

    RequestReport(backend, clock).tell()

    assert lines.taken() == ["storage requests (requests=3, duration_s=0, operations=PutMessage 3)"]


async def test_nothing_is_told_twice(lines: Lines) -> None:
    clock = SimulatedClock()
    backend = AskingBackend(clock)
    backend.ask("Open")
    report = RequestReport(backend, clock)

    report.tell()
    report.tell()

    assert len(lines.taken()) == 1


async def test_a_store_that_asks_nobody_is_not_watched() -> None:
    clock = SimulatedClock()

    await RequestReport(MemoryBackend(MemoryStore(), clock), clock).run()  # it is over at once


async def test_a_json_line_holds_the_counts_as_an_object(lines: Lines) -> None:
    clock = SimulatedClock()
    backend = AskingBackend(clock)
    backend.ask("Open", 2)
    lines.setFormatter(JsonFormatter())

    RequestReport(backend, clock).tell()

    (line,) = lines.taken()
    record = json.loads(line)
    assert record["message"] == "storage requests"
    assert (record["requests"], record["operations"]) == (2, {"Open": 2})
