"""`extensions.durableTask.storageProvider`: the kind of store, and how a hub uses Azure Storage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from func_host.config.section import Section

PARTITIONS_MAX: Final = 16

_BATCH_MAX: Final = 32
_BUFFER_MAX: Final = 1_000
_CLAIM_MIN: Final = timedelta(seconds=5)
_CLAIM_MAX: Final = timedelta(hours=1)
_HIDDEN_MIN: Final = timedelta(seconds=1)
_HIDDEN_MAX: Final = timedelta(days=7)
_POLLING_MIN: Final = timedelta(milliseconds=1)
_TRACKING_STORE: Final = (
    "trackingStoreConnectionName",
    "trackingStoreConnectionStringName",
    "trackingStoreNamePrefix",
)


class StorageType(Enum):
    """`storageProvider.type`."""

    SQLITE = "sqlite"
    AZURE_STORAGE = "azureStorage"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageProvider:
    """`storageProvider`.

    Args:
        type: The kind of store; None to choose by what is configured.
        path: File of the SQLite store, below the folder of host.json; None for the default.
        connection_name: App setting that holds the storage connection.
        partition_count: Control queues of a hub on Azure Storage: at most so many hosts share it.
        control_queue_batch_size: Messages that are taken from a control queue at a time.
        control_queue_buffer_threshold: With so many messages held, no more are taken.
        control_queue_visibility_timeout: For how long a message is hidden that was taken; it is
            renewed in time, so this is what passes before another host takes over from a dead one.
        work_item_queue_visibility_timeout: The same of activities.
        max_queue_polling_interval: Longest wait between two looks into an idle queue.
        azure_refusal: What makes this unusable on Azure Storage; other stores do not mind.
    """

    type: StorageType | None = None
    path: str | None = None
    connection_name: str = "AzureWebJobsStorage"
    partition_count: int = 4
    control_queue_batch_size: int = 32
    control_queue_buffer_threshold: int = 256
    control_queue_visibility_timeout: timedelta = timedelta(minutes=1)
    work_item_queue_visibility_timeout: timedelta = timedelta(minutes=1)
    max_queue_polling_interval: timedelta = timedelta(seconds=30)
    azure_refusal: str | None = None


def read_storage_provider(section: Section) -> StorageProvider:
    """Read the section.

    Raises:
        ConfigError: A value cannot be used.
    """
    defaults = StorageProvider()
    path = section.string("path")
    if path is not None and not path.strip():
        raise section.error("path", "expected the path of a file, not an empty text.")
    return StorageProvider(
        type=section.choice("type", StorageType),
        path=path,
        connection_name=_read_connection_name(section) or defaults.connection_name,
        partition_count=section.integer(
            "partitionCount", defaults.partition_count, at_least=1, at_most=PARTITIONS_MAX
        ),
        control_queue_batch_size=section.integer(
            "controlQueueBatchSize",
            defaults.control_queue_batch_size,
            at_least=1,
            at_most=_BATCH_MAX,
        ),
        control_queue_buffer_threshold=section.integer(
            "controlQueueBufferThreshold",
            defaults.control_queue_buffer_threshold,
            at_least=1,
            at_most=_BUFFER_MAX,
        ),
        control_queue_visibility_timeout=section.duration(
            "controlQueueVisibilityTimeout",
            defaults.control_queue_visibility_timeout,
            at_least=_CLAIM_MIN,
            at_most=_CLAIM_MAX,
        ),
        work_item_queue_visibility_timeout=section.duration(
            "workItemQueueVisibilityTimeout",
            defaults.work_item_queue_visibility_timeout,
            at_least=_HIDDEN_MIN,
            at_most=_HIDDEN_MAX,
        ),
        max_queue_polling_interval=section.duration(
            "maxQueuePollingInterval",
            defaults.max_queue_polling_interval,
            at_least=_POLLING_MIN,
        ),
        azure_refusal=_read_azure_refusal(section),
    )


def _read_connection_name(section: Section) -> str | None:
    """Read the name under its key; the older one counts where the other is missing."""
    old = section.string("connectionStringName")
    return section.string("connectionName") or old


def _read_azure_refusal(section: Section) -> str | None:
    """Say what this host does not do on Azure Storage, of the settings that ask for it."""
    for name in _TRACKING_STORE:
        if section.string(name):
            return str(
                section.error(
                    name,
                    "func-host keeps the tables of a task hub in the account of its queues: "
                    "leave this setting out.",
                )
            )
    manager = "the table partition manager is the only one of func-host: leave this setting out."
    if section.boolean("useLegacyPartitionManagement", default=False):
        return str(section.error("useLegacyPartitionManagement", manager))
    if not section.boolean("useTablePartitionManagement", default=True):
        return str(section.error("useTablePartitionManagement", manager))
    return None
