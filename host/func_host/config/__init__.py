"""host.json, app settings and the choice of a store, parsed once into frozen values."""

from func_host.config.app_lease import AppLeaseOptions
from func_host.config.app_settings import AppSettings, export_app_settings, process_environment
from func_host.config.document import ConfigError
from func_host.config.durable_task import DurableTaskSettings, OverridableStates
from func_host.config.host_json import HostJson, HttpSettings, LogLevel, WorkerLimits
from func_host.config.loading import Configuration, load_configuration
from func_host.config.storage_provider import StorageProvider, StorageType
from func_host.config.stores import AzureStore, MemoryStore, SqliteStore, Store, other_store

__all__ = [
    "AppLeaseOptions",
    "AppSettings",
    "AzureStore",
    "ConfigError",
    "Configuration",
    "DurableTaskSettings",
    "HostJson",
    "HttpSettings",
    "LogLevel",
    "MemoryStore",
    "OverridableStates",
    "SqliteStore",
    "StorageProvider",
    "StorageType",
    "Store",
    "WorkerLimits",
    "export_app_settings",
    "load_configuration",
    "other_store",
    "process_environment",
]
