"""What the tests on Azurite share: an emulator per module, and a connection to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from func_host.clock import SystemIds
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.names import TaskHubNames
from tests.azurite.emulator import Azurite
from tests.e2e.chance import Chance, seeded_chance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from func_host.durable.backends.azure_storage.connection import StorageConnection


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, so that nothing of it runs unasked."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.azurite)


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    """A fresh emulator, or the one that the environment names."""
    with Azurite() as emulator:
        yield emulator


@pytest.fixture
def chance() -> Chance:
    """Chance from a seed that a failing test shows."""
    return seeded_chance()


@pytest.fixture
def connection(azurite: Azurite) -> StorageConnection:
    """How to reach it."""
    return parse_connection_string(azurite.connection_string, setting="AzureWebJobsStorage")


@pytest.fixture
def names() -> TaskHubNames:
    """A hub that no other test has, on an emulator that others may have used before."""
    return TaskHubNames(f"Hub{SystemIds().new_id()[:12]}")
