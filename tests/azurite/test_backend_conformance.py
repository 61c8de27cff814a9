"""The conformance suite on Azurite: all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from func_host.testing.conformance import BackendConformance, StoreUnderTest
from tests.azurite.store import AzuriteStore

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.testing.clock import SimulatedClock

pytestmark = pytest.mark.azurite


class TestOnAzurite(BackendConformance):
    """All of it."""

    @pytest.fixture
    def store(
        self, connection: StorageConnection, names: TaskHubNames, clock: SimulatedClock
    ) -> StoreUnderTest:
        """Give a new hub."""
        return AzuriteStore(connection, names, clock)
