"""Tables as a hub needs them: read through the client library, written by requests of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from azure.core.pipeline import AsyncPipeline
from azure.data.tables._policies import StorageHeadersPolicy
from azure.data.tables.aio import TableClient
from azure.data.tables.aio._authentication_async import (
    _configure_credential,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType] -- signs as the library does
)

from func_host.durable.backends.azure_storage.client_batch import (
    batch_request,
    read_batch_answer,
    read_write_answer,
    write_request,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Mapping, Sequence

    from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.pipeline.transport import AsyncHttpTransport
    from azure.core.rest import HttpRequest

    from func_host.durable.backends.azure_storage.client_batch import Operation

    StorageCredential: TypeAlias = (
        AzureNamedKeyCredential | AzureSasCredential | AsyncTokenCredential
    )

_USER_AGENT: Final = "func-host"


class ReadableTable(Protocol):
    """What is used of the client library, with the types that it does not say."""

    def create_table(self) -> Awaitable[object]:
        """Create the table."""
        ...

    def delete_table(self) -> Awaitable[None]:
        """Delete the table with all in it."""
        ...

    def list_entities(self, *, select: list[str] | None = None) -> AsyncIterable[Mapping[str, Any]]:
        """Read all rows."""
        ...

    def query_entities(
        self,
        query_filter: str,
        *,
        results_per_page: int | None = None,
        select: list[str] | None = None,
    ) -> AsyncIterable[Mapping[str, Any]]:
        """Read the rows that an OData filter lets through; an etag is in the `metadata` of each."""
        ...


class Table(ReadableTable, Protocol):
    """A table; raises what `azure.data.tables.aio.TableClient` raises."""

    async def write(self, operation: Operation) -> str:
        """Write a row; gives its etag, empty where it was deleted.

        Raises:
            ResourceExistsError: A row to insert is there.
            ResourceModifiedError: A row has another etag.
            ResourceNotFoundError: There is no such row, or no such table.
        """
        ...

    async def transact(self, operations: Sequence[Operation]) -> Sequence[str]:
        """Do up to 100 writes of one partition, or none of them; gives an etag for each.

        Raises:
            HttpResponseError: One of them is refused, as `write` would.
            ServiceResponseError: The answer is none; nobody knows what was done.
        """
        ...


class StorageTable:
    """A table of a storage account.

    Args:
        url: Where the account's tables are.
        name: Which of them.
        credential: Signs every request.
        transport: Sends every request.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        credential: StorageCredential,
        transport: AsyncHttpTransport[Any, Any],
    ) -> None:
        client = TableClient(url, name, credential=credential, transport=transport, retry_total=0)
        self._client: ReadableTable = client
        self._headers = {"User-Agent": _USER_AGENT, "x-ms-version": client.api_version}
        self._url = f"{url.rstrip('/')}/{name}"
        policies: list[Any] = [StorageHeadersPolicy(), _configure_credential(credential)]
        self._pipeline: AsyncPipeline[HttpRequest, Any] = AsyncPipeline(transport, policies)

    def create_table(self) -> Awaitable[object]:
        """Create the table."""
        return self._client.create_table()

    def delete_table(self) -> Awaitable[None]:
        """Delete the table with all in it."""
        return self._client.delete_table()

    def list_entities(self, *, select: list[str] | None = None) -> AsyncIterable[Mapping[str, Any]]:
        """Read all rows."""
        return self._client.list_entities(select=select)

    def query_entities(
        self,
        query_filter: str,
        *,
        results_per_page: int | None = None,
        select: list[str] | None = None,
    ) -> AsyncIterable[Mapping[str, Any]]:
        """Read the rows that an OData filter lets through."""
        return self._client.query_entities(
            query_filter, results_per_page=results_per_page, select=select
        )

    async def write(self, operation: Operation) -> str:
        """Write a row; gives its etag."""
        return read_write_answer(await self._send(write_request(self._url, operation)))

    async def transact(self, operations: Sequence[Operation]) -> Sequence[str]:
        """Do up to 100 writes of one partition, or none of them; gives their etags."""
        answer = await self._send(batch_request(self._url, operations))
        return read_batch_answer(answer, len(operations))

    async def _send(self, request: HttpRequest) -> Any:
        request.headers.update(self._headers)
        return (await self._pipeline.run(request)).http_response
