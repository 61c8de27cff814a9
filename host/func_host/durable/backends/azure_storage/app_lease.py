"""The app lease: one app per hub, held as a lease on the hub's container `…-applease`.

All workers of an app use the same lease id, made of its name, so each of them takes and renews the
same lease, and a worker of another app is refused. Therefore a worker that stops does not release
it: that would take it from the others. As `DurableTask.AzureStorage` does.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob.aio import BlobLeaseClient

from func_host.durable.backends.azure_storage.partitions import app_lease_id

if TYPE_CHECKING:
    from func_host.clock import Clock
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.names import TaskHubNames

_HELD_BY_ANOTHER: Final = frozenset({409, 412})


@dataclass(frozen=True, slots=True, kw_only=True)
class AppLeaseSettings:
    """`appLeaseOptions`."""

    lease_s: int = 60
    renew_s: float = 25.0
    acquire_s: float = 300.0


class AppLease:
    """The right of an app to work on a hub."""

    def __init__(
        self,
        clients: StorageClients,
        names: TaskHubNames,
        *,
        app_name: str,
        settings: AppLeaseSettings,
        clock: Clock,
    ) -> None:
        self._container = clients.container(names.app_lease_container)
        self._blob = self._container.get_blob_client(names.app_lease_blob)
        self._id = app_lease_id(app_name)
        self._settings = settings
        self._clock = clock
        self._deadline = float("-inf")

    @property
    def is_held(self) -> bool:
        """Whether the hub surely belongs to this app at this moment."""
        return self._clock.monotonic() < self._deadline

    async def create(self) -> None:
        """Make the container and its blob, if they are not there."""
        with contextlib.suppress(ResourceExistsError):
            await self._container.create_container()
        with contextlib.suppress(ResourceExistsError):
            await self._blob.upload_blob(b"{}")

    async def acquire(self) -> bool:
        """Take the lease, or what another worker of this app holds; False where another app has it.

        Where this app was told to take the hub over (`DesiredSwapId`), it does.
        """
        started = self._clock.monotonic()
        owner = await self._read_owner()
        try:
            if owner.get("DesiredSwapId") == self._id and owner.get("OwnerId"):
                await self._lease(str(owner["OwnerId"])).change(self._id)
            else:
                await self._lease(self._id).acquire(lease_duration=self._settings.lease_s)
        except HttpResponseError as error:
            if error.status_code in _HELD_BY_ANOTHER:
                return False
            raise
        mine = {"OwnerId": self._id, "DesiredSwapId": None}
        if owner != mine:
            content = json.dumps(mine, separators=(",", ":")).encode()
            await self._blob.upload_blob(content, overwrite=True)
        self._deadline = started + self._settings.lease_s
        return True

    async def renew(self) -> bool:
        """Hold the lease for longer; False where it is lost."""
        started = self._clock.monotonic()
        try:
            await self._lease(self._id).renew()
        except HttpResponseError as error:
            if error.status_code in _HELD_BY_ANOTHER:
                self._deadline = float("-inf")
                return False
            raise
        self._deadline = started + self._settings.lease_s
        return True

    async def release(self) -> None:
        """Free the hub for another app: only when no worker of this one goes on."""
        self._deadline = float("-inf")
        try:
            await self._lease(self._id).release()
        except HttpResponseError as error:
            if error.status_code not in _HELD_BY_ANOTHER:
                raise

    async def _read_owner(self) -> dict[str, object]:
        download = await self._blob.download_blob()
        content = await download.readall()
        try:
            owner: object = json.loads(content)
        except ValueError:
            return {}
        return cast("dict[str, object]", owner) if isinstance(owner, dict) else {}

    def _lease(self, lease_id: str) -> BlobLeaseClient:
        return BlobLeaseClient(self._container, lease_id=lease_id)
