"""Makes the backend of a hub on Azure Storage of what the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from func_host.config.document import ConfigError
from func_host.durable.backends.azure_storage.app_lease import AppLeaseSettings
from func_host.durable.backends.azure_storage.backend import AzureStorageBackend
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import read_connection
from func_host.durable.backends.azure_storage.hub import HubSettings
from func_host.durable.backends.azure_storage.names import TaskHubNameError, TaskHubNames

if TYPE_CHECKING:
    from func_host.clock import Clock, IdSource
    from func_host.config import AppSettings, AzureStore
    from func_host.config.app_lease import AppLeaseOptions
    from func_host.durable.backend import Backend

_POLLING_MIN_S: Final = 0.05
"""As in the extension: no setting makes a host ask more often than this."""


def open_hub(
    store: AzureStore, settings: AppSettings, clock: Clock, ids: IdSource, *, works: bool = True
) -> Backend:
    """Make the backend; it is opened by entering it.

    One that does not work takes no partitions: it only asks, and sends messages.

    Raises:
        ConfigError: The connection or the name of the hub cannot be used.
    """
    connection = read_connection(settings, store.connection_name)
    try:
        names = TaskHubNames(store.hub_name)
    except TaskHubNameError as error:
        raise ConfigError(str(error)) from error
    clients = StorageClients(connection, clock=clock, ids=ids)
    return AzureStorageBackend(clients, names, clock, ids, hub_settings(store, works=works))


def hub_settings(store: AzureStore, *, works: bool = True) -> HubSettings:
    """Give how the hub is used."""
    provider, lease = store.provider, store.app_lease
    polling_s = provider.max_queue_polling_interval.total_seconds()
    return HubSettings(
        partition_count=provider.partition_count,
        works=works,
        batch=provider.control_queue_batch_size,
        visibility_s=provider.control_queue_visibility_timeout.total_seconds(),
        work_item_visibility_s=provider.work_item_queue_visibility_timeout.total_seconds(),
        polling_interval_max_s=max(_POLLING_MIN_S, polling_s),
        buffer_max=provider.control_queue_buffer_threshold,
        app_name=store.app_name,
        use_app_lease=lease is not None,
        app_lease=AppLeaseSettings() if lease is None else _app_lease(lease),
    )


def _app_lease(options: AppLeaseOptions) -> AppLeaseSettings:
    return AppLeaseSettings(
        lease_s=int(options.lease_interval.total_seconds()),
        renew_s=options.renew_interval.total_seconds(),
        acquire_s=options.acquire_interval.total_seconds(),
    )
