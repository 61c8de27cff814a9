"""Opening a database file: whose it is, which version, whether it is whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import BackendError, HubSummary
from func_host.durable.backends.sqlite.errors import damaged, primary_code
from func_host.durable.backends.sqlite.queries import MIGRATIONS, SQL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

APPLICATION_ID = 0x46_48_44_42  # "FHDB": tells our files from other databases
BUSY_TIMEOUT_S = 5.0
CHECKED_BYTES_MAX = 32 * 1024 * 1024
"""A file up to this size is checked whole at every start (a few hundred milliseconds at most)."""
CACHED_STATEMENTS = 256
_HEADER = b"SQLite format 3\x00"
_WRITER_PRAGMAS = (
    "synchronous = FULL",
    "cache_size = -16384",
    "journal_size_limit = 67108864",
    "wal_autocheckpoint = 4000",
)
_READER_PRAGMAS = ("query_only = ON", "cache_size = -8192")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """What a store works with: one that writes, one that reads on the loop, one in a thread."""

    writer: sqlite3.Connection
    loop_reader: sqlite3.Connection
    thread_reader: sqlite3.Connection

    def close(self) -> None:
        """Close all, the writer last: it moves the log into the file and removes it."""
        self.loop_reader.close()
        self.thread_reader.close()
        self.writer.close()


def open_store(path: Path, migrations: Sequence[str] = MIGRATIONS) -> Connections:
    """Open, check and migrate a store, which the caller owns.

    Raises:
        BackendError: The file is damaged, newer than this program or no store of ours, or its
            folder cannot hold one. It has not been changed.
    """
    _check_header(path)
    try:
        writer = _connect(path)
        try:
            _check_identity(writer, path, len(migrations))
            _check_whole(writer, path)
            _begin_log(writer, path)
            migrate(writer, migrations)
            _set(writer, _WRITER_PRAGMAS)
            writer.execute("PRAGMA busy_timeout = 0").close()
            return Connections(
                writer=writer,
                loop_reader=_connect_reader(path),
                thread_reader=_connect_reader(path),
            )
        except BaseException:
            writer.close()
            raise
    except sqlite3.Error as error:
        raise _cannot_open(path, error) from error


def migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Bring the schema to the last version in one transaction."""
    version = _pragma(connection, "user_version")
    if version == len(migrations):
        return
    script = "\n".join(migrations[version:])
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\n"
            f"PRAGMA application_id = {APPLICATION_ID};\n"
            f"PRAGMA user_version = {len(migrations)};\nCOMMIT;"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK").close()
        raise


def summarize_store(path: Path) -> HubSummary | None:
    """Count the instances of a store without owning or changing it; None where there is no file.

    Raises:
        BackendError: The file cannot be read as a store.
    """
    if not path.exists():
        return None
    try:
        with closing(_connect_without_writing(path)) as connection:
            if _pragma(connection, "application_id") != APPLICATION_ID:
                return HubSummary(instances={})
            rows = connection.execute(SQL["summary"]).fetchall()
    except sqlite3.Error as error:
        raise _cannot_open(path, error) from error
    return decode_summary(rows[0][0])


def decode_summary(text: str) -> HubSummary:
    """Read what the query `summary` gives."""
    counts = msgspec.json.decode(text, type=list[tuple[OrchestrationRuntimeStatus, int]])
    return HubSummary(instances=dict(counts))


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )


def _connect_reader(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    _set(connection, _READER_PRAGMAS)
    return connection


def _connect_without_writing(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    has_log = path.with_name(path.name + "-wal").exists()
    return sqlite3.connect(f"{uri}?{'mode=ro' if has_log else 'immutable=1'}", uri=True)


def _check_header(path: Path) -> None:
    """Refuse what SQLite might take for an empty database and overwrite: a very short file."""
    try:
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
    except FileNotFoundError:
        return
    except OSError as error:
        raise BackendError(f"The store {path} cannot be opened: {error.strerror}.") from error
    if header not in {b"", _HEADER}:
        raise _not_a_database(path)


def _not_a_database(path: Path) -> BackendError:
    return BackendError(
        f"{path} is not a database; it was left as it is: choose another file (--storage)."
    )


def _check_identity(connection: sqlite3.Connection, path: Path, newest: int) -> None:
    is_empty = not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    if is_empty:
        return
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise BackendError(
            f"{path} is a database of another program, not a store of func-host: "
            "choose another file (--storage)."
        )
    version = _pragma(connection, "user_version")
    if version > newest:
        raise BackendError(
            f"The store {path} was written by a newer func-host (its schema is version {version}, "
            f"this one knows {newest}): upgrade func-host, or choose another store (--storage)."
        )


def _check_whole(connection: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size > CHECKED_BYTES_MAX:
        return
    rows = connection.execute("PRAGMA quick_check(1)").fetchall()
    if rows != [("ok",)]:
        raise damaged(path, " ".join(rows[0][0].split()))


def _begin_log(connection: sqlite3.Connection, path: Path) -> None:
    rows = connection.execute("PRAGMA journal_mode = WAL").fetchall()
    if rows != [("wal",)]:
        raise BackendError(
            f"The store {path} cannot be opened: its file system cannot hold a write-ahead log. "
            "Choose a folder on a local disk (--storage)."
        )


def _set(connection: sqlite3.Connection, pragmas: Sequence[str]) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}").close()


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchall()[0][0])


def _cannot_open(path: Path, error: sqlite3.Error) -> BackendError:
    if primary_code(error) == sqlite3.SQLITE_NOTADB:
        return _not_a_database(path)
    if primary_code(error) == sqlite3.SQLITE_CORRUPT:
        return damaged(path, error)
    return BackendError(f"The store {path} cannot be opened: {error}.")
