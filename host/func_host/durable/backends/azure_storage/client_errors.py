"""What the client library raises, told in one line that says what, where and the remedy."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

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
from func_host.durable.backends.azure_storage.connection import Identity

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.connection import StorageConnection

STORAGE_ERRORS: Final = (AzureError, TimeoutError)
"""Everything a call of a storage client may raise, our own time limits included."""

_BEING_DELETED: Final = "BeingDeleted"
_FORBIDDEN: Final = 403
_THROTTLED: Final = 429
_FAULT: Final = 500
_ROLES: Final = "Storage Queue, Table and Blob Data Contributor"


def explain(error: Exception, connection: StorageConnection) -> BackendError:
    """Say in the words of the host what a storage client raised.

    What may pass is a `BackendUnavailableError`. A deleted table and a key that was changed are
    among it: somebody may mend the account while a host runs.
    """
    match error:
        case TimeoutError() | ServiceRequestError() | ServiceResponseError():
            return _unreachable(error, connection)
        case ResourceNotFoundError():
            return BackendUnavailableError(
                f"Azure Storage ({connection.setting}): {_missing(error)} of the task hub is not "
                f"there ({_code(error)}). If it was deleted, start the host again to create it; "
                "what it held is lost."
            )
        case ResourceExistsError() if _BEING_DELETED in _code(error):
            return BackendUnavailableError(
                f"Azure Storage ({connection.setting}) is still deleting a resource of the task "
                f"hub ({_code(error)}). Start the host again in a minute, or give the task hub "
                "another name."
            )
        case ClientAuthenticationError() | HttpResponseError(status_code=403):
            return _refused(error, connection)
        case HttpResponseError(status_code=status) if status is not None and (
            status == _THROTTLED or status >= _FAULT
        ):
            return BackendUnavailableError(
                f"Azure Storage ({connection.setting}) answers {status} ({_code(error)}): it is "
                "overloaded or at fault. It is asked again."
            )
        case _:
            return BackendError(
                f"Azure Storage ({connection.setting}) refused a request: {_code(error)}."
            )


def _unreachable(error: Exception, connection: StorageConnection) -> BackendError:
    if connection.is_development:
        remedy = (
            "Start Azurite (npx azurite --skipApiVersionCheck), or use SQLite: "
            "func-host start --storage sqlite."
        )
    else:
        remedy = (
            f"Check the account in {connection.setting} and the network, or use SQLite: "
            "func-host start --storage sqlite."
        )
    return BackendUnavailableError(f"Azure Storage does not answer ({_reason(error)}). {remedy}")


def _refused(error: Exception, connection: StorageConnection) -> BackendError:
    if isinstance(connection.credential, Identity):
        remedy = f"Give the identity the roles {_ROLES} of the account."
    else:
        remedy = (
            f'Copy the connection string anew from "Access keys" of the account to '
            f"{connection.setting}, and see that the clock of this machine is right."
        )
    return BackendUnavailableError(
        f"The storage account refuses the credential of {connection.setting} "
        f"({_code(error)}). {remedy}"
    )


def _missing(error: Exception) -> str:
    kinds = {
        "TableNotFound": "a table",
        "QueueNotFound": "a queue",
        "ContainerNotFound": "a container",
    }
    return kinds.get(_code(error), "a resource")


def _code(error: Exception) -> str:
    """Give the service's word for the error: it holds no secrets, unlike some messages."""
    code = getattr(error, "error_code", None)
    if code:
        return str(getattr(code, "value", code))
    status = getattr(error, "status_code", None)
    return f"status {status}" if status else type(error).__name__


def _reason(error: Exception) -> str:
    """Say where it was asked and what came of it, in a few words."""
    cause = getattr(error, "inner_exception", None) or error
    if isinstance(error, TimeoutError) or isinstance(cause, TimeoutError):
        return "no answer in time"
    place = f"{getattr(cause, 'host', '')}:{getattr(cause, 'port', '')}"
    number = getattr(cause, "errno", None)
    if isinstance(getattr(cause, "os_error", None), socket.gaierror):
        words = "there is no such host, or no network"
    else:
        words = os.strerror(number) if number else next(iter(str(cause).splitlines()), "")
    return f"{place}: {words}" if place != ":" else words or type(cause).__name__
