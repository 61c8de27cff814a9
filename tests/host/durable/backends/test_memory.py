"""The memory store keeps the contract of every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from func_host.durable.backends.memory import MemoryBackend, MemoryStore
from func_host.testing.conformance import BackendConformance, StoreUnderTest

if TYPE_CHECKING:
    from func_host.testing.clock import SimulatedClock


class _Memory:
    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._store = MemoryStore()

    def connect(self) -> MemoryBackend:
        return MemoryBackend(self._store, self._clock)

    def crash(self) -> None:
        self._store.owner = None


class TestMemoryBackend(BackendConformance):
    @pytest.fixture
    def store(self, clock: SimulatedClock) -> StoreUnderTest:
        return _Memory(clock)
