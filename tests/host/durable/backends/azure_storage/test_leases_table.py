"""Rows of the partitions table have the columns of DurableTask.AzureStorage, and no others."""

from __future__ import annotations

from datetime import UTC, datetime

from func_host.durable.backends.azure_storage.leases import PartitionLease
from func_host.durable.backends.azure_storage.leases_table import lease_row

MOMENT = datetime(2026, 11, 22, 7, tzinfo=UTC)


def test_a_new_row_has_its_keys_and_is_not_draining() -> None:
    assert lease_row(PartitionLease(queue="hub-control-00", etag="1")) == {
        "PartitionKey": "",
        "RowKey": "hub-control-00",
        "IsDraining": False,
    }


def test_a_held_row_has_all_columns() -> None:
    lease = PartitionLease(
        queue="hub-control-00",
        etag="1",
        current_owner="a",
        next_owner="b",
        owned_since=MOMENT,
        last_renewal=MOMENT,
        expires_at=MOMENT,
        is_draining=True,
    )

    assert lease_row(lease) == {
        "PartitionKey": "",
        "RowKey": "hub-control-00",
        "CurrentOwner": "a",
        "NextOwner": "b",
        "OwnedSince": MOMENT,
        "LastRenewal": MOMENT,
        "ExpiresAt": MOMENT,
        "IsDraining": True,
    }
