"""A clock that a test moves by hand, so that timers of days pass in no time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count

START = datetime(2026, 1, 1, tzinfo=UTC)
_TURNS_AFTER_WAKING = 20


class SimulatedClock:
    """A `Clock` whose time stands still until `advance`.

    Args:
        start: Where time begins, aware UTC.
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._now = start
        self._order = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Give the simulated time."""
        return self._now

    def monotonic(self) -> float:
        """Give the seconds since the start."""
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Return once `advance` has moved the time this far."""
        if seconds <= 0:
            return
        wake = asyncio.get_running_loop().create_future()
        moment = self._now + timedelta(seconds=seconds)
        heappush(self._sleepers, (moment, next(self._order), wake))
        await wake

    async def advance(self, by: timedelta | float) -> None:
        """Move the time; sleepers wake one after the other, in order, each at its own moment.

        After each one the event loop gets some turns, so that what it does next, another sleep
        included, happens at that moment.
        """
        target = self._now + (by if isinstance(by, timedelta) else timedelta(seconds=by))
        await _take_turns()
        while self._sleepers and self._sleepers[0][0] <= target:
            moment, _, wake = heappop(self._sleepers)
            if wake.done():  # the sleeper was cancelled
                continue
            self._now = max(self._now, moment)
            wake.set_result(None)
            await _take_turns()
        self._now = target


async def _take_turns() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(_TURNS_AFTER_WAKING):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
