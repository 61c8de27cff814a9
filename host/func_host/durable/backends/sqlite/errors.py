"""What SQLite's errors mean to those who use the store."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from func_host.durable.backend import BackendError, BackendUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY_CODE = 0xFF


def primary_code(error: sqlite3.Error) -> int | None:
    """Give the primary result code of SQLite; None for an error of the Python module's own."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY_CODE


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another connection holds the write lock."""
    return primary_code(error) == sqlite3.SQLITE_BUSY


def damaged(path: Path, reason: object) -> BackendError:
    """Say that a file cannot be trusted; it is left as it is."""
    return BackendError(
        f"The store {path} is damaged ({reason}); it was left as it is. "
        "Restore it from a backup, or move it away to start with an empty one."
    )


def translate(error: sqlite3.Error, path: Path) -> BackendError:
    """Say what an error of a running store means: damage, or a fault that may pass."""
    if primary_code(error) in _DAMAGED:
        return damaged(path, error)
    return BackendUnavailableError(f"The store {path} could not be read or written: {error}.")
