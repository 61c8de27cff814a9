"""One host for all samples, as the root of the repository starts it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.host_process import REPOSITORY, HostProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def samples_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the samples, so that running them leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copy(REPOSITORY / "host.json", folder)
    shutil.copytree(REPOSITORY / "samples", folder / "samples")
    return folder


@pytest.fixture(scope="session")
def witness(samples_folder: Path) -> Path:
    return samples_folder / "witness.jsonl"


@pytest.fixture(scope="session")
def host(samples_folder: Path, witness: Path) -> Iterator[HostProcess]:
    settings = {"WITNESS_LOG": str(witness), "SERVICE_TROUBLE_PERCENT": "0"}
    with HostProcess(samples_folder, samples_folder, settings=settings) as host:
        yield host
