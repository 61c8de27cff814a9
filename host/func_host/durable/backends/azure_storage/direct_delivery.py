"""Messages from this process to an instance that waits in it: no queue, one transaction.

The caller is the carrier: the call returns when the step that took the message in is stored. Where
that takes too long, or nobody waits for work, the message goes to its queue after all.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from func_host.durable.backend import MessageId

PATIENCE_S: Final = 0.25

ENTITY_PATIENCE_S: Final = 1.0
"""The same for entities: what arrives while a batch runs shares the next one."""

_IDLE_SOON_S: Final = 0.02


class DirectDelivery:
    """Who waits for which message to be consumed."""

    def __init__(self) -> None:
        self._idle_workers = 0
        self._has_idle = asyncio.Event()
        self._waiting: dict[MessageId, list[asyncio.Event]] = {}
        self._consumed: set[MessageId] = set()
        self._is_closed = False

    @property
    def is_possible(self) -> bool:
        """Tell whether a worker would take a message up at once."""
        return self._idle_workers > 0 and not self._is_closed

    async def is_possible_soon(self) -> bool:
        """Tell the same, or whether a worker that has just taken something up is back in a moment.

        Operations that arrive together must not go different ways for that.
        """
        if not self.is_possible and not self._is_closed:
            try:
                async with asyncio.timeout(_IDLE_SOON_S):
                    await self._has_idle.wait()
            except TimeoutError:
                return False
        return self.is_possible

    @contextmanager
    def idle_worker(self) -> Generator[None]:
        """Count a worker that waits for work."""
        self._idle_workers += 1
        self._has_idle.set()
        try:
            yield
        finally:
            self._idle_workers -= 1
            if not self._idle_workers:
                self._has_idle.clear()

    async def is_consumed(self, message_id: MessageId, patience_s: float = PATIENCE_S) -> bool:
        """Wait until a commit has consumed a message, for a moment; tell whether one has."""
        event = asyncio.Event()
        self._waiting.setdefault(message_id, []).append(event)
        try:
            async with asyncio.timeout(patience_s):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            is_consumed = message_id in self._consumed
            self._waiting[message_id].remove(event)
            if not self._waiting[message_id]:
                del self._waiting[message_id]
                self._consumed.discard(message_id)
        return is_consumed

    def consumed(self, message_ids: Iterable[MessageId]) -> None:
        """Note that a commit has consumed these messages."""
        for message_id in message_ids:
            if message_id in self._waiting:
                self._consumed.add(message_id)
                self._wake(message_id)

    def _wake(self, message_id: MessageId) -> None:
        for event in self._waiting[message_id]:
            event.set()

    def close(self) -> None:
        """Let nobody wait any more."""
        self._is_closed = True
        for message_id in self._waiting:
            self._wake(message_id)
