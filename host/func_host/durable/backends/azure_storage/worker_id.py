"""The id of a worker: the machine's name and a slot that a file lock holds.

A host that is started again, however the one before it ended, gets the same slot and so the same
id, and takes the leases it still has at once. Two hosts that run at the same time never have the
same one: the slots of a machine lie in one folder, and a text drawn for that folder is part of the
id, so that users, containers and machines that only share a name have different ids.
"""

from __future__ import annotations

import platform
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from func_host.clock import SystemIds
from func_host.durable.backend import BackendError, StoreInUseError
from func_host.durable.backends.lock import StoreLock

if TYPE_CHECKING:
    from types import TracebackType

SLOTS_MAX: Final = 1000

_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9.-]+")
_NAME_LENGTH_MAX: Final = 60


class WorkerSlot:
    """A worker id, held from entering to leaving or to the end of the process.

    Args:
        hub: The task hub; each hub has its own slots.
        folder: Where the locks lie: on a local disk, the same for all hosts of this machine.
        machine: Name of the machine, if not its own.
    """

    def __init__(self, hub: str, *, folder: Path | None = None, machine: str | None = None) -> None:
        self._hub = hub.lower()
        self._folder = folder
        self._machine = machine or platform.node() or "host"
        self._lock: StoreLock | None = None

    def __enter__(self) -> str:
        """Take the first free slot and give the id.

        Raises:
            BackendError: No lock can be had.
        """
        folders = [self._folder] if self._folder else [_home_folder(), _temporary_folder()]
        for folder in folders[:-1]:
            try:
                return self._take(folder)
            except (OSError, BackendError):
                continue  # a home that cannot be written to, or whose locks do not work
        try:
            return self._take(folders[-1])
        except OSError as error:
            raise BackendError(
                f"The folder {folders[-1]} for the locks of this machine's hosts cannot be written "
                f"to ({error.strerror}): make it writable."
            ) from error

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free the slot."""
        if self._lock is not None:
            self._lock.release()

    def _take(self, folder: Path) -> str:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for slot in range(SLOTS_MAX):
            lock = StoreLock(folder / f"{self._hub}-{slot:02d}")
            try:
                lock.acquire()
            except StoreInUseError:
                continue
            self._lock = lock
            name = _UNUSUAL.sub("-", self._machine)[:_NAME_LENGTH_MAX]
            return f"{name}-{_identity(folder)}-{slot:02d}"
        raise BackendError(f"More than {SLOTS_MAX} hosts of this machine work on {self._hub}.")


def _identity(folder: Path) -> str:
    """Give the text that was drawn for the folder when it was first used."""
    path = folder / "machine"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            drawn = Path(scratch) / "machine"
            drawn.write_text(SystemIds().new_id()[:8], encoding="ascii")
            _move_unless_there(drawn, path)
    return path.read_text(encoding="ascii")


def _move_unless_there(source: Path, target: Path) -> None:
    """Put a file there whole, and leave what another host of this machine has put first."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        source.replace(target)


def _home_folder() -> Path:
    return Path.home() / ".func-host" / "workers"


def _temporary_folder() -> Path:
    return Path(tempfile.gettempdir()) / "func-host-workers"
