"""Who owns a store: a lock of the operating system on a file beside it.

The system itself gives the lock back when its owner dies, however it dies, so a lock file that is
left behind means nothing. The file holds the owner's process id, for the message alone. A file
system whose locks do not work shows when the file can be locked twice.
"""

from __future__ import annotations

import errno
import os
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from func_host.durable.backend import BackendError, StoreInUseError

if TYPE_CHECKING:
    from pathlib import Path

_LOCKED_BYTE = 1 << 30  # beyond the process id: on Windows nobody else can read a locked byte
_HELD_BY_ANOTHER = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}
_PROCESS_ID_BYTES_MAX = 20

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class StoreLock:
    """Ownership of one store, held from `acquire` until `release` or the end of the process.

    Args:
        store: The database file; the lock is `{store}.lock`.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._path = store.with_name(store.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or fail at once.

        Raises:
            StoreInUseError: Somebody has it, maybe this process.
            BackendError: The folder cannot be written to, or its locks do not work.
        """
        descriptor = self._open()
        try:
            self._lock(descriptor)
            self._prove_that_locks_work()
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, str(os.getpid()).encode())
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        if hasattr(os, "register_at_fork"):
            # A forked worker of the app must not keep the lock when its parent is killed.
            os.register_at_fork(after_in_child=_ReleaseInChild(self))

    def release(self) -> None:
        """Give the lock back; the file stays, because removing it could remove another's lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise BackendError(
                f"The store {self._store} cannot be opened: its folder cannot be written to "
                f"({error.strerror}). Make it writable or choose another one (--storage)."
            ) from error

    def _lock(self, descriptor: int) -> None:
        try:
            _try_lock(descriptor)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                raise StoreInUseError(
                    f"The store {self._store} is in use by another host{self._owner(descriptor)}: "
                    "stop that one first, or choose another store (--storage)."
                ) from error
            raise self._locks_do_not_work(error.strerror) from error

    def _prove_that_locks_work(self) -> None:
        second = self._open()
        try:
            _try_lock(second)
        except OSError:
            return
        finally:
            os.close(second)
        raise self._locks_do_not_work("the same file could be locked twice")

    def _locks_do_not_work(self, reason: str | None) -> BackendError:
        return BackendError(
            f"The store {self._store} cannot be opened: file locks do not work in its folder "
            f"({reason}). Choose a folder on a local disk (--storage)."
        )

    @staticmethod
    def _owner(descriptor: int) -> str:
        with suppress(OSError, ValueError):
            os.lseek(descriptor, 0, os.SEEK_SET)
            return f" (process {int(os.read(descriptor, _PROCESS_ID_BYTES_MAX))})"
        return ""


class _ReleaseInChild:
    """Closes a lock's file in a forked child, which does not unlock it for the parent."""

    def __init__(self, lock: StoreLock) -> None:
        self._lock = weakref.ref(lock)

    def __call__(self) -> None:
        lock = self._lock()
        if lock is not None:
            lock.release()
