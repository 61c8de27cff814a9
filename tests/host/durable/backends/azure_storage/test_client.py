"""Clients are made for each kind of credential, and what is not installed is told."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from func_host.config.document import ConfigError
from func_host.durable.backends.azure_storage.client import StorageClients, open_identity
from func_host.durable.backends.azure_storage.client_transport import RetrySettings
from func_host.durable.backends.azure_storage.connection import (
    Identity,
    parse_connection_string,
)

pytestmark = pytest.mark.anyio


class Library:
    """Stands for azure.identity.aio: notes which credential was asked for."""

    def __call__(self, name: str) -> ModuleType:
        assert name == "azure.identity.aio"
        kinds = ("DefaultAzureCredential", "ManagedIdentityCredential", "ClientSecretCredential")
        made = {kind: self._maker(kind) for kind in kinds}
        return cast("ModuleType", SimpleNamespace(**made))

    @staticmethod
    def _maker(kind: str) -> Any:
        def make(*given: object, **named: object) -> object:
            return kind, given, named

        return make


def absent(name: str) -> ModuleType:
    raise ModuleNotFoundError(name)


def test_an_identity_without_its_package_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        open_identity(Identity(), setting="MyStore", import_module=absent)

    assert str(caught.value).startswith("MyStore uses an identity")
    assert 'pip install "func-host[azure-identity]"' in str(caught.value)
    assert "\n" not in str(caught.value)


CREDENTIALS: list[tuple[Identity, object]] = [
    (Identity(), ("DefaultAzureCredential", (), {})),
    (
        Identity(client_id="c"),
        ("DefaultAzureCredential", (), {"managed_identity_client_id": "c"}),
    ),
    (
        Identity(uses_managed_identity=True),
        ("ManagedIdentityCredential", (), {"client_id": None}),
    ),
    (
        Identity(tenant_id="t", client_id="c", client_secret="s"),  # noqa: S106 -- of nobody
        ("ClientSecretCredential", ("t", "c", "s"), {}),
    ),
]


@pytest.mark.parametrize(("identity", "credential"), CREDENTIALS)
def test_the_settings_choose_the_credential(identity: Identity, credential: object) -> None:
    assert open_identity(identity, setting="S", import_module=Library()) == credential


@pytest.mark.parametrize(
    "text",
    ["AccountName=shop;AccountKey=c2VjcmV0", "AccountName=shop;SharedAccessSignature=sv=1&sig=x"],
)
async def test_clients_open_without_a_request_and_close_what_they_opened(text: str) -> None:
    connection = parse_connection_string(text, setting="S")
    async with StorageClients(connection) as clients:
        assert clients.queue("hub-workitems").queue_name == "hub-workitems"
        assert clients.queue("hub-workitems") is clients.queue("hub-workitems")
        assert clients.container("hub-leases").container_name == "hub-leases"
        assert clients.table("HubHistory") is clients.table("HubHistory")

    assert clients.counter.total() == 0


async def test_clients_of_another_patience_share_the_session_and_the_count() -> None:
    connection = parse_connection_string("AccountName=shop;AccountKey=c2VjcmV0", setting="S")
    async with StorageClients(connection) as clients:
        hurried = clients.with_retry(RetrySettings(attempts=1))

        assert hurried.connection is clients.connection
        assert hurried.counter is clients.counter
        assert hurried.table("HubHistory") is not clients.table("HubHistory")
        assert hurried.queue("hub-workitems").queue_name == "hub-workitems"
