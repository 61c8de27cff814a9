"""Time and ids as interfaces, and the one place that reads the wall clock or draws ids.

Everything that runs orchestrations takes a `Clock` and an `IdSource`, so that a test can hand it a
virtual day and repeatable ids.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a part gets the time from."""

    def now(self) -> datetime:
        """Aware UTC; may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return no earlier than after this many seconds (at once for zero or less)."""
        ...


class IdSource(Protocol):
    """Where a part gets ids and chance from."""

    def new_id(self) -> str:
        """Give a new id: 32 lower-case hex digits."""
        ...

    def jitter(self) -> float:
        """Give a number from 0 (inclusive) to 1 (exclusive), to spread retries."""
        ...


LOOK_AGAIN_S = 15.0
"""How often a long sleep looks at the wall clock: the monotonic one may stop with the machine."""


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    def now(self) -> datetime:
        """Give the wall clock's time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give the machine's monotonic time."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop; time that the machine itself slept through counts."""
        end, wall_end = self.monotonic() + seconds, time.time() + seconds
        while (left := min(end - self.monotonic(), wall_end - time.time())) > 0:  # noqa: ASYNC110 -- no event tells that the machine has slept
            await asyncio.sleep(min(left, LOOK_AGAIN_S))


class SystemIds:
    """Random ids."""

    def new_id(self) -> str:
        """Give a random UUID without dashes, as the extension does."""
        return uuid.uuid4().hex

    def jitter(self) -> float:
        """Give chance, from the same source as the ids."""
        return uuid.uuid4().int / (1 << 128)
