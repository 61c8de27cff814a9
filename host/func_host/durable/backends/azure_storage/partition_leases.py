"""Who holds which partition, as rows of the partitions table (partition manager v3).

Each row is read with its ETag and replaced under it, so that two hosts never both believe that
they changed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from func_host.durable.backends.azure_storage.table_rows import (
    PARTITION_KEY,
    ROW_KEY,
    Row,
    Value,
    moment_of,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_PARTITION: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLease:
    """One partition: its control queue, who reads it, and who wants to."""

    queue: str
    current_owner: str | None = None
    next_owner: str | None = None
    owned_since: datetime | None = None
    last_renewal: datetime | None = None
    expires_at: datetime | None = None
    is_draining: bool = False


def lease_row(lease: PartitionLease) -> Row:
    """Write a lease: an insert when the hub is made, a replacement from then on."""
    columns: dict[str, Value | None] = {
        "CurrentOwner": lease.current_owner,
        "NextOwner": lease.next_owner,
        "OwnedSince": lease.owned_since,
        "LastRenewal": lease.last_renewal,
        "ExpiresAt": lease.expires_at,
    }
    row: Row = {PARTITION_KEY: _PARTITION, ROW_KEY: lease.queue}
    row |= {column: value for column, value in columns.items() if value is not None}
    row["IsDraining"] = lease.is_draining
    return row


def read_lease_row(row: Mapping[str, Value]) -> PartitionLease:
    """Read a lease; columns that have no value may be missing or empty."""
    return PartitionLease(
        queue=str(row[ROW_KEY]),
        current_owner=text_of(row, "CurrentOwner") or None,
        next_owner=text_of(row, "NextOwner") or None,
        owned_since=moment_of(row, "OwnedSince"),
        last_renewal=moment_of(row, "LastRenewal"),
        expires_at=moment_of(row, "ExpiresAt"),
        is_draining=row.get("IsDraining") is True,
    )
