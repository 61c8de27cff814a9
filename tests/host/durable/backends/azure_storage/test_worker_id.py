"""A worker's id comes back after a restart and is never had by two at once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from func_host.durable.backend import BackendError
from func_host.durable.backends.azure_storage.worker_id import WorkerSlot

if TYPE_CHECKING:
    from pathlib import Path


def test_hosts_that_run_at_once_have_different_ids(tmp_path: Path) -> None:
    with ExitStack() as stack:
        ids = [stack.enter_context(WorkerSlot("Hub", folder=tmp_path)) for _ in range(3)]

    assert len(set(ids)) == 3


def test_a_restarted_host_has_the_id_of_the_one_before(tmp_path: Path) -> None:
    with WorkerSlot("Hub", folder=tmp_path) as first, WorkerSlot("Hub", folder=tmp_path):
        pass
    with WorkerSlot("hub", folder=tmp_path) as again:
        assert again == first


def test_an_id_begins_with_the_name_of_the_machine(tmp_path: Path) -> None:
    with WorkerSlot("Hub", folder=tmp_path, machine="Büro PC_1") as worker_id:
        assert worker_id.startswith("B-ro-PC-1-")


def test_machines_that_share_a_name_only_have_different_ids(tmp_path: Path) -> None:
    with (
        WorkerSlot("Hub", folder=tmp_path / "a", machine="m") as one,
        WorkerSlot("Hub", folder=tmp_path / "b", machine="m") as other,
    ):
        assert one != other


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")

    with (
        pytest.raises(BackendError, match="make it writable"),
        WorkerSlot("Hub", folder=blocked / "below"),
    ):
        pass
