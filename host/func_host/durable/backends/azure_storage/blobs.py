"""Large values in the hub's container: put, read, and deleted with their instance."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContentSettings

from func_host.durable.backends.azure_storage.large import (
    CONTENT_TYPE,
    blob_prefixes,
    blob_url,
    compress,
    decompress,
    is_blob_of,
)

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.names import TaskHubNames


class LargeValues:
    """The blobs of one hub; the container is made with the first of them."""

    def __init__(self, clients: StorageClients, names: TaskHubNames) -> None:
        self.container_name = names.large_messages_container
        self._clients = clients

    async def put(self, name: str, text: str | bytes) -> None:
        """Store a text."""
        container = self._clients.container(self.container_name)
        content, settings = compress(text), ContentSettings(content_type=CONTENT_TYPE)
        try:
            await container.upload_blob(name, content, overwrite=True, content_settings=settings)
        except ResourceNotFoundError:
            with suppress(ResourceExistsError):  # another writer was quicker
                await container.create_container()
            await container.upload_blob(name, content, overwrite=True, content_settings=settings)

    async def get(self, name: str) -> bytes:
        """Read a text."""
        download = await self._clients.container(self.container_name).download_blob(name)
        return decompress(await download.readall())

    async def delete_of(self, instance_id: str) -> None:
        """Delete all blobs of an instance, and no others."""
        container = self._clients.container(self.container_name)
        try:
            for prefix in blob_prefixes(instance_id):
                async for name in container.list_blob_names(name_starts_with=prefix):
                    if is_blob_of(name, instance_id):
                        await self.delete(name)
        except ResourceNotFoundError:
            return  # no container: nothing was ever large

    def url(self, name: str) -> str:
        """Give the address of a blob, as it stands in a status row."""
        return blob_url(self._clients.container(self.container_name).url, name)

    async def delete(self, name: str) -> None:
        """Delete a text, if it is there."""
        try:
            await self._clients.container(self.container_name).delete_blob(name)
        except ResourceNotFoundError:
            return
