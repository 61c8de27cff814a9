"""Async clients of a storage account: queues, tables and containers on one aiohttp session.

The client library is imported when the first object of this module is wanted: a host on SQLite
needs none of it. Clients belong to the event loop they were opened on.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from func_host.clock import SystemClock, SystemIds
from func_host.config.document import ConfigError
from func_host.durable.backends.azure_storage.client_tables import StorageTable
from func_host.durable.backends.azure_storage.client_transport import (
    RetrySettings,
    StorageTransport,
    proxy_for,
)
from func_host.durable.backends.azure_storage.connection import (
    Identity,
    SharedAccessSignature,
    SharedKey,
)
from func_host.durable.backends.azure_storage.request_count import RequestCounter, StorageService

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType

    from azure.core.credentials_async import AsyncTokenCredential

    from func_host.clock import Clock, IdSource
    from func_host.durable.backends.azure_storage.client_tables import Table
    from func_host.durable.backends.azure_storage.connection import StorageConnection

API_VERSION: Final = "2021-12-02"
"""Of queues and blobs: all that a hub needs, and old enough for any Azurite of these years."""

_KEEP_ALIVE_PLAIN_S: Final = 4.0
_KEEP_ALIVE_TLS_S: Final = 30.0
_CONNECTIONS_MAX: Final = 100


class StorageClients:
    """The clients of one account; an async context manager.

    Args:
        connection: Where the account is, and the credential.
        counter: Counts every request.
        retry: How often a request is repeated that failed in passing.
        clock: Where delays are slept.
        ids: Where chance comes from.
    """

    def __init__(
        self,
        connection: StorageConnection,
        *,
        counter: RequestCounter | None = None,
        retry: RetrySettings | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        self.connection = connection
        self.counter = counter or RequestCounter()
        self._retry = retry or RetrySettings()
        self._clock = clock or SystemClock()
        self._ids = ids or SystemIds()
        self._queue_clients: dict[str, QueueClient] = {}
        self._tables: dict[str, Table] = {}

    async def __aenter__(self) -> Self:
        """Open the session; no request is made.

        Raises:
            ConfigError: The credential needs a package that is not installed.
        """
        self._credential = _open_credential(self.connection)
        is_plain = self.connection.queue_url.startswith("http:")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS_MAX,
                # Below the five seconds after which an emulator closes what is idle.
                keepalive_timeout=_KEEP_ALIVE_PLAIN_S if is_plain else _KEEP_ALIVE_TLS_S,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        self._make_services()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the session and the credential."""
        self._queue_clients.clear()
        self._tables.clear()
        await self._session.close()
        if not isinstance(self._credential, AzureNamedKeyCredential | AzureSasCredential):
            await self._credential.close()

    def with_retry(self, retry: RetrySettings) -> StorageClients:
        """Give clients on the same open session that are more patient, or less; do not enter them.

        Args:
            retry: How often a request of theirs is repeated that failed in passing.
        """
        other = StorageClients(
            self.connection, counter=self.counter, retry=retry, clock=self._clock, ids=self._ids
        )
        other._session, other._credential = self._session, self._credential
        other._make_services()
        return other

    def queue(self, name: str) -> QueueClient:
        """Give the client of a queue; texts are put and read as they are."""
        client = self._queue_clients.get(name)
        if client is None:
            client = self._queue_clients[name] = self._queues.get_queue_client(name)
        return client

    def container(self, name: str) -> ContainerClient:
        """Give the client of a container of blobs."""
        return self._blobs.get_container_client(name)

    def table(self, name: str) -> Table:
        """Give the client of a table."""
        table = self._tables.get(name)
        if table is None:
            url = self.connection.table_url
            table = StorageTable(
                url,
                name,
                credential=self._credential,
                transport=self._transport(StorageService.TABLE, url),
            )
            self._tables[name] = table
        return table

    def _make_services(self) -> None:
        connection = self.connection
        queue_options = self._options(StorageService.QUEUE, connection.queue_url)
        self._queues = QueueServiceClient(
            connection.queue_url, api_version=API_VERSION, **queue_options
        )
        blob_options = self._options(StorageService.BLOB, connection.blob_url)
        self._blobs = BlobServiceClient(
            connection.blob_url, api_version=API_VERSION, **blob_options
        )

    def _options(self, service: StorageService, url: str) -> dict[str, Any]:
        transport = self._transport(service, url)
        return {"credential": self._credential, "transport": transport, "retry_total": 0}

    def _transport(self, service: StorageService, url: str) -> StorageTransport:
        return StorageTransport(
            service,
            self._session,
            counter=self.counter,
            retry=self._retry,
            clock=self._clock,
            ids=self._ids,
            proxy=proxy_for(url),
        )


def _open_credential(
    connection: StorageConnection,
) -> AzureNamedKeyCredential | AzureSasCredential | AsyncTokenCredential:
    match connection.credential:
        case SharedKey(account=account, key=key):
            return AzureNamedKeyCredential(account, key)
        case SharedAccessSignature(token=token):
            return AzureSasCredential(token)
        case Identity() as identity:
            return open_identity(identity, setting=connection.setting)


def open_identity(
    identity: Identity,
    *,
    setting: str,
    import_module: Callable[[str], ModuleType] = importlib.import_module,
) -> AsyncTokenCredential:
    """Make the credential of an identity.

    Raises:
        ConfigError: azure-identity is not installed.
    """
    try:
        library: Any = import_module("azure.identity.aio")
    except ImportError as error:
        raise ConfigError(
            f"{setting} uses an identity, which needs a package that is not installed: "
            'pip install "func-host[azure-identity]", or give a connection string.'
        ) from error
    credential: AsyncTokenCredential
    if identity.client_secret is not None:
        credential = library.ClientSecretCredential(
            identity.tenant_id, identity.client_id, identity.client_secret
        )
    elif identity.uses_managed_identity:
        credential = library.ManagedIdentityCredential(client_id=identity.client_id)
    elif identity.client_id is not None:
        credential = library.DefaultAzureCredential(managed_identity_client_id=identity.client_id)
    else:
        credential = library.DefaultAzureCredential()
    return credential
