"""Which store a hub is kept in: what was asked for, what is configured, and what else is there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from func_host.config.document import ConfigError
from func_host.config.storage_provider import StorageProvider, StorageType

if TYPE_CHECKING:
    from func_host.config.app_lease import AppLeaseOptions
    from func_host.config.app_settings import AppSettings
    from func_host.config.durable_task import DurableTaskSettings

STORE_FOLDER: Final = ".func-host"
STORAGE_OPTION: Final = "sqlite, sqlite:PATH, azure or memory"

_ACCOUNT_NAME: Final = re.compile(r"(?i)(?:^|;)\s*AccountName\s*=\s*([a-z0-9]{3,24})\s*(?:;|$)")
_DEVELOPMENT: Final = re.compile(r"(?i)(?:^|;)\s*UseDevelopmentStorage\s*=\s*true\s*(?:;|$)")
_DEVELOPMENT_ACCOUNT: Final = "devstoreaccount1"


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """A hub in a file."""

    path: Path

    def __str__(self) -> str:
        """Say it as the start of the host does."""
        return f"SQLite, {self.path}"


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """A hub that ends with the process."""

    def __str__(self) -> str:
        """Say it as the start of the host does."""
        return "memory; everything is lost when the host stops"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureStore:
    """A hub in a storage account, or in an emulator of one.

    Args:
        hub_name: The task hub.
        connection_name: App setting, or group of settings, that says which account it is.
        account: The account's name, `Azurite`, or nothing where the settings do not say it.
        provider: How the hub is used.
        app_lease: How this app keeps others from the hub; None where it does not.
        app_name: What tells this app from others; empty where nothing does.
    """

    hub_name: str
    connection_name: str
    account: str = ""
    provider: StorageProvider = field(default_factory=StorageProvider)
    app_lease: AppLeaseOptions | None = None
    app_name: str = ""

    def __str__(self) -> str:
        """Say it as the start of the host does."""
        account = f" ({self.account})" if self.account else ""
        return f"Azure Storage, {self.connection_name}{account}"


Store = SqliteStore | MemoryStore | AzureStore


def choose_store(
    app_dir: Path, durable: DurableTaskSettings, settings: AppSettings, option: str | None
) -> Store:
    """Choose the store: `--storage`, else `storageProvider.type`, else by what is configured.

    Args:
        app_dir: Folder of host.json, which the paths in it are relative to.
        durable: Settings of the hub.
        settings: App settings.
        option: What was given to `--storage`; its path is relative to the working directory.

    Raises:
        ConfigError: It cannot be used; the message says why.
    """
    provider = durable.storage_provider
    kind, path = _parse_option(option) if option is not None else (provider.type, None)
    if kind is None:
        configured = settings.has_connection(provider.connection_name)
        kind = StorageType.AZURE_STORAGE if configured else StorageType.SQLITE
    match kind:
        case StorageType.MEMORY:
            return MemoryStore()
        case StorageType.SQLITE:
            return SqliteStore(path or sqlite_path(app_dir, durable))
        case StorageType.AZURE_STORAGE:
            return _azure_store(durable, settings)


def sqlite_path(app_dir: Path, durable: DurableTaskSettings) -> Path:
    """Give the file of the SQLite store that belongs to the app, whatever the working directory."""
    configured = durable.storage_provider.path
    relative = Path(configured) if configured else Path(STORE_FOLDER) / f"{durable.hub_name}.db"
    return app_dir / relative.expanduser()


def other_store(chosen: Store, app_dir: Path, durable: DurableTaskSettings) -> SqliteStore | None:
    """Give the store that also belongs to this app and was not chosen; None where it is not there.

    It is the file that a start without `--storage` and `storageProvider.type` would open.
    """
    own = SqliteStore(sqlite_path(app_dir, durable))
    if isinstance(chosen, SqliteStore) and chosen.path.resolve() == own.path.resolve():
        return None
    return own if own.path.is_file() else None


def _parse_option(option: str) -> tuple[StorageType, Path | None]:
    kind, _, path = option.partition(":")
    match kind.strip().lower():
        case "sqlite":
            return StorageType.SQLITE, Path(path).expanduser().absolute() if path else None
        case "memory" if not path:
            return StorageType.MEMORY, None
        case "azure" | "azurestorage" if not path:
            return StorageType.AZURE_STORAGE, None
        case _:
            raise ConfigError(f'--storage: expected {STORAGE_OPTION}, not "{option}".')


def _azure_store(durable: DurableTaskSettings, settings: AppSettings) -> AzureStore:
    provider = durable.storage_provider
    if provider.azure_refusal is not None:
        raise ConfigError(provider.azure_refusal)
    return AzureStore(
        hub_name=durable.hub_name,
        connection_name=provider.connection_name,
        account=_account(settings, provider.connection_name),
        provider=provider,
        app_lease=durable.app_lease,
        app_name=settings.get("WEBSITE_SITE_NAME") or settings.get("DTFX_APP_NAME") or "",
    )


def _account(settings: AppSettings, connection: str) -> str:
    """Give what may be shown of a connection; whether it can be used is seen when it is opened."""
    text = settings.get(connection) or settings.get(f"ConnectionStrings:{connection}")
    if text is None:
        return settings.get(f"{connection}__accountName") or ""
    if _DEVELOPMENT.search(text):
        return "Azurite"
    match = _ACCOUNT_NAME.search(text)
    if match is None:
        return ""
    return "Azurite" if match[1].lower() == _DEVELOPMENT_ACCOUNT else match[1]
