"""An event loop whose time is virtual: it jumps to the next timer once nothing is left to do.

Nothing waits for real, so days pass in no time, and the order of everything that happens follows
from the program alone. Where nothing is ready and no timer is set, nothing can ever happen again:
that is a deadlock, and running the loop raises `DeadlockError` instead of hanging.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from func_host.testing.clock import START

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import datetime
    from typing import Any

T = TypeVar("T")

_MICROSECONDS = 1_000_000
_TICK_S = 1 / _MICROSECONDS
_LAST_TURNS = 10_000
"""How often a loop may turn while what is left over ends."""


class DeadlockError(RuntimeError):
    """Everything waits, and nothing is left that could wake anything."""


class LivelockError(RuntimeError):
    """The loop has turned more often than it was allowed to."""


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """A loop without sockets, threads and signals, in virtual time.

    Args:
        turns_max: How often the loop may turn before it counts as a livelock.
    """

    def __init__(self, turns_max: int = 1_000_000) -> None:
        super().__init__()
        self._seconds = 0.0
        self._turns_left = turns_max
        self._selector = self

    def time(self) -> float:
        """Give the virtual seconds since the start."""
        return self._seconds

    def allow_turns(self, count: int) -> None:
        """Count the turns anew: so many more are allowed."""
        self._turns_left = count

    def select(self, timeout: float | None) -> list[object]:
        """Let the time pass instead of waiting; the base class calls this once a turn."""
        self._turns_left -= 1
        if self._turns_left < 0:
            raise LivelockError(f"Still busy after {self._seconds:g} virtual seconds.")
        if timeout is None:
            raise DeadlockError(f"Nothing can happen after {self._seconds:g} virtual seconds.")
        if timeout > 0:
            # Whole microseconds, rounded up: moments have no more digits, and no timer is early.
            self._seconds = math.ceil((self._seconds + timeout) * _MICROSECONDS) / _MICROSECONDS
        return []

    def _process_events(self, event_list: list[object]) -> None:
        """Have no events: there are no sockets."""

    def _write_to_self(self) -> None:
        """Have nobody to wake: there are no threads."""


class LoopClock:
    """A `Clock` that follows the time of a loop.

    Args:
        loop: The loop, maybe one in virtual time.
        start: The wall clock's time where the loop's time is zero.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, start: datetime = START) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> datetime:
        """Give the start plus the loop's time."""
        return self._start + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """Give the loop's time."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Return once the loop's time has come this far."""
        if seconds <= 0:
            return
        wake: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(max(seconds, _TICK_S), _wake, wake)
        try:
            await wake
        finally:
            timer.cancel()


def run_in_virtual_time(loop: VirtualTimeLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on this loop, and close it; what is left over is cancelled.

    Raises:
        DeadlockError: Everything waited before the end.
        LivelockError: The end was too far away.
    """
    try:
        return loop.run_until_complete(main)
    finally:
        _cancel_leftovers(loop)
        loop.close()


def _cancel_leftovers(loop: VirtualTimeLoop) -> None:
    leftovers = asyncio.all_tasks(loop)
    for task in leftovers:
        task.cancel()
    if leftovers:
        loop.allow_turns(_LAST_TURNS)
        with suppress(DeadlockError, LivelockError):
            loop.run_until_complete(asyncio.wait(leftovers))


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
