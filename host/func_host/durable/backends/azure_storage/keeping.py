"""The background: what is held is kept, and statuses that could wait are written."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.hub import Hub

_LOOK_S: Final = 2.0
_MARGIN: Final = 1 / 3
_AT_ONCE: Final = 16
logger = logging.getLogger(__name__)


class Keeper:
    """Renews tickets before they end."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def run(self) -> None:
        """Renew for as long as it runs."""
        hub = self._hub
        while not hub.is_stopping:
            await hub.pause(self._pause_s())
            if not hub.is_stopping:
                await self.renew()

    def _pause_s(self) -> float:
        """Give how long nothing can be due: new tickets last for a while, too."""
        hub = self._hub
        now = hub.clock.monotonic()
        shortest = min(_LOOK_S * 2, hub.settings.visibility_s * _MARGIN)
        first = min((ticket.until for ticket in hub.inbox.tickets()), default=now + 60.0)
        return max(shortest, first - self._margin_s - now)

    @property
    def _margin_s(self) -> float:
        return min(self._hub.settings.visibility_s * _MARGIN, 8.0)

    async def renew(self) -> None:
        """Renew what would soon be seen by others."""
        hub = self._hub
        until = hub.clock.monotonic() + self._margin_s + _LOOK_S
        ending = [ticket for ticket in hub.inbox.tickets() if ticket.until <= until]
        for first in range(0, len(ending), _AT_ONCE):
            some = ending[first : first + _AT_ONCE]
            renewed = await asyncio.gather(
                *(hub.queues.hide(one, invisible_s=hub.settings.visibility_s) for one in some),
                return_exceptions=True,
            )
            for ticket in renewed:
                if isinstance(ticket, STORAGE_ERRORS):
                    logger.warning("a claim could not be renewed: %s", ticket)
                elif ticket is not None and not isinstance(ticket, BaseException):
                    hub.inbox.renew(ticket)


class StatusWriter:
    """Writes the status of instances that go on for longer."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def run(self) -> None:
        """Write what differs for long enough to be worth a request."""
        hub = self._hub
        while not hub.is_stopping:
            await hub.has_unwritten.wait()
            hub.has_unwritten.clear()
            await hub.pause(hub.settings.status_delay_s)
            if not hub.is_stopping:
                await self._write(
                    {
                        one
                        for one, hot in hub.known.dirty()
                        if hot.record.runtime_status is not hot.row.runtime_status
                    }
                )

    async def flush(self) -> None:
        """Write all that is not written yet."""
        await self._write({one for one, _ in self._hub.known.dirty()})

    async def _write(self, instance_ids: set[str]) -> None:
        hub = self._hub
        for instance_id in instance_ids:
            async with hub.alone(instance_id):
                hot = hub.known.get(instance_id, hub.clock.monotonic())
                if hot is None or not hot.is_dirty:
                    continue
                try:
                    await hub.write_status(instance_id, hot)
                except STORAGE_ERRORS as error:
                    logger.warning("a status could not be written: %s", error)
