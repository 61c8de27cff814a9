"""Writes say on the wire what they are, and answers are read for what they say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceResponseError,
)

from func_host.durable.backends.azure_storage.client_batch import (
    OPERATIONS_MAX,
    Delete,
    Insert,
    Merge,
    Replace,
    batch_request,
    read_batch_answer,
    read_write_answer,
    write_request,
)

TABLE = "http://127.0.0.1:1/shop/HubHistory"
KEYS = {"PartitionKey": "i", "RowKey": "sentinel"}
ETAG = "W/\"datetime'2026-11-27T23%3A48%3A37.6085157Z'\""


@dataclass
class Answer:
    status_code: int
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])


def batch(*parts: str, end: str = "--changesetresponse_1--\r\n--batchresponse_1--\r\n") -> Answer:
    """Lay out an answer as the service does."""
    heading = "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n"
    opening = (
        "--changesetresponse_1\r\nContent-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\n\r\n"
    )
    text = "".join(f"{opening}{part}\r\n" for part in parts)
    return Answer(202, f"{heading}\r\n{text}{end}".encode())


def done(etag: str = ETAG) -> str:
    return (
        "HTTP/1.1 204 No Content\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n"
        f"Preference-Applied: return-no-content\r\nDataServiceVersion: 3.0;\r\nETag: {etag}\r\n\r\n"
    )


def refused(status: int, code: str, text: str = "0:It is so.\nRequestId:1") -> str:
    body = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": text}}}
    return (
        f"HTTP/1.1 {status} Because\r\nContent-ID: 1\r\nDataServiceVersion: 3.0;\r\n"
        f"Content-Type: application/json;charset=utf-8\r\n\r\n{json.dumps(body)}"
    )


REFUSALS: list[tuple[int, str, type[HttpResponseError]]] = [
    (401, "NoAuthenticationInformation", ClientAuthenticationError),
    (403, "AuthenticationFailed", ClientAuthenticationError),
    (403, "AuthorizationFailure", ClientAuthenticationError),
    (404, "TableNotFound", ResourceNotFoundError),
    (404, "ResourceNotFound", ResourceNotFoundError),
    (409, "EntityAlreadyExists", ResourceExistsError),
    (409, "TableBeingDeleted", HttpResponseError),
    (412, "UpdateConditionNotSatisfied", ResourceModifiedError),
    (413, "RequestBodyTooLarge", HttpResponseError),
    (400, "InvalidDuplicateRow", HttpResponseError),
    (503, "ServerBusy", HttpResponseError),
]


def test_an_insert_asks_for_no_echo_of_the_row() -> None:
    request = write_request(TABLE, Insert({**KEYS, "Text": "ü"}))

    assert (request.method, request.url) == ("POST", TABLE)
    assert request.headers["Prefer"] == "return-no-content"
    assert "If-Match" not in request.headers
    assert json.loads(request.content) == {**KEYS, "Text": "ü"}


@pytest.mark.parametrize(("operation", "method"), [(Replace, "PUT"), (Merge, "PATCH")])
@pytest.mark.parametrize("etag", [None, ETAG])
def test_a_row_is_written_under_its_etag_or_without_a_condition(
    operation: type[Replace | Merge], method: str, etag: str | None
) -> None:
    request = write_request(TABLE, operation({**KEYS, "PartitionKey": "o'clock/"}, etag))

    assert request.method == method
    assert request.url == f"{TABLE}(PartitionKey='o%27%27clock%2F',RowKey='sentinel')"
    assert request.headers.get("If-Match") == etag


def test_a_delete_has_no_body_and_asks_for_no_etag() -> None:
    request = write_request(TABLE, Delete(KEYS))

    assert request.method == "DELETE"
    assert request.headers["If-Match"] == "*"
    assert not request.content


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\n", "\r\n", "\x85"])
def test_a_body_is_one_line_for_whoever_counts_lines(mark: str) -> None:
    """Azurite looks for the body up to the end of a line, as JavaScript sees it."""
    body = write_request(TABLE, Insert({**KEYS, "Text": f"a{mark}b"})).content

    assert json.loads(body)["Text"] == f"a{mark}b"
    assert not {"\n", "\r", "\u2028", "\u2029"} & set(body.decode())


def test_a_transaction_is_one_request_to_the_account() -> None:
    request = batch_request(TABLE, [Insert(KEYS)])

    assert (request.method, request.url) == ("POST", "http://127.0.0.1:1/shop/$batch")
    assert request.headers["Content-Length"] == str(len(request.content))


@pytest.mark.parametrize("count", [0, OPERATIONS_MAX + 1])
def test_a_transaction_has_one_to_a_hundred_writes(count: int) -> None:
    with pytest.raises(AssertionError, match=f"{count} writes"):
        batch_request(TABLE, [Insert({**KEYS, "RowKey": str(n)}) for n in range(count)])


@pytest.mark.parametrize("status", [201, 204])
def test_a_write_gives_its_etag(status: int) -> None:
    assert read_write_answer(Answer(status, headers={"ETag": ETAG})) == ETAG


def test_a_delete_gives_no_etag() -> None:
    assert read_write_answer(Answer(204)) == ""


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS)
def test_a_refusal_is_the_error_that_the_client_library_has_for_it(
    status: int, code: str, kind: type[HttpResponseError]
) -> None:
    body = refused(status, code).partition("\r\n\r\n")[2].encode()
    with pytest.raises(HttpResponseError) as caught:
        read_write_answer(Answer(status, body))

    assert type(caught.value) is kind
    assert caught.value.status_code == status
    assert vars(caught.value)["error_code"] == code
    assert str(caught.value) == f"The table service answered {status} ({code}): 0:It is so."


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b'<?xml version="1.0"?><error><code>AuthFailed</code></error>', {}, "AuthFailed"),
        (b"<m:error><m:code>AuthFailed</m:code><m:message/></m:error>", {}, "AuthFailed"),
        (b"", {"x-ms-error-code": "AuthFailed"}, "AuthFailed"),
        (b'{"error": {"code": 1}}', {}, "Unknown"),
        (b'{"odata.error": {"code": "AuthFailed"', {}, "Unknown"),
        (b"<html>the proxy says no</html>", {}, "Unknown"),
        (b"\xff\xfe", {}, "Unknown"),
    ],
)
def test_a_refusal_that_is_no_odata_still_has_a_code(
    body: bytes, headers: dict[str, str], code: str
) -> None:
    with pytest.raises(ClientAuthenticationError) as caught:
        read_write_answer(Answer(403, body, headers))

    assert vars(caught.value)["error_code"] == code


@pytest.mark.parametrize("status", [200, 307])
def test_what_is_no_answer_to_a_write_is_an_error(status: int) -> None:
    with pytest.raises(HttpResponseError) as caught:
        read_write_answer(Answer(status))

    assert caught.value.status_code == status


def test_a_transaction_gives_an_etag_for_each_write() -> None:
    deleted = "HTTP/1.1 204 No Content\r\nDataServiceVersion: 3.0;\r\n\r\n"
    echoed = (
        'HTTP/1.1 201 Created\r\nETag: 3\r\nContent-Type: application/json\r\n\r\n{"a": "ETag"}'
    )

    answer = batch(done('W/"1"'), deleted, echoed, done('W/"4"'))

    assert read_batch_answer(answer, 4) == ['W/"1"', "", "3", 'W/"4"']


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS)
def test_one_refusal_refuses_a_transaction(
    status: int, code: str, kind: type[HttpResponseError]
) -> None:
    with pytest.raises(HttpResponseError) as caught:
        read_batch_answer(batch(refused(status, code)), 3)

    assert type(caught.value) is kind
    assert caught.value.status_code == status
    assert vars(caught.value)["error_code"] == code


def test_a_transaction_may_be_refused_as_a_whole() -> None:
    with pytest.raises(ClientAuthenticationError):
        read_batch_answer(Answer(403, b"<error><code>AuthenticationFailed</code></error>"), 1)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(202),
        Answer(202, b"<html>welcome</html>"),
        batch(done()),
        batch(done(), done(), done()),
        batch(done(), done().removesuffix("\r\n\r\n"), end=""),
    ],
)
def test_an_answer_to_another_number_of_writes_is_no_answer(answer: Answer) -> None:
    with pytest.raises(ServiceResponseError, match="of 2 writes"):
        read_batch_answer(answer, 2)
