"""Connections: what Azure Functions takes is taken, mistakes are one line, secrets stay secret."""

from __future__ import annotations

import pytest

from func_host.config.app_settings import AppSettings
from func_host.config.document import ConfigError
from func_host.durable.backends.azure_storage.connection import (
    DEVELOPMENT_KEY,
    Identity,
    SharedAccessSignature,
    SharedKey,
    StorageConnection,
    parse_connection_string,
    read_connection,
)

NAME = "AzureWebJobsStorage"
KEY = "c2VjcmV0LWtleQ=="


def parse(text: str) -> StorageConnection:
    return parse_connection_string(text, setting=NAME)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value)


def test_development_storage_is_azurite_on_its_own_ports() -> None:
    connection = parse("UseDevelopmentStorage=true")

    assert connection == StorageConnection(
        setting=NAME,
        queue_url="http://127.0.0.1:10001/devstoreaccount1",
        table_url="http://127.0.0.1:10002/devstoreaccount1",
        blob_url="http://127.0.0.1:10000/devstoreaccount1",
        credential=SharedKey(account="devstoreaccount1", key=DEVELOPMENT_KEY),
        is_development=True,
    )


@pytest.mark.parametrize("host", ["azurite", "[::1]", "10.0.0.7"])
def test_development_storage_may_be_on_another_machine(host: str) -> None:
    connection = parse(f"UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://{host}/")

    assert connection.queue_url == f"http://{host}:10001/devstoreaccount1"


def test_an_account_gives_the_addresses_of_its_services() -> None:
    connection = parse(
        f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};"
        "EndpointSuffix=core.chinacloudapi.cn"
    )

    assert connection.queue_url == "https://shop.queue.core.chinacloudapi.cn"
    assert connection.table_url == "https://shop.table.core.chinacloudapi.cn"
    assert connection.blob_url == "https://shop.blob.core.chinacloudapi.cn"
    assert connection.credential == SharedKey(account="shop", key=KEY)
    assert not connection.is_development


def test_an_account_alone_is_in_the_public_cloud() -> None:
    assert parse(f"AccountName=shop;AccountKey={KEY}").blob_url == (
        "https://shop.blob.core.windows.net"
    )


def test_written_endpoints_are_taken_as_they_are_whatever_the_case_of_their_names() -> None:
    connection = parse(
        f" accountname = devstoreaccount1 ;ACCOUNTKEY={KEY}; "
        "QueueEndpoint=http://127.0.0.1:3/devstoreaccount1/;"
        "tableendpoint=http://127.0.0.1:4/devstoreaccount1;"
        "BlobEndpoint=http://127.0.0.1:5/devstoreaccount1;"
    )

    assert connection.queue_url == "http://127.0.0.1:3/devstoreaccount1"
    assert connection.blob_url == "http://127.0.0.1:5/devstoreaccount1"
    assert connection.is_development


def test_a_signature_is_a_credential() -> None:
    connection = parse("AccountName=shop;SharedAccessSignature=?sv=2021-12-02&sig=abc%3D")

    expected = "sv=2021-12-02&sig=abc%3D"
    assert connection.credential == SharedAccessSignature(token=expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "part 1"),
        ("AccountName=shop;secret", "part 2"),
        (f"AccountKey={KEY}", "queue service"),
        ("AccountName=shop", "AccountKey"),
        ("AccountName=shop;AccountKey=half a key", "not Base64"),
        (f"AccountName=shop;AccountKey={KEY};BlobEndpoint=https://x", "QueueEndpoint"),
        ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=azurite", "ProxyUri"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_the_setting_and_a_remedy(text: str, told: str) -> None:
    message = refusal(text)

    assert message.startswith(NAME)
    assert told in message
    assert "UseDevelopmentStorage=true" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        f"AccountName=shop;AccountKey={KEY};oops",
        "AccountName=shop;AccountKey=c2VjcmV0LWtleQ",
        "AccountName=shop;SharedAccessSignature=sv=1&sig=c2VjcmV0LWtleQ;oops",
        "BlobEndpoint=https://x?sig=c2VjcmV0LWtleQ;QueueEndpoint=https://x;TableEndpoint=https://x",
    ],
)
def test_a_message_quotes_no_secret(text: str) -> None:
    assert "c2VjcmV0" not in refusal(text)


def test_a_connection_shows_no_secret() -> None:
    key = parse(f"AccountName=shop;AccountKey={KEY}")
    signature = parse("AccountName=shop;SharedAccessSignature=sv=1&sig=abc")
    secret = read_connection(
        AppSettings(
            {
                f"{NAME}__accountName": "shop",
                f"{NAME}__clientId": "id",
                f"{NAME}__tenantId": "tenant",
                f"{NAME}__clientSecret": "hidden",
            }
        ),
        NAME,
    )

    assert KEY not in repr(key)
    assert "abc" not in repr(signature)
    assert "hidden" not in repr(secret)


def test_a_connection_is_read_under_its_name_or_as_a_connection_string() -> None:
    text = f"AccountName=shop;AccountKey={KEY}"

    assert read_connection(AppSettings({"MyStore": text}), "MyStore").setting == "MyStore"
    assert read_connection(AppSettings({"ConnectionStrings:MyStore": text}), "MyStore") == (
        parse_connection_string(text, setting="MyStore")
    )


def test_an_identity_needs_the_account_only() -> None:
    connection = read_connection(AppSettings({f"{NAME}__accountName": "shop"}), NAME)

    assert connection.table_url == "https://shop.table.core.windows.net"
    assert connection.credential == Identity()


def test_an_identity_takes_the_address_of_each_service() -> None:
    settings = {
        f"{NAME}__{service}ServiceUri": f"https://{service}.example"
        for service in ("blob", "queue", "table")
    }
    connection = read_connection(
        AppSettings(
            {**settings, f"{NAME}__credential": "managedidentity", f"{NAME}__clientId": "7"}
        ),
        NAME,
    )

    assert connection.queue_url == "https://queue.example"
    assert connection.credential == Identity(uses_managed_identity=True, client_id="7")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, f"There is no storage connection {NAME}"),
        ({"blobServiceUri": "https://b"}, f"{NAME}__queueServiceUri"),
        ({"accountName": "shop", "credential": "magic"}, f'{NAME}__credential is "magic"'),
        ({"accountName": "shop", "clientSecret": "s"}, f"{NAME}__tenantId"),
        ({"accountName": "shop", "blobServiceUri": "http://b"}, "needs https"),
    ],
)
def test_a_mistake_in_the_settings_of_an_identity_names_them(
    settings: dict[str, str], told: str
) -> None:
    values = {f"{NAME}__{name}": value for name, value in settings.items()}

    with pytest.raises(ConfigError, match=r"\A[^\n]+\Z") as caught:
        read_connection(AppSettings(values), NAME)
    assert told in str(caught.value)
