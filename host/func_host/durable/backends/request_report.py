"""What a store asks of others, told in the log once a minute: what a hub costs while it runs."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from func_host import log

if TYPE_CHECKING:
    from func_host.clock import Clock
    from func_host.durable.backend import Backend

INTERVAL_S: Final = 60.0

logger = logging.getLogger(__name__)


class OperationCounts(dict[str, int]):
    """How often by operation; reads `GetMessages 3, PutMessage 9` in a line for people."""

    def __str__(self) -> str:
        """Write it as a list."""
        return ", ".join(f"{operation} {count}" for operation, count in self.items())


class RequestReport:
    """Logs how many requests the store has made since it last did, if there were any.

    Args:
        backend: The store; it may still be closed.
        clock: Time.
    """

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._told = Counter[str]()
        self._told_at_s = clock.monotonic()

    async def run(self) -> None:
        """Tell once a minute, until cancelled; done at once where nobody is asked.

        A store that could be opened without asking anybody never does.
        """
        while self._backend.request_counts():
            await self._clock.sleep(INTERVAL_S)
            self.tell()

    def tell(self) -> None:
        """Log what came since the last time, if anything did."""
        total = Counter[str]()
        for each in self._backend.request_counts():
            total[each.operation] += each.count
        fresh = OperationCounts(sorted((total - self._told).items()))
        if not fresh:
            return
        now_s = self._clock.monotonic()
        logger.info(
            "storage requests",
            extra={
                log.REQUESTS: sum(fresh.values()),
                log.DURATION_S: round(now_s - self._told_at_s),
                log.OPERATIONS: fresh,
            },
        )
        self._told, self._told_at_s = total, now_s
