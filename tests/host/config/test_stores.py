from pathlib import Path

import pytest

from func_host.config import (
    AppSettings,
    ConfigError,
    DurableTaskSettings,
    MemoryStore,
    SqliteStore,
    StorageProvider,
    Store,
    other_store,
)
from func_host.config.durable_task import StorageType
from func_host.config.stores import choose_store


def choose(
    root: Path,
    option: str | None = None,
    *,
    kind: StorageType | None = None,
    path: str | None = None,
    **settings: str,
) -> Store:
    return choose_store(root, durable(kind, path), AppSettings(settings), option)


def durable(kind: StorageType | None = None, path: str | None = None) -> DurableTaskSettings:
    return DurableTaskSettings(
        hub_name="MyHub", storage_provider=StorageProvider(type=kind, path=path)
    )


def test_sqlite_in_the_app_folder_is_the_default_whatever_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert choose(tmp_path) == SqliteStore(tmp_path / ".func-host" / "MyHub.db")


def test_an_empty_connection_is_none(tmp_path: Path) -> None:
    assert isinstance(choose(tmp_path, AzureWebJobsStorage=""), SqliteStore)


def test_the_configured_path_is_below_the_folder_of_host_json(tmp_path: Path) -> None:
    assert choose(tmp_path, path="data/hub.db") == SqliteStore(tmp_path / "data" / "hub.db")
    assert choose(tmp_path, path=str(tmp_path / "x.db")) == SqliteStore(tmp_path / "x.db")


def test_the_option_wins_and_its_path_is_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "app"

    assert choose(root, "memory", kind=StorageType.SQLITE) == MemoryStore()
    assert choose(root, "SQLite:x.db", path="y.db") == SqliteStore(tmp_path / "x.db")
    assert choose(root, "sqlite", kind=StorageType.MEMORY, path="y.db") == SqliteStore(
        root / "y.db"
    )


@pytest.mark.parametrize("option", ["", "postgres", "memory:x", "azure:x"])
def test_an_option_that_names_no_store_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(ConfigError, match="--storage: expected sqlite, sqlite:PATH"):
        choose(tmp_path, option)


@pytest.mark.parametrize("connection", ["AzureWebJobsStorage", "AzureWebJobsStorage__accountName"])
def test_a_storage_connection_is_refused_with_the_setting_that_picks_sqlite(
    tmp_path: Path, connection: str
) -> None:
    settings = AppSettings({connection: "UseDevelopmentStorage=true"})

    with pytest.raises(ConfigError, match="AzureWebJobsStorage is set") as caught:
        choose_store(tmp_path, durable(), settings, None)

    assert "--storage sqlite" in str(caught.value)
    assert 'storageProvider.type to "sqlite"' in str(caught.value)
    assert "UseDevelopmentStorage" not in str(caught.value)


def test_asking_for_azure_storage_is_refused_by_the_name_it_was_asked_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--storage azure chooses Azure Storage"):
        choose(tmp_path, "azure")
    with pytest.raises(ConfigError, match=r'^storageProvider\.type "azureStorage" in host\.json'):
        choose(tmp_path, kind=StorageType.AZURE_STORAGE)


def test_a_connection_does_not_matter_where_a_store_is_chosen(tmp_path: Path) -> None:
    store = choose(tmp_path, kind=StorageType.SQLITE, AzureWebJobsStorage="x")

    assert isinstance(store, SqliteStore)


def test_the_apps_own_file_is_the_other_store_when_another_is_chosen(tmp_path: Path) -> None:
    own = tmp_path / ".func-host" / "MyHub.db"

    assert other_store(MemoryStore(), tmp_path, durable()) is None

    own.parent.mkdir()
    own.touch()

    assert other_store(MemoryStore(), tmp_path, durable()) == SqliteStore(own)
    assert other_store(SqliteStore(tmp_path / "x.db"), tmp_path, durable()) == SqliteStore(own)
    assert other_store(SqliteStore(own), tmp_path, durable()) is None
