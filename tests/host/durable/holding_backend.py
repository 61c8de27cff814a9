"""A store that holds dead letters, and tells of them only while it is open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from func_bindings.durable.dead_letters import DeadLetter
from func_host.clock import SystemClock
from func_host.durable.backends.memory import MemoryBackend, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.durable.backend import BackendFeatures

LETTER = DeadLetter(
    id="hub-control-00/6f96",
    queue="hub-control-00",
    instance_id="one",
    reason="ValueError: no",
    attempts=5,
    since=datetime(2026, 8, 1, 12, tzinfo=UTC),
    text='{"Name": "ü"}',
)


class HoldingBackend(MemoryBackend):
    """A memory store with dead letters that the test puts there."""

    def __init__(self, *letters: DeadLetter) -> None:
        super().__init__(MemoryStore(), SystemClock())
        self.letters = {letter.id: letter for letter in letters}
        self.retried: list[str] = []

    @property
    def features(self) -> BackendFeatures:
        return replace(super().features, dead_letters=True)

    async def dead_letters(self) -> Sequence[DeadLetter]:
        self._check_open()
        return tuple(self.letters.values())

    async def retry_dead_letter(self, letter_id: str) -> bool:
        self.retried.append(letter_id)
        return await self.drop_dead_letter(letter_id)

    async def drop_dead_letter(self, letter_id: str) -> bool:
        self._check_open()
        return self.letters.pop(letter_id, None) is not None
