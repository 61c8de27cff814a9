from pathlib import Path

import pytest

from func_host.config import (
    AppLeaseOptions,
    AppSettings,
    AzureStore,
    ConfigError,
    DurableTaskSettings,
    MemoryStore,
    SqliteStore,
    StorageProvider,
    StorageType,
    Store,
    other_store,
)
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
def test_a_storage_connection_chooses_azure_storage(tmp_path: Path, connection: str) -> None:
    store = choose_store(tmp_path, durable(), AppSettings({connection: "shop"}), None)

    assert isinstance(store, AzureStore)
    assert (store.hub_name, store.connection_name) == ("MyHub", "AzureWebJobsStorage")


def test_azure_storage_is_chosen_by_name_even_without_a_connection(tmp_path: Path) -> None:
    assert isinstance(choose(tmp_path, "azure"), AzureStore)
    assert isinstance(choose(tmp_path, "AzureStorage", kind=StorageType.SQLITE), AzureStore)
    assert isinstance(choose(tmp_path, kind=StorageType.AZURE_STORAGE), AzureStore)


def test_a_hub_on_azure_storage_has_all_settings_of_it(tmp_path: Path) -> None:
    provider = StorageProvider(connection_name="Shop", partition_count=7)
    lease = AppLeaseOptions()
    settings = AppSettings({"Shop": "UseDevelopmentStorage=true", "DTFX_APP_NAME": "till"})

    store = choose_store(
        tmp_path,
        DurableTaskSettings(hub_name="MyHub", storage_provider=provider, app_lease=lease),
        settings,
        None,
    )

    assert store == AzureStore(
        hub_name="MyHub",
        connection_name="Shop",
        account="Azurite",
        provider=provider,
        app_lease=lease,
        app_name="till",
    )


def test_the_name_of_the_app_is_the_sites_before_any_other(tmp_path: Path) -> None:
    named = choose(tmp_path, "azure", DTFX_APP_NAME="till", WEBSITE_SITE_NAME="shop")
    nameless = choose(tmp_path, "azure")

    assert isinstance(named, AzureStore)
    assert named.app_name == "shop"
    assert isinstance(nameless, AzureStore)
    assert nameless.app_name == ""


@pytest.mark.parametrize(
    ("connection", "shown"),
    [
        ("UseDevelopmentStorage=true", " (Azurite)"),
        ("AccountName=devstoreaccount1;AccountKey=secret", " (Azurite)"),
        ("DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=secret", " (shop)"),
        ("BlobEndpoint=https://secret.example/;SharedAccessSignature=sig=secret", ""),
        ("a secret, pasted by mistake", ""),
    ],
)
def test_a_storage_account_is_shown_by_its_name_alone(
    tmp_path: Path, connection: str, shown: str
) -> None:
    store = choose(tmp_path, AzureWebJobsStorage=connection)

    assert str(store) == f"Azure Storage, AzureWebJobsStorage{shown}"
    assert "secret" not in repr(store)


def test_an_account_that_an_identity_opens_is_shown(tmp_path: Path) -> None:
    store = choose(tmp_path, AzureWebJobsStorage__accountName="shop")

    assert str(store) == "Azure Storage, AzureWebJobsStorage (shop)"


def test_what_azure_storage_cannot_do_is_refused_there_only(tmp_path: Path) -> None:
    provider = StorageProvider(azure_refusal="host.json:3: useLegacyPartitionManagement: no.")
    hub = DurableTaskSettings(storage_provider=provider)

    assert isinstance(choose_store(tmp_path, hub, AppSettings(), None), SqliteStore)
    with pytest.raises(ConfigError, match="useLegacyPartitionManagement"):
        choose_store(tmp_path, hub, AppSettings(), "azure")


def test_a_connection_does_not_matter_where_a_store_is_chosen(tmp_path: Path) -> None:
    store = choose(tmp_path, kind=StorageType.SQLITE, AzureWebJobsStorage="x")

    assert isinstance(store, SqliteStore)


def test_the_apps_own_file_is_the_other_store_when_another_is_chosen(tmp_path: Path) -> None:
    own = tmp_path / ".func-host" / "MyHub.db"
    azure = choose(tmp_path, "azure")

    assert other_store(MemoryStore(), tmp_path, durable()) is None

    own.parent.mkdir()
    own.touch()

    assert other_store(MemoryStore(), tmp_path, durable()) == SqliteStore(own)
    assert other_store(azure, tmp_path, durable()) == SqliteStore(own)
    assert other_store(SqliteStore(tmp_path / "x.db"), tmp_path, durable()) == SqliteStore(own)
    assert other_store(SqliteStore(own), tmp_path, durable()) is None
