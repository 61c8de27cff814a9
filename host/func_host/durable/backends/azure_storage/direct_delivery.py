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


class DirectDelivery:
    """Who waits for which message to be consumed."""

    def __init__(self) -> None:
        self._idle_workers = 0
        self._waiting: dict[MessageId, asyncio.Event] = {}
        self._consumed: set[MessageId] = set()
        self._is_closed = False

    @property
    def is_possible(self) -> bool:
        """Tell whether a worker would take a message up at once."""
        return self._idle_workers > 0 and not self._is_closed

    @contextmanager
    def idle_worker(self) -> Generator[None]:
        """Count a worker that waits for work."""
        self._idle_workers += 1
        try:
            yield
        finally:
            self._idle_workers -= 1

    async def is_consumed(self, message_id: MessageId) -> bool:
        """Wait until a commit has consumed a message, for a moment; tell whether one has."""
        event = self._waiting[message_id] = asyncio.Event()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            del self._waiting[message_id]
        is_consumed = message_id in self._consumed
        self._consumed.discard(message_id)
        return is_consumed

    def consumed(self, message_ids: Iterable[MessageId]) -> None:
        """Note that a commit has consumed these messages."""
        for message_id in message_ids:
            event = self._waiting.get(message_id)
            if event is not None:
                self._consumed.add(message_id)
                event.set()

    def close(self) -> None:
        """Let nobody wait any more."""
        self._is_closed = True
        for event in self._waiting.values():
            event.set()
