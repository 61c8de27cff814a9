"""The SQLite store keeps the contract of every store."""

from __future__ import annotations

import shutil
from itertools import count
from typing import TYPE_CHECKING

import pytest

from func_host.durable.backends import dispatch
from func_host.durable.backends.sqlite import (
    SqliteBackend,
    backend,
    operations,
    reader,
    transaction,
)
from func_host.testing.conformance import BackendConformance, StoreUnderTest

if TYPE_CHECKING:
    from pathlib import Path

    from func_host.testing.clock import SimulatedClock


class _Sqlite:
    """Crashes by going on with a copy of the files as they are: what a killed process leaves."""

    def __init__(self, folder: Path, clock: SimulatedClock) -> None:
        self._folder = folder
        self._clock = clock
        self._copies = count(1)
        self._path = folder / "0" / "hub.db"

    def connect(self) -> SqliteBackend:
        return SqliteBackend(self._path, self._clock)

    def crash(self) -> None:
        left = self._folder / str(next(self._copies)) / "hub.db"
        left.parent.mkdir()
        for suffix in ("", "-wal"):
            file = self._path.with_name(f"hub.db{suffix}")
            shutil.copy(file, left.with_name(f"hub.db{suffix}"))
        self._path = left


class TestSqliteBackend(BackendConformance):
    @pytest.fixture
    def store(self, tmp_path: Path, clock: SimulatedClock) -> StoreUnderTest:
        return _Sqlite(tmp_path, clock)


class TestSqliteBackendAtItsLimits(BackendConformance):
    """The same with limits so small that nearly everything goes through the thread, in bulk."""

    @pytest.fixture
    def store(
        self, tmp_path: Path, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
    ) -> StoreUnderTest:
        for module, name, limit in (
            (dispatch, "CACHED_BYTES_MAX", 2 * dispatch.MESSAGE_OVERHEAD_BYTES),
            (dispatch, "PAGE_SIZE", 3),
            (dispatch, "RECOVERY_PAGE_SIZE", 2),
            (dispatch, "READY_MAX", 4),
            (transaction, "FEW_ROWS_MAX", 0),
            (operations, "LIGHT_SIZE_MAX", 0),
            (reader, "LOOP_TEXT_MAX", 0),
            (reader, "LOOP_HISTORY_MAX", 0),
            (reader, "HISTORY_CHUNK", 2),
            (backend, "PURGED_INSTANCES_MAX", 3),
            (backend, "PURGED_EVENTS_MAX", 5),
        ):
            monkeypatch.setattr(module, name, limit)
        return _Sqlite(tmp_path, clock)
