"""Frees entities whose lock belongs to an orchestration that is gone.

An orchestration gives its locks back when it ends, in whatever way. Only one that was deleted or
replaced from outside cannot: so the owner of a lock that has been held for a while is looked at
from time to time.
"""

from __future__ import annotations

import asyncio
import logging
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from func_host import log
from func_host.durable.backend import BackendError
from func_host.durable.engine.entities.scheduler import forced_release, is_orphaned

if TYPE_CHECKING:
    from func_host.clock import Clock
    from func_host.durable.backend import Backend
    from func_host.durable.engine.entities.scheduler import SchedulerState
    from func_host.durable.worker.entity_session import EntitySession

LOOK_EVERY_S: Final = 30.0
"""How often the owner of a lock is looked at; the first time after as long."""

logger = logging.getLogger(__name__)


class LockWatch:
    """Knows which entities of this process are locked.

    Args:
        backend: Where owners and entities are.
        clock: Gives the time.
    """

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._locked: dict[str, _Held] = {}
        self._has_locked = asyncio.Event()

    def note(self, session: EntitySession) -> None:
        """Take notice of whether an entity is locked, and by whom, once that is committed."""
        lock = session.lock
        known = self._locked.get(session.instance_id)
        if lock is None:
            self._locked.pop(session.instance_id, None)
        elif known is None or lock.lock_id != known.lock.lock_id:
            self._locked[session.instance_id] = _Held(copy(lock), self._clock.monotonic())
            self._has_locked.set()

    def forget(self, entity: str) -> None:
        """Look at an entity no more: it is loaded anew before it goes on."""
        self._locked.pop(entity, None)

    async def run(self) -> None:
        """Look at the owners until cancelled."""
        while True:
            while not self._locked:
                self._has_locked.clear()
                await self._has_locked.wait()
            await self._clock.sleep(LOOK_EVERY_S)
            held_since = self._clock.monotonic() - LOOK_EVERY_S
            for entity, held in list(self._locked.items()):
                if held.since <= held_since:
                    await self._look(entity, held)

    async def _look(self, entity: str, held: _Held) -> None:
        owner_id = held.lock.locked_by or ""
        try:
            owner = await self._backend.get_instance(owner_id, fetch_input=False)
            if not is_orphaned(held.lock, owner):
                return
            await self._backend.send_message(entity, forced_release(held.lock, self._clock.now()))
        except BackendError as error:
            logger.info("the owner of a lock cannot be looked at", extra={log.REASON: str(error)})
            return
        self._locked.pop(entity, None)
        fields = {log.INSTANCE_ID: entity, log.REASON: f"'{owner_id}' is gone"}
        logger.warning("a lock without owner is released", extra=fields)


@dataclass(frozen=True, slots=True)
class _Held:
    """A lock as it was granted, and since when this process has known that."""

    lock: SchedulerState
    since: float
