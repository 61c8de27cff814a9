"""Waiting for one thing until another happens, without a task that nobody owns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from func_host.clock import Clock

T = TypeVar("T")

_SLEEP_MAX_S = 86_400.0


class _InterruptedError(Exception):
    """An interruption has happened; never leaves this module."""


async def unless(
    work: Callable[[], Awaitable[T]], *interruptions: Callable[[], Awaitable[object]]
) -> T | None:
    """Give what the work gives, or None once one of the interruptions has returned.

    Whatever is still waiting then is cancelled; what the work raises comes out as it is.
    """
    results: list[T] = []
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_interrupt_after(each)) for each in interruptions]
            try:
                results.append(await work())
            except Exception as error:  # noqa: BLE001 -- handed on below, outside of the group
                failure = error
            for task in tasks:
                task.cancel()
    except* _InterruptedError:
        pass
    if failure is not None:
        raise failure
    return results[0] if results else None


async def _interrupt_after(wait: Callable[[], Awaitable[object]]) -> None:
    await wait()
    raise _InterruptedError


async def sleep_long(clock: Clock, seconds: float) -> None:
    """Sleep for any length, infinite too: event loops refuse timers of decades."""
    end = clock.monotonic() + seconds
    while (remaining := end - clock.monotonic()) > 0:
        await clock.sleep(min(remaining, _SLEEP_MAX_S))
