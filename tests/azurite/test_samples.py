"""Every sample does on Azurite what it does on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.azurite.hosts import on_azurite
from tests.samples.conftest import samples_folder, witness
from tests.samples.test_entity_samples import *  # noqa: F403 -- likewise
from tests.samples.test_samples import *  # noqa: F403 -- all of them, those to come as well

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.azurite.emulator import Azurite
    from tests.e2e.host_process import HostProcess

__all__ = ["samples_folder", "witness"]


@pytest.fixture(scope="module")
def host(azurite: Azurite, samples_folder: Path, witness: Path) -> Iterator[HostProcess]:
    settings = {"WITNESS_LOG": str(witness), "SERVICE_TROUBLE_PERCENT": "0"}
    with on_azurite(azurite, samples_folder, samples_folder, settings=settings) as host:
        yield host
