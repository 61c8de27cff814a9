"""A store that lives as long as its process: for tests, the simulation and a first try.

`MemoryStore` is what survives and `MemoryBackend` one opened connection to it, so a restart is a
new backend on the same store.
"""

from func_host.durable.backends.memory.backend import MemoryBackend
from func_host.durable.backends.memory.store import MemoryStore

__all__ = ["MemoryBackend", "MemoryStore"]
