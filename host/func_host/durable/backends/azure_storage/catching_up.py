"""What the tables say later than this host: they catch up within bounds, one for each kind.

A status that nobody waits for is written within a second. An activity that lasts long is put into
the work-item queue, held by this host, so that the history may say that it was scheduled.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from func_host.durable.backend import BackendError, Release
from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS
from func_host.log import REASON

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.hub import Hub

_LOOK_S: Final = 3.0
_AT_ONCE: Final = 16
logger = logging.getLogger(__name__)


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
                        if hot.is_misleading
                        or hot.record.runtime_status is not hot.row.runtime_status
                    }
                )

    async def flush(self) -> None:
        """Write all that is not written yet."""
        await self._write({one for one, _ in self._hub.known.dirty()})

    async def _write(self, instance_ids: set[str]) -> None:
        some = sorted(instance_ids)
        for first in range(0, len(some), _AT_ONCE):
            await asyncio.gather(*map(self._write_one, some[first : first + _AT_ONCE]))

    async def _write_one(self, instance_id: str) -> None:
        hub = self._hub
        async with hub.alone(instance_id):
            hot = hub.known_instance(instance_id)
            if hot is None or not hot.is_dirty:
                return
            try:
                await hub.write_status(instance_id, hot)
            except BackendError as error:
                logger.warning("a status could not be written", extra={REASON: str(error)})
            except STORAGE_ERRORS as error:
                logger.warning("a status could not be written", extra={REASON: str(error)})
                hub.has_unwritten.set()


class LongActivities:
    """Has activities that last long shown to other hosts."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def run(self) -> None:
        """Look for them again and again."""
        hub = self._hub
        while not hub.is_stopping:
            await hub.pause(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Ask the worker to show those that have gone on for long enough."""
        hub, now = self._hub, self._hub.pacing.monotonic()
        for instance_id in hub.known.withheld_before(now - hub.settings.carrying_after_s):
            hot = hub.known_instance(instance_id)
            if hot is not None and hub.ownership.serves(instance_id):
                hot.withheld_since = now  # once is enough, until it has lasted as long again
                hub.dispatcher.ask_release(instance_id, Release.ACTIVITIES)
