"""What is ours in a hub, as ARCHITECTURE.md lists it: it is left out of every comparison."""

from __future__ import annotations

from typing import Final

from func_host.durable.backends.azure_storage.entity_memory import (
    CONSUMED,
    OUTBOX,
    OUTBOX_BLOB,
    OUTBOX_EXECUTION,
)
from func_host.durable.backends.azure_storage.recent_messages import (
    CHUNKS,
    RECENT_AT,
    chunk_column,
)
from func_host.durable.backends.azure_storage.table_rows import (
    CHECKPOINT_TOKEN,
    MESSAGE_ID,
    PARKED,
)

OUR_COLUMNS: Final = frozenset(
    {
        CHECKPOINT_TOKEN,
        MESSAGE_ID,
        PARKED,
        "IsLeftOpen",
        CONSUMED,
        "FollowedExecutionId",
        OUTBOX,
        OUTBOX_BLOB,
        OUTBOX_EXECUTION,
        RECENT_AT,
        *map(chunk_column, range(CHUNKS)),
    }
)
"""Columns that the provider does not know."""

OUR_VALUES: Final = frozenset({"FailureDetails"})
"""What the provider knows and leaves empty, as it did when it was recorded, and we fill."""

OUR_EVENTS: Final = frozenset({"GenericEvent"})
"""Messages and rows that only wake an instance."""

OUR_RESOURCES: Final = ("Partitions", "-deadletters")
"""How the names of tables and containers end that the recorded hubs lack."""

OUR_BLOBS: Final = ("/history-sentinel-",)
"""What the names of blobs hold that lie where a column of ours is too small."""
