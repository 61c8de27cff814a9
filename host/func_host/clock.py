"""Time and ids as interfaces, and the one place that reads the wall clock or draws ids.

Everything that runs orchestrations takes a `Clock` and an `IdSource`, so that a test can hand it a
virtual day and repeatable ids.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from datetime import UTC, datetime
from typing import Final, Protocol


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


_DRAWN_AT_ONCE: Final = 64
_NO_VERSION: Final = ~((0xF000 << 64) | (0xC000 << 48))
_VERSION_4: Final = (0x4000 << 64) | (0x8000 << 48)
"""The bits that say that a UUID is a random one."""


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
    """Random ids, usable from any thread.

    Chance is drawn for many ids at once, since asking the system costs more than all the rest. A
    process that forks would have the same ids on both sides: the host does not.
    """

    def __init__(self) -> None:
        self._drawn: list[int] = []

    def new_id(self) -> str:
        """Give a random UUID without dashes, as the extension does."""
        try:
            chance = self._drawn.pop()
        except IndexError:
            chance = self._draw()
        return f"{(chance & _NO_VERSION) | _VERSION_4:032x}"

    def _draw(self) -> int:
        chance = os.urandom(16 * _DRAWN_AT_ONCE)
        first, *others = (
            int.from_bytes(chance[begin : begin + 16]) for begin in range(0, len(chance), 16)
        )
        self._drawn.extend(others)
        return first

    def jitter(self) -> float:
        """Give chance, from the same source as the ids."""
        return uuid.uuid4().int / (1 << 128)
