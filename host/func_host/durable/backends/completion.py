"""Who waits for the end of an instance: woken by the commit that ends it, never by polling."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from func_host.durable.backend import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator


class Completions:
    """Those who wait, by instance."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._is_closed = False

    @contextmanager
    def watch(self, instance_id: str) -> Generator[asyncio.Event]:
        """Give an event that is set whenever the instance ends or goes away."""
        if self._is_closed:
            raise BackendUnavailableError("The store is closed.")
        event = asyncio.Event()
        watchers = self._waiting.setdefault(instance_id, [])
        watchers.append(event)
        try:
            yield event
        finally:
            watchers.remove(event)
            if not watchers and self._waiting.get(instance_id) is watchers:
                del self._waiting[instance_id]

    def ended(self, instance_id: str) -> None:
        """Wake those who wait for this instance: its end, or its removal, is durable."""
        for event in self._waiting.get(instance_id, ()):
            event.set()

    def close(self) -> None:
        """Wake everybody; who asks again gets an error."""
        self._is_closed = True
        self.look_again()

    def look_again(self) -> None:
        """Wake everybody: it may be somebody else now who knows."""
        for watchers in self._waiting.values():
            for event in watchers:
                event.set()
