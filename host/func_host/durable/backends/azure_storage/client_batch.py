"""Writes of table rows as HTTP: one by one, or up to 100 of one partition in a transaction.

The client library does the same; it spends several times the processor time on it, most of that on
an object with its own policies for every row. What is sent here says the same, and a test compares.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.core.rest import HttpRequest

from func_host.durable.backends.azure_storage.table_rows import PARTITION_KEY, ROW_KEY, row_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from func_host.durable.backends.azure_storage.table_rows import Value

OPERATIONS_MAX: Final = 100
"""As many writes as the service takes in one transaction."""


@dataclass(frozen=True, slots=True)
class Insert:
    """A row that must not be there yet."""

    row: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Replace:
    """A row in place of one that has this ETag; without one, of whatever there is or is not."""

    row: Mapping[str, Value]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """Columns into a row that has this ETag; without one, into whatever there is or is not."""

    row: Mapping[str, Value]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """No row with these keys, which has this ETag; without one, whatever its ETag is."""

    row: Mapping[str, Value]
    etag: str | None = None


Operation: TypeAlias = Insert | Replace | Merge | Delete

_METHODS: Final[dict[type[Operation], str]] = {
    Insert: "POST",
    Replace: "PUT",
    Merge: "PATCH",
    Delete: "DELETE",
}
_HEADERS: Final = {"Accept": "application/json", "DataServiceVersion": "3.0"}
_JSON: Final = {"Content-Type": "application/json"}
_SILENT: Final = {"Prefer": "return-no-content"}

# A line of a body never begins with them: JSON has its ends of line escaped.
_BATCH: Final = "batch_8a3f6c52-17d0-4c0e-9b57-2f60a1d4e3b9"
_CHANGESET: Final = "changeset_5be0c1d7-94a2-4f3b-8e6d-70c2f9a81b34"
_OPENING: Final = (
    f"--{_BATCH}\r\nContent-Type: multipart/mixed; boundary={_CHANGESET}\r\n\r\n".encode()
)
_PART: Final = (
    f"--{_CHANGESET}\r\nContent-Type: application/http\r\n"
    "Content-Transfer-Encoding: binary\r\nContent-ID: "
)
_CLOSING: Final = f"--{_CHANGESET}--\r\n\r\n--{_BATCH}--\r\n".encode()

_ANSWER: Final = re.compile(rb"^HTTP/1\.1 (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n", re.MULTILINE)
_ETAG: Final = re.compile(rb"^etag:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.MULTILINE | re.IGNORECASE)
_XML_CODE: Final = re.compile(rb"<(?:\w+:)?code>(\w+)<", re.IGNORECASE)
_ERRORS: Final[dict[int, type[HttpResponseError]]] = {
    HTTPStatus.UNAUTHORIZED: ClientAuthenticationError,
    HTTPStatus.FORBIDDEN: ClientAuthenticationError,
    HTTPStatus.NOT_FOUND: ResourceNotFoundError,
    HTTPStatus.CONFLICT: ResourceExistsError,
    HTTPStatus.PRECONDITION_FAILED: ResourceModifiedError,
}
_encoder: Final = msgspec.json.Encoder()


def write_request(table_url: str, operation: Operation) -> HttpRequest:
    """Give the request of one write; it is not signed yet."""
    method, url, headers, body = _parts_of(table_url, operation)
    return HttpRequest(method, url, headers=headers, content=body)


def batch_request(table_url: str, operations: Sequence[Operation]) -> HttpRequest:
    """Give the request of a transaction; it is not signed yet."""
    assert 0 < len(operations) <= OPERATIONS_MAX, f"{len(operations)} writes in a transaction"
    parts = [_OPENING]
    for number, operation in enumerate(operations):
        method, url, headers, body = _parts_of(table_url, operation)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        start = f"{_PART}{number}\r\n\r\n{method} {url} HTTP/1.1\r\n{lines}"
        parts += (f"{start}Content-Length: {len(body)}\r\n\r\n".encode(), body, b"\r\n")
    parts.append(_CLOSING)
    account_url = table_url.rpartition("/")[0]
    headers = {
        **_HEADERS,
        "MaxDataServiceVersion": "3.0;NetFx",
        "Content-Type": f"multipart/mixed; boundary={_BATCH}",
    }
    return HttpRequest("POST", f"{account_url}/$batch", headers=headers, content=b"".join(parts))


def read_write_answer(response: Any) -> str:
    """Give the ETag that a row has now, empty for one that was deleted.

    Raises:
        HttpResponseError: The service refused; the class tells why, as the client library's.
    """
    if response.status_code not in {HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}:
        raise _error(response.status_code, response.content, response.headers)
    return str(response.headers.get("ETag", ""))


def read_batch_answer(response: Any, count: int) -> list[str]:
    """Give the ETags that rows have now, in the order of their writes, empty for deleted ones.

    Raises:
        HttpResponseError: The service refused, and nothing was written; the class tells why.
        ServiceResponseError: What came is no answer to a transaction of this many writes.
    """
    body: bytes = response.content
    if response.status_code != HTTPStatus.ACCEPTED:
        raise _error(response.status_code, body, response.headers)
    answers = list(_ANSWER.finditer(body))
    for answer in answers:
        status = int(answer[1])
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise _error(status, body[answer.end() :], {})
    if len(answers) != count:
        raise ServiceResponseError(
            f"The table service answered {len(answers)} of {count} writes of a transaction."
        )
    found = (_ETAG.search(answer[2]) for answer in answers)
    return ["" if etag is None else etag[1].decode("latin-1") for etag in found]


def _parts_of(table_url: str, operation: Operation) -> tuple[str, str, dict[str, str], bytes]:
    """Give method, URL, headers and body of a write."""
    method = _METHODS[type(operation)]
    match operation:
        case Insert(row=row):
            return method, table_url, {**_HEADERS, **_JSON, **_SILENT}, _body(row)
        case Replace(row=row, etag=etag) | Merge(row=row, etag=etag):
            condition = {} if etag is None else {"If-Match": etag}
            return method, _row_url(table_url, row), {**_HEADERS, **_JSON, **condition}, _body(row)
        case Delete(row=row, etag=etag):
            condition = {"If-Match": etag or "*"}
            return method, _row_url(table_url, row), {**_HEADERS, **condition}, b""


def _row_url(table_url: str, row: Mapping[str, Value]) -> str:
    partition_key, row_key = _key(row[PARTITION_KEY]), _key(row[ROW_KEY])
    return f"{table_url}(PartitionKey='{partition_key}',RowKey='{row_key}')"


def _key(value: Value) -> str:
    return quote(str(value).replace("'", "''"), safe="")


def _body(row: Mapping[str, Value]) -> bytes:
    """Give a row as one line of JSON."""
    body = _encoder.encode(row_body(row))
    # Azurite takes these two for ends of line.
    return body.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")


def _error(status: int, body: bytes, headers: Mapping[str, str]) -> HttpResponseError:
    """Give the error of an answer, as the client library would raise it."""
    code, text = _code_and_text(body)
    code = code or headers.get("x-ms-error-code") or "Unknown"
    kind = _ERRORS.get(status, HttpResponseError)
    if kind is ResourceExistsError and not code.endswith("AlreadyExists"):
        kind = HttpResponseError
    error = kind(message=f"The table service answered {status} ({code}): {text}")
    error.status_code = status
    vars(error)["error_code"] = code  # where the library has it
    return error


def _code_and_text(body: bytes) -> tuple[str, str]:
    """Read the error of a body, which is JSON, or XML where the request came no further."""
    start, end = body.find(b"{"), body.rfind(b"}")
    try:
        error = msgspec.json.decode(body[start : end + 1], type=_Failure).error
    except msgspec.DecodeError:
        found = _XML_CODE.search(body)
        return (found[1].decode() if found else "", "no reason given")
    return error.code, error.message.value.partition("\n")[0]


class _Message(msgspec.Struct):
    value: str = ""


class _Error(msgspec.Struct):
    code: str
    message: _Message = msgspec.field(default_factory=_Message)


class _Failure(msgspec.Struct):
    error: _Error = msgspec.field(name="odata.error")
