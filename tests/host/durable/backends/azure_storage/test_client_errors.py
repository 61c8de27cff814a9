"""What the client library raises becomes one line with a remedy, and never shows a secret."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from func_host.durable.backend import BackendError, BackendUnavailableError
from func_host.durable.backends.azure_storage.client_errors import explain
from func_host.durable.backends.azure_storage.connection import (
    Identity,
    StorageConnection,
    parse_connection_string,
)

SETTING = "AzureWebJobsStorage"
AZURITE = parse_connection_string("UseDevelopmentStorage=true", setting=SETTING)
ACCOUNT = parse_connection_string("AccountName=shop;AccountKey=c2VjcmV0", setting=SETTING)
IDENTITY = StorageConnection(
    setting=SETTING, queue_url="", table_url="", blob_url="", credential=Identity()
)


def answered(
    status: int, code: str, kind: type[HttpResponseError] = HttpResponseError
) -> HttpResponseError:
    error = kind(message=f"sig=secret {code}", response=None)
    error.status_code = status
    cast("Any", error).error_code = code
    return error


def refused_connection() -> ServiceRequestError:
    error = ServiceRequestError("Cannot connect to host 127.0.0.1:10000 ssl:default")
    cast("Any", error).inner_exception = SimpleNamespace(
        host="127.0.0.1", port=10000, errno=errno.ECONNREFUSED
    )
    return error


def test_an_azurite_that_does_not_run_is_told_with_how_to_start_it() -> None:
    told = explain(refused_connection(), AZURITE)

    assert isinstance(told, BackendUnavailableError)
    assert "127.0.0.1:10000: Connection refused" in str(told)
    assert "npx azurite" in str(told)
    assert "--storage sqlite" in str(told)


def test_an_account_whose_name_is_not_known_is_told() -> None:
    error = ServiceRequestError("Cannot connect")
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    cast("Any", error).inner_exception = SimpleNamespace(
        host="shop.table.core.windows.net", port=443, errno=unknown.errno, os_error=unknown
    )

    told = str(explain(error, ACCOUNT))

    assert "shop.table.core.windows.net:443: there is no such host, or no network" in told
    assert f"Check the account in {SETTING}" in told


def test_an_account_that_does_not_answer_names_the_setting() -> None:
    told = explain(TimeoutError(), ACCOUNT)

    assert isinstance(told, BackendUnavailableError)
    assert "no answer in time" in str(told)
    assert SETTING in str(told)


@pytest.mark.parametrize(
    ("connection", "remedy"), [(ACCOUNT, "Access keys"), (IDENTITY, "Data Contributor")]
)
def test_a_wrong_key_is_told_with_where_to_get_the_right_one(
    connection: StorageConnection, remedy: str
) -> None:
    error = answered(403, "AuthenticationFailed", ClientAuthenticationError)
    told = explain(error, connection)

    assert isinstance(told, BackendUnavailableError)
    assert f"credential of {SETTING} (AuthenticationFailed)" in str(told)
    assert remedy in str(told)


def test_a_deleted_table_is_told() -> None:
    told = explain(answered(404, "TableNotFound", ResourceNotFoundError), ACCOUNT)

    assert isinstance(told, BackendUnavailableError)
    assert "a table of the task hub is not there (TableNotFound)" in str(told)


@pytest.mark.parametrize("code", ["TableBeingDeleted", "QueueBeingDeleted"])
def test_what_is_still_being_deleted_is_told_with_the_wait(code: str) -> None:
    told = explain(answered(409, code, ResourceExistsError), ACCOUNT)

    assert isinstance(told, BackendUnavailableError)
    assert code in str(told)
    assert "in a minute" in str(told)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_account_passes(status: int) -> None:
    assert isinstance(explain(answered(status, "ServerBusy"), ACCOUNT), BackendUnavailableError)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        refused_connection(),
        ServiceResponseError("cut off\nin the middle"),
        answered(400, "InvalidHeaderValue"),
        answered(403, "AuthorizationFailure"),
        answered(404, "QueueNotFound", ResourceNotFoundError),
        AzureError("sig=secret"),
    ],
)
@pytest.mark.parametrize("connection", [AZURITE, ACCOUNT, IDENTITY])
def test_every_error_is_one_line_without_secrets(
    error: Exception, connection: StorageConnection
) -> None:
    told = explain(error, connection)

    assert isinstance(told, BackendError)
    assert "\n" not in str(told)
    assert "secret" not in str(told)
