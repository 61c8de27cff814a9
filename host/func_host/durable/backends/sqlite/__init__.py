"""The default store: one SQLite file that one process owns."""

from func_host.durable.backends.sqlite.backend import SqliteBackend
from func_host.durable.backends.sqlite.opening import summarize_store

__all__ = ["SqliteBackend", "summarize_store"]
