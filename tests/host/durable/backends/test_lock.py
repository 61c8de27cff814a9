"""A store has one owner, whoever it is and however it ends."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import pytest

from func_host.durable.backend import BackendError, StoreInUseError
from func_host.durable.backends import lock as lock_module
from func_host.durable.backends.lock import StoreLock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


def test_a_second_owner_is_refused_in_one_line(store: Path) -> None:
    lock = StoreLock(store)
    lock.acquire()
    with pytest.raises(StoreInUseError) as refusal:
        StoreLock(store).acquire()
    message = str(refusal.value)
    assert str(store) in message
    assert "\n" not in message
    assert sys.platform == "win32" or f"process {os.getpid()}" in message

    lock.release()
    lock.release()
    second = StoreLock(store)
    second.acquire()
    second.release()


def test_a_lock_file_that_is_left_behind_means_nothing(store: Path) -> None:
    store.with_name("hub.db.lock").write_text("not a process id")
    lock = StoreLock(store)
    lock.acquire()
    assert store.with_name("hub.db.lock").read_text() == str(os.getpid())
    lock.release()


def test_a_refusal_needs_no_process_id(store: Path) -> None:
    lock = StoreLock(store)
    lock.acquire()
    store.with_name("hub.db.lock").write_text("")
    with pytest.raises(StoreInUseError, match="in use by another host:"):
        StoreLock(store).acquire()
    lock.release()


def test_a_folder_that_is_not_there_is_refused_in_one_line(store: Path) -> None:
    with pytest.raises(BackendError, match="cannot be written to") as refusal:
        StoreLock(store.parent / "missing" / "hub.db").acquire()
    assert "\n" not in str(refusal.value)


def test_locks_that_fail_are_refused_in_one_line(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_supported(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, f"No locks available for {descriptor}")

    monkeypatch.setattr(lock_module, "_try_lock", not_supported)
    with pytest.raises(BackendError, match="locks do not work") as refusal:
        StoreLock(store).acquire()
    assert not isinstance(refusal.value, StoreInUseError)
    assert "\n" not in str(refusal.value)


def test_locks_that_lock_nothing_are_refused(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def always(descriptor: int) -> None:
        assert descriptor > 0

    monkeypatch.setattr(lock_module, "_try_lock", always)
    with pytest.raises(BackendError, match="could be locked twice"):
        StoreLock(store).acquire()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_does_not_keep_the_lock(store: Path) -> None:
    lock = StoreLock(store)
    lock.acquire()
    ready, release = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(release[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    with pytest.raises(StoreInUseError):
        StoreLock(store).acquire()

    lock.release()
    second = StoreLock(store)
    second.acquire()
    second.release()
    os.write(release[1], b"x")
    os.waitpid(child, 0)
    for descriptor in (*ready, *release):
        os.close(descriptor)
