"""Answers of the management API, and which error gives which: the one table of both.

A body is JSON or nothing at all: clients parse it whatever the status says. An error carries the
four fields that the Python SDK reads; what went wrong inside the host is in its log and not here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from func_bindings.errors import (
    FunctionNotFoundError,
    InstanceAlreadyExistsError,
    InstanceCompletedError,
    InstanceConflictError,
    InstanceNotFoundError,
)
from func_host.durable.backend import BackendUnavailableError
from func_host.durable.client import InvalidInstanceIdError
from func_host.log import REASON
from func_host.web.body import BodyTooLargeError
from func_host.web.json_text import InvalidJsonError
from func_host.web.query import BadArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_logger = logging.getLogger(__name__)

JSON = "application/json; charset=utf-8"
BAD_ARGUMENT = "One or more of the arguments submitted is incorrect"
BROKEN = "Something went wrong while processing your request"
_encode = msgspec.json.Encoder().encode


def json_answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a value; `msgspec.Raw` inside it goes out as it is."""
    return Response(_encode(value), status, headers, JSON)


def empty_answer(status: int) -> Response:
    """Answer with a status and zero bytes, without a content type."""
    return Response(status_code=status)


def message_answer(status: int, message: str) -> Response:
    """Answer with the short error body."""
    return json_answer({"Message": message}, status)


def error_answer(status: int, message: str, detail: str, kind: str) -> Response:
    """Answer with the error body of four fields, of which clients read `ExceptionMessage`."""
    body = {
        "Message": message,
        "ExceptionMessage": detail,
        "ExceptionType": kind,
        "StackTrace": "",
    }
    return json_answer(body, status)


def answer_to(error: Exception) -> Response:
    """Give the answer of the management API to an error; what is not foreseen is logged and 500."""
    for kind, answer in _ANSWERS.items():
        if isinstance(error, kind):
            return answer(error)
    _logger.error("a management request failed", exc_info=error)
    return error_answer(
        500, BROKEN, "The log of the host says what went wrong.", type(error).__name__
    )


def _argument(error: Any) -> Response:
    return error_answer(400, BAD_ARGUMENT, str(error), "System.ArgumentException")


def _invalid_json(error: Any) -> Response:
    kind = "Newtonsoft.Json.JsonReaderException"
    return error_answer(400, "Invalid JSON content", str(error), kind)


def _exists(error: Any) -> Response:
    kind = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException"
    return error_answer(409, str(error), str(error), kind)


def _conflict(error: Any) -> Response:
    return error_answer(409, str(error), str(error), "System.InvalidOperationException")


def _unavailable(error: Any) -> Response:
    _logger.warning("the store of the task hub cannot be used", extra={REASON: str(error)})
    detail = "The store of the task hub does not answer; try again."
    return error_answer(503, BROKEN, detail, "System.TimeoutException")


_ANSWERS: dict[type[Exception], Callable[[Any], Response]] = {
    InstanceNotFoundError: lambda _: empty_answer(404),
    InstanceCompletedError: lambda _: empty_answer(410),
    InstanceAlreadyExistsError: _exists,
    InstanceConflictError: _conflict,
    FunctionNotFoundError: _argument,
    InvalidInstanceIdError: _argument,
    BadArgumentError: _argument,
    InvalidJsonError: _invalid_json,
    BodyTooLargeError: lambda error: message_answer(413, str(error)),
    BackendUnavailableError: _unavailable,
}
"""In order: the first that fits answers."""
