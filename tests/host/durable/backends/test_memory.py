"""The memory store keeps the contract of every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from func_host.durable.backends import dispatch
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


class TestMemoryBackendAtItsLimits(BackendConformance):
    """The same with caches so small that nearly everything is read back."""

    @pytest.fixture
    def store(self, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch) -> StoreUnderTest:
        monkeypatch.setattr(dispatch, "CACHED_BYTES_MAX", 2 * dispatch.MESSAGE_OVERHEAD_BYTES)
        monkeypatch.setattr(dispatch, "PAGE_SIZE", 3)
        monkeypatch.setattr(dispatch, "RECOVERY_PAGE_SIZE", 2)
        monkeypatch.setattr(dispatch, "READY_MAX", 4)
        return _Memory(clock)
