"""Which store a hub is kept in: what was asked for, what is configured, and what else is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from func_host.config.document import ConfigError
from func_host.config.durable_task import StorageType

if TYPE_CHECKING:
    from func_host.config.app_settings import AppSettings
    from func_host.config.durable_task import DurableTaskSettings

STORE_FOLDER: Final = ".func-host"
STORAGE_OPTION: Final = "sqlite, sqlite:PATH, azure or memory"


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


Store = SqliteStore | MemoryStore


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
        ConfigError: It cannot be used; the message names the setting that chooses another.
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
            raise ConfigError(_azure_refusal(provider.connection_name, provider.type, option))


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


def _azure_refusal(connection: str, configured: StorageType | None, option: str | None) -> str:
    if option is not None:
        asked = f"--storage {option}"
    elif configured is not None:
        asked = 'storageProvider.type "azureStorage" in host.json'
    else:
        asked = f"{connection} is set, which"
    return (
        f"{asked} chooses Azure Storage, and this version of func-host cannot use it yet. To use "
        'SQLite, set extensions.durableTask.storageProvider.type to "sqlite" in host.json '
        "or start with `--storage sqlite`."
    )
