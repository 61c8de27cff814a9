"""Keeps what this host holds of its queues hidden from others.

It runs on the loop of the thread that renews leases, so that user code which blocks the main loop
does not let go of anything. What is in a partition that is not surely owned is not renewed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Final

from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS
from func_host.log import REASON

if TYPE_CHECKING:
    from collections.abc import Callable

    from func_host.clock import Clock
    from func_host.durable.backends.azure_storage.queues import MessageQueues
    from func_host.durable.backends.azure_storage.tickets import Ticket

_LOOK_S: Final = 2.0
_MARGIN: Final = 1 / 3
_MARGIN_MAX_S: Final = 20.0
_AT_ONCE: Final = 16
logger = logging.getLogger(__name__)


class TicketKeeper:
    """Renews tickets before they end; `hold` and `let_go` may be called from any thread.

    Args:
        owns: Whether a partition is surely owned at this moment.
        control_s: For how long a message of a control queue is hidden.
        work_item_s: For how long an activity is.
        clock: The machine's.
    """

    def __init__(
        self,
        owns: Callable[[int], bool],
        *,
        control_s: float,
        work_item_s: float,
        clock: Clock,
    ) -> None:
        self._owns = owns
        self._control_s = control_s
        self._work_item_s = work_item_s
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, Ticket] = {}

    def hold(self, ticket: Ticket) -> None:
        """Renew a ticket from now on."""
        with self._lock:
            self._held[ticket.queue_id] = ticket

    def let_go(self, ticket: Ticket) -> None:
        """Renew a ticket no more."""
        with self._lock:
            self._held.pop(ticket.queue_id, None)

    async def run(self, queues: MessageQueues) -> None:
        """Renew for as long as it runs, with clients of the loop that it runs on."""
        while True:
            await self._clock.sleep(_LOOK_S)
            await self.renew(queues)

    async def renew(self, queues: MessageQueues) -> None:
        """Renew what others would soon see."""
        now = self._clock.monotonic()
        with self._lock:
            ending = [ticket for ticket in self._held.values() if self._is_ending(ticket, now)]
        for first in range(0, len(ending), _AT_ONCE):
            some = ending[first : first + _AT_ONCE]
            await asyncio.gather(*(self._renew_one(queues, ticket) for ticket in some))

    def _is_ending(self, ticket: Ticket, now: float) -> bool:
        is_owned = ticket.partition is None or self._owns(ticket.partition)
        if not is_owned or now < ticket.due:
            return False
        margin_s = min(self._visibility_s(ticket) * _MARGIN, _MARGIN_MAX_S)
        return ticket.until <= now + margin_s + _LOOK_S

    def _visibility_s(self, ticket: Ticket) -> float:
        return self._work_item_s if ticket.partition is None else self._control_s

    async def _renew_one(self, queues: MessageQueues, ticket: Ticket) -> None:
        with self._lock:
            is_held = self._held.get(ticket.queue_id) is ticket
        if not is_held:  # it may be about to be deleted, which a new receipt would foil
            return
        try:
            is_kept = await queues.hide(ticket, invisible_s=self._visibility_s(ticket))
        except STORAGE_ERRORS as error:
            logger.warning("a message could not be kept hidden", extra={REASON: str(error)})
            return
        if not is_kept:
            self.let_go(ticket)
