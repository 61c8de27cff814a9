"""Opening files: new ones, old ones, newer ones, damaged ones and those of others."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_host.durable.backend import BackendError, HubSummary
from func_host.durable.backends.sqlite import SqliteBackend, summarize_store
from func_host.durable.backends.sqlite.opening import APPLICATION_ID, open_store
from func_host.durable.backends.sqlite.queries import MIGRATIONS
from func_host.durable.history import ExecutionStarted, OrchestrationInstance
from func_host.testing.clock import START, SimulatedClock

if TYPE_CHECKING:
    from pathlib import Path

FURTHER = "ALTER TABLE instances ADD COLUMN colour TEXT; CREATE TABLE colours (name TEXT);"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


def start(instance_id: str) -> ExecutionStarted:
    return ExecutionStarted(
        timestamp=START,
        orchestration_instance=OrchestrationInstance(instance_id, "first"),
        name="f",
    )


def fill(path: Path, instances: int) -> None:
    async def create() -> None:
        async with SqliteBackend(path, SimulatedClock()) as backend, asyncio.TaskGroup() as group:
            for number in range(instances):
                group.create_task(backend.create_instance(start(f"{number:05}")))

    asyncio.run(create())


def open_and_close(path: Path) -> None:
    async def open_it() -> None:
        async with SqliteBackend(path, SimulatedClock()):
            pass

    asyncio.run(open_it())


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchall()[0][0]


def test_a_new_store_is_durable_by_its_settings(path: Path) -> None:
    connections = open_store(path)
    assert pragma(connections.writer, "journal_mode") == "wal"
    assert pragma(connections.writer, "synchronous") == 2  # FULL
    assert pragma(connections.writer, "application_id") == APPLICATION_ID
    assert pragma(connections.writer, "user_version") == len(MIGRATIONS)
    assert pragma(connections.loop_reader, "query_only") == 1
    assert pragma(connections.thread_reader, "query_only") == 1
    connections.close()


def test_the_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "hub.db"
    fill(path, 1)
    assert path.exists()


def test_a_clean_stop_leaves_one_file_of_data(path: Path) -> None:
    fill(path, 1)
    assert sorted(file.name for file in path.parent.iterdir()) == ["hub.db", "hub.db.lock"]


def test_an_old_store_is_migrated_and_keeps_its_data(path: Path) -> None:
    fill(path, 3)
    connections = open_store(path, [*MIGRATIONS, FURTHER])
    assert pragma(connections.writer, "user_version") == len(MIGRATIONS) + 1
    rows = connections.writer.execute("SELECT instance_id, colour FROM instances").fetchall()
    assert rows == [("00000", None), ("00001", None), ("00002", None)]
    connections.close()


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    fill(path, 3)
    with pytest.raises(BackendError, match="no such table: nonsense"):
        open_store(path, [*MIGRATIONS, FURTHER, "INSERT INTO nonsense VALUES (1);"])

    connections = open_store(path)
    assert pragma(connections.writer, "user_version") == len(MIGRATIONS)
    names = {row[1] for row in connections.writer.execute("PRAGMA table_info(instances)")}
    assert "colour" not in names
    connections.close()


def test_a_newer_store_is_refused_and_left_alone(path: Path) -> None:
    open_store(path, [*MIGRATIONS, FURTHER]).close()
    before = path.read_bytes()
    with pytest.raises(BackendError, match="newer func-host") as refusal:
        open_store(path)
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"this is not a database at all" * 100, b"x"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(BackendError, match="not a database"):
        open_store(path)
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    open_store(path).close()
    assert summarize_store(path) == HubSummary(instances={})


def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE customers (name TEXT)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(BackendError, match="another program"):
        open_store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_damaged_store_is_refused_and_left_alone(path: Path, place: float) -> None:
    fill(path, 2000)
    content = bytearray(path.read_bytes())
    page = int(len(content) * place) // 4096 * 4096
    content[page : page + 4096] = b"\xa5" * 4096
    path.write_bytes(content)

    with pytest.raises(BackendError, match="damaged") as refusal:
        open_store(path)
    assert str(path) in str(refusal.value)
    assert path.read_bytes() == bytes(content)


def test_a_store_that_was_cut_off_is_refused_and_left_alone(path: Path) -> None:
    fill(path, 2000)
    content = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(content)
    with pytest.raises(BackendError, match="damaged"):
        open_store(path)
    assert path.read_bytes() == content


def test_a_refused_store_can_be_tried_again(path: Path) -> None:
    path.write_bytes(b"no database" * 100)
    with pytest.raises(BackendError):
        open_and_close(path)
    path.unlink()
    open_and_close(path)


def test_a_file_in_place_of_the_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(BackendError, match="folder cannot be made") as refusal:
        open_and_close(tmp_path / "folder" / "hub.db")
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="an administrator may write anywhere"
)
def test_a_read_only_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(BackendError, match="cannot be written to") as refusal:
            open_and_close(tmp_path / "hub.db")
    finally:
        tmp_path.chmod(0o700)
    assert "\n" not in str(refusal.value)


def test_a_store_can_be_counted_without_owning_it(path: Path) -> None:
    assert summarize_store(path) is None
    connections = open_store(path)
    assert summarize_store(path) == HubSummary(instances={})
    connections.close()
    fill(path, 2)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert summarize_store(path) == HubSummary(instances={Status.Pending: 2})
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_what_cannot_be_counted_says_so(path: Path) -> None:
    path.write_bytes(b"no database" * 100)
    with pytest.raises(BackendError, match="not a database"):
        summarize_store(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE customers (name TEXT)")
        other.commit()
    assert summarize_store(path) == HubSummary(instances={})
