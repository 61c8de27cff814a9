"""A memory store that says it has asked a service, as the test wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from func_host.durable.backend import RequestCount
from func_host.durable.backends.memory import MemoryBackend, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from func_host.clock import Clock


class AskingBackend(MemoryBackend):
    """Asks for `Open` when it is opened and for `Close` when it is closed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(MemoryStore(), clock)
        self._asked: dict[tuple[str, str, int], int] = {}

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.ask("Open")
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await super().__aexit__(error_type, error, traceback)
        self.ask("Close")

    def ask(self, operation: str, times: int = 1, *, status: int = 200) -> None:
        """Count so many requests."""
        kind = ("queue", operation, status)
        self._asked[kind] = self._asked.get(kind, 0) + times

    def request_counts(self) -> Sequence[RequestCount]:
        return tuple(
            RequestCount(service=service, operation=operation, status=status, count=count)
            for (service, operation, status), count in self._asked.items()
        )
