"""One hub on Azurite as the conformance suite needs it.

A crashed host's messages stay hidden for a minute of real time. The suite's clock stands still, so
the store under test lets that minute pass: the next backend first makes visible what the crashed
one held.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from azure.core.exceptions import HttpResponseError

from func_host.clock import SystemIds
from func_host.durable.backends.azure_storage.backend import AzureStorageBackend
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.hub import HubSettings

if TYPE_CHECKING:
    from func_host.durable.backend import Backend
    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.tickets import Ticket
    from func_host.testing.clock import SimulatedClock


class _NextBackend(AzureStorageBackend):
    """A backend that opens after what its predecessor held has become visible."""

    before: AzureStorageBackend | None = None
    hub: TaskHubNames

    async def __aenter__(self) -> Self:
        before, self.before = self.before, None
        if before is not None:
            tickets = await before.aborted()
            async with StorageClients(self.connection) as clients:
                for first in range(0, len(tickets), 16):
                    some = tickets[first : first + 16]
                    await asyncio.gather(*(self._show(clients, ticket) for ticket in some))
        return await super().__aenter__()

    async def _show(self, clients: StorageClients, ticket: Ticket) -> None:
        assert ticket.partition is not None
        queue = clients.queue(self.hub.control_queue(ticket.partition))
        with suppress(HttpResponseError):  # deleted, while the crash was on its way
            await queue.update_message(ticket.queue_id, ticket.receipt, visibility_timeout=0)


class AzuriteStore:
    """One hub on Azurite."""

    def __init__(
        self, connection: StorageConnection, names: TaskHubNames, clock: SimulatedClock
    ) -> None:
        self._connection = connection
        self._names = names
        self._clock = clock
        self._backend: AzureStorageBackend | None = None
        self._crashed: AzureStorageBackend | None = None

    def connect(self) -> Backend:
        """Give a new backend."""
        clients = StorageClients(self._connection)
        settings = HubSettings(settling_s=0)  # as what is hidden shows up, so does time pass
        backend = _NextBackend(clients, self._names, self._clock, SystemIds(), settings)
        backend.hub = self._names
        backend.before, self._crashed = self._crashed, None
        self._backend = backend
        return backend

    def crash(self) -> None:
        """Stop the backend at once."""
        assert self._backend is not None
        self._backend.abort()
        self._crashed = self._backend
