"""The partitions table: reading and writing its rows, and laying it out for a new hub."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from func_host.durable.backend import BackendError
from func_host.durable.backends.azure_storage.client_batch import Insert, Replace
from func_host.durable.backends.azure_storage.leases import PartitionLease
from func_host.durable.backends.azure_storage.table_rows import (
    PARTITION_KEY,
    ROW_KEY,
    Row,
    Value,
    moment_of,
    read_row,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from func_host.durable.backends.azure_storage.client_tables import Table

_EXISTS: Final = 409
_MISMATCHES: Final = frozenset({404, 409, 412})


class LeaseConflictError(BackendError):
    """A row is not as it was read: somebody else has written it."""


class LeaseTable(Protocol):
    """Where the rows are."""

    async def read(self) -> tuple[PartitionLease, ...]:
        """Read all rows, by queue."""
        ...

    async def replace(self, lease: PartitionLease) -> PartitionLease:
        """Write a row if it is still as it was read; gives it with its new etag.

        Raises:
            LeaseConflictError: It is not; nothing was written.
        """
        ...

    async def replace_all(self, leases: Sequence[PartitionLease]) -> tuple[PartitionLease, ...]:
        """Write rows if all are still as they were read, in one request.

        Raises:
            LeaseConflictError: One is not; nothing was written.
        """
        ...


class AzureLeaseTable:
    """`{hub}Partitions` in a storage account; raises what the client library raises."""

    def __init__(self, client: Table) -> None:
        self._client = client

    async def create(self, queues: Sequence[str]) -> tuple[PartitionLease, ...]:
        """Give the rows of the hub; where there are none yet, make a row for each queue."""
        try:
            leases = await self.read()
        except ResourceNotFoundError:
            await self._create_table()
            leases = ()
        if leases:
            return leases
        rows = [lease_row(PartitionLease(queue=queue)) for queue in queues]
        try:
            await self._client.transact([Insert(row) for row in rows])
        except HttpResponseError as error:
            # Another worker may be making the same rows.
            if error.status_code != _EXISTS:
                raise
        return await self.read()

    async def read(self) -> tuple[PartitionLease, ...]:
        """Read all rows, by queue."""
        found = [_read_lease(entity) async for entity in self._client.list_entities()]
        return tuple(sorted(found, key=lambda lease: lease.queue))

    async def replace(self, lease: PartitionLease) -> PartitionLease:
        """Write a row if it is still as it was read."""
        try:
            etag = await self._client.write(Replace(lease_row(lease), lease.etag))
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            raise LeaseConflictError(f"The row of {lease.queue} was changed by another.") from error
        return replace(lease, etag=etag)

    async def replace_all(self, leases: Sequence[PartitionLease]) -> tuple[PartitionLease, ...]:
        """Write rows in one transaction if all are still as they were read."""
        operations = [Replace(lease_row(lease), lease.etag) for lease in leases]
        try:
            etags = await self._client.transact(operations)
        except HttpResponseError as error:
            if error.status_code in _MISMATCHES:
                raise LeaseConflictError("A row was changed by another.") from error
            raise
        return tuple(replace(lease, etag=etag) for lease, etag in zip(leases, etags, strict=True))

    async def _create_table(self) -> None:
        with contextlib.suppress(ResourceExistsError):
            await self._client.create_table()


def lease_row(lease: PartitionLease) -> Row:
    """Give the columns of a row; what has no value is left out, as others do."""
    columns: dict[str, Value | None] = {
        PARTITION_KEY: "",
        ROW_KEY: lease.queue,
        "CurrentOwner": lease.current_owner,
        "NextOwner": lease.next_owner,
        "OwnedSince": lease.owned_since,
        "LastRenewal": lease.last_renewal,
        "ExpiresAt": lease.expires_at,
        "IsDraining": lease.is_draining,
    }
    return {column: value for column, value in columns.items() if value is not None}


def _read_lease(entity: Mapping[str, Any]) -> PartitionLease:
    row = read_row(entity)
    metadata = cast("Mapping[str, Any]", getattr(entity, "metadata", {}))
    return PartitionLease(
        queue=str(row[ROW_KEY]),
        etag=str(metadata.get("etag", "")),
        current_owner=text_of(row, "CurrentOwner") or None,
        next_owner=text_of(row, "NextOwner") or None,
        owned_since=moment_of(row, "OwnedSince"),
        last_renewal=moment_of(row, "LastRenewal"),
        expires_at=moment_of(row, "ExpiresAt"),
        is_draining=bool(row.get("IsDraining", False)),
    )
