"""What tables are asked is what the client library would ask, and it is signed as it would sign."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from azure.core import MatchConditions
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import (
    ResourceModifiedError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from func_host.durable.backends.azure_storage.client_batch import Delete, Insert, Merge, Replace
from func_host.durable.backends.azure_storage.client_tables import StorageTable
from func_host.durable.backends.azure_storage.table_rows import read_row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from azure.core.rest import HttpRequest

    from func_host.durable.backends.azure_storage.client_batch import Operation
    from func_host.durable.backends.azure_storage.client_tables import StorageCredential
    from func_host.durable.backends.azure_storage.table_rows import Row, Value

pytestmark = pytest.mark.anyio

URL = "https://shop.table.core.windows.net"
KEY = "c2VjcmV0"
ETAG = "W/\"datetime'2026-11-27T23%3A48%3A37.6085157Z'\""
MATTERING = ("if-match", "dataserviceversion", "x-ms-version")
ODD_KEYS = ["i", "", "o'clock", "''", "two words", "100%", "%25", "%27", "😀", "a^0b^^", "é\u0301"]
ODDER_KEYS = ["@counter@k", "a+b&c=d;e", "{0}", "(x,y)", "a:b", '"', "<&>", "^É", "~-._!*$", "|"]


@dataclass(frozen=True)
class Answer:
    status_code: int
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Recorder(AsyncHttpTransport[Any, Any]):
    """Notes requests, and sends none; answers where it was told how."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.requests: list[HttpRequest] = []
        self._answer = answer

    async def send(self, request: HttpRequest, **config: Any) -> Any:
        self.requests.append(request)
        assert not config.keys() - {"stream"}
        if self._answer is not None:
            return self._answer
        raise ServiceRequestError("this is as far as it goes")

    async def open(self) -> None:
        """Nothing is to open."""

    async def close(self) -> None:
        """Nothing is to close."""

    async def __aexit__(self, *exception: object) -> None:
        """Nothing is to close."""


@dataclass(frozen=True)
class Asked:
    """A write, as it is on the wire."""

    method: str
    url: str
    headers: dict[str, str]
    row: Row

    @staticmethod
    def of(method: str, url: str, headers: dict[str, str], body: bytes) -> Asked:
        lower = {name.lower(): value for name, value in headers.items()}
        if body:
            assert lower["content-length"] == str(len(body))
            assert lower["content-type"].startswith("application/json")
        kept = {name: lower[name] for name in MATTERING if name in lower}
        return Asked(method, url, kept, read_row(json.loads(body or b"{}")))


class Identity:
    """Gives a token to whoever asks."""

    async def get_token(self, *scopes: str, enable_cae: bool = False) -> AccessToken:
        assert scopes == ("https://storage.azure.com/.default",)
        assert enable_cae in {True, False}
        return AccessToken("a-token", 4_000_000_000)


async def asked_of_us(
    ask: Callable[[StorageTable], Awaitable[object]],
    credential: StorageCredential | None = None,
) -> HttpRequest:
    """Give what our table sends."""
    recorder = Recorder()
    credential = credential or AzureNamedKeyCredential("shop", KEY)
    table = StorageTable(URL, "HubHistory", credential=credential, transport=recorder)
    with pytest.raises(ServiceRequestError):
        await ask(table)
    (request,) = recorder.requests
    return request


async def asked_of_the_library(
    ask: Callable[[Any], Awaitable[object]],
) -> HttpRequest:
    """Give what the client library sends."""
    recorder = Recorder()
    credential = AzureNamedKeyCredential("shop", KEY)
    options: dict[str, Any] = {"transport": recorder, "retry_total": 0}
    table = TableClient(URL, "HubHistory", credential=credential, **options)
    with pytest.raises(ServiceRequestError):
        await ask(table)
    (request,) = recorder.requests
    return request


def single(request: HttpRequest) -> Asked:
    return Asked.of(request.method, request.url, dict(request.headers), request.content or b"")


def parts(request: HttpRequest) -> list[Asked]:
    """Take a transaction apart, strictly by its boundaries."""
    outer = boundary_of(request.headers["Content-Type"])
    prologue, changes, epilogue = request.content.split(f"--{outer}".encode())
    assert (prologue, epilogue.strip()) == (b"", b"--")
    heading, _, body = changes.partition(b"\r\n\r\n")
    inner = boundary_of(heading.decode())
    first, *pieces, last = (b"\r\n" + body).split(f"\r\n--{inner}".encode())
    assert (first, last.strip()) == (b"", b"--")
    return [part(piece, number) for number, piece in enumerate(pieces)]


def part(piece: bytes, number: int) -> Asked:
    envelope, _, request = piece.partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: application/http\r\n" in envelope
    assert b"\r\nContent-Transfer-Encoding: binary" in envelope
    assert f"\r\nContent-ID: {number}".encode() in envelope
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    method, url, version = line.split(" ")
    assert version == "HTTP/1.1"
    headers = {name: value for name, _, value in (each.partition(": ") for each in lines)}
    return Asked.of(method, url, headers, body.strip())


def boundary_of(content_type: str) -> str:
    found = re.search(r"multipart/mixed; ?boundary=(\S+)", content_type)
    assert found is not None
    return found[1]


def row(key: str, row_key: str = "0000000000000001", **columns: Value) -> Row:
    return {
        "PartitionKey": key,
        "RowKey": row_key,
        "Text": 'a "quoted" ü😀\u2028\r\nline',
        "Empty": "",
        "Number": 7,
        "IsPlayed": False,
        "At": datetime(2026, 11, 22, 7, 30, 15, 120_000, tzinfo=UTC),
        **columns,
    }


UNDER = {"etag": ETAG, "match_condition": MatchConditions.IfNotModified}


@pytest.mark.parametrize("key", [*ODD_KEYS, *ODDER_KEYS])
async def test_a_transaction_is_that_of_the_client_library(key: str) -> None:
    one, two, three, four, five, six = (row(key, row_key) for row_key in ("1", key, *"3456"))
    theirs = await asked_of_the_library(
        lambda table: table.submit_transaction(
            [
                ("upsert", one, {"mode": UpdateMode.REPLACE}),
                ("create", two),
                ("update", three, {"mode": UpdateMode.MERGE, **UNDER}),
                ("update", four, {"mode": UpdateMode.REPLACE, **UNDER}),
                ("upsert", five, {"mode": UpdateMode.MERGE}),
                ("delete", six),
            ]
        )
    )
    operations: list[Operation] = [
        *(Replace(one), Insert(two), Merge(three, ETAG)),
        *(Replace(four, ETAG), Merge(five), Delete(six)),
    ]
    ours = await asked_of_us(lambda table: table.transact(operations))

    assert (ours.method, ours.url) == (theirs.method, theirs.url)
    assert ours.headers["Content-Length"] == str(len(ours.content))
    without_version = [
        Asked(each.method, each.url, {**each.headers, "x-ms-version": "2019-02-02"}, each.row)
        for each in parts(ours)
    ]
    assert without_version == parts(theirs)


@pytest.mark.parametrize("key", [*ODD_KEYS, *ODDER_KEYS])
async def test_a_write_is_that_of_the_client_library(key: str) -> None:
    one = row(key, key)
    cases: list[tuple[Operation, Callable[[Any], Awaitable[object]]]] = [
        (Insert(one), lambda table: table.create_entity(one)),
        (Merge(one), lambda table: table.upsert_entity(one, mode=UpdateMode.MERGE)),
        (Replace(one), lambda table: table.upsert_entity(one, mode=UpdateMode.REPLACE)),
        (Merge(one, ETAG), lambda table: table.update_entity(one, UpdateMode.MERGE, **UNDER)),
        (Replace(one, ETAG), lambda table: table.update_entity(one, UpdateMode.REPLACE, **UNDER)),
        (Delete(one), lambda table: table.delete_entity(key, key)),
    ]
    for operation, ask in cases:
        ours = await asked_of_us(lambda table, each=operation: table.write(each))

        assert single(ours) == single(await asked_of_the_library(ask))


async def test_moments_have_seven_digits() -> None:
    ours = await asked_of_us(lambda table: table.write(Insert(row("i"))))
    body = json.loads(ours.content)

    assert (body["At"], body["At@odata.type"]) == ("2026-11-22T07:30:15.1200000Z", "Edm.DateTime")


async def test_a_shared_key_signs() -> None:
    ours = await asked_of_us(lambda table: table.transact([Insert(row("i"))]))

    assert re.fullmatch(r"SharedKey shop:[A-Za-z0-9+/]{43}=", ours.headers["Authorization"])
    assert ours.headers["x-ms-date"].endswith(" GMT")


async def test_a_signature_goes_into_the_address_of_the_whole_and_of_no_part() -> None:
    credential = AzureSasCredential("sv=1&sig=secret")
    ours = await asked_of_us(lambda table: table.transact([Insert(row("i"))]), credential)

    assert ours.url == f"{URL}/$batch?sv=1&sig=secret"
    assert [each.url for each in parts(ours)] == [f"{URL}/HubHistory"]


async def test_an_identity_gives_a_token() -> None:
    ours = await asked_of_us(lambda table: table.write(Insert(row("i"))), cast("Any", Identity()))

    assert ours.headers["Authorization"] == "Bearer a-token"


def table_that_is_answered(answer: Answer) -> StorageTable:
    credential = AzureNamedKeyCredential("shop", KEY)
    return StorageTable(URL, "HubHistory", credential=credential, transport=Recorder(answer))


async def test_a_write_gives_its_etag_or_says_why_it_was_refused() -> None:
    written = table_that_is_answered(Answer(204, headers={"ETag": ETAG}))
    refused = table_that_is_answered(Answer(412))

    assert await written.write(Merge(row("i"), ETAG)) == ETAG
    with pytest.raises(ResourceModifiedError):
        await refused.write(Merge(row("i"), ETAG))


async def test_a_transaction_gives_etags_and_an_answer_to_another_is_none() -> None:
    table = table_that_is_answered(Answer(202, b"HTTP/1.1 204 No Content\r\nETag: 1\r\n\r\n"))

    assert await table.transact([Insert(row("i"))]) == ["1"]
    with pytest.raises(ServiceResponseError, match="answered 1 of 2 writes"):
        await table.transact([Insert(row("i")), Insert(row("i", "2"))])


READS: list[tuple[Callable[[Any], Awaitable[object]], str, str]] = [
    (lambda table: table.create_table(), "POST", "/Tables"),
    (lambda table: table.delete_table(), "DELETE", "/Tables('HubHistory')"),
    (lambda table: anext(aiter(table.list_entities(select=["A"]))), "GET", "/HubHistory()"),
    (
        lambda table: anext(aiter(table.query_entities("A eq 1", results_per_page=7))),
        "GET",
        "/HubHistory()",
    ),
]


@pytest.mark.parametrize(("ask", "method", "path"), READS)
async def test_all_else_is_asked_by_the_client_library(
    ask: Callable[[Any], Awaitable[object]], method: str, path: str
) -> None:
    ours, theirs = await asked_of_us(ask), await asked_of_the_library(ask)

    assert (ours.method, ours.url) == (theirs.method, theirs.url)
    assert ours.method == method
    assert ours.url.partition("?")[0] == f"{URL}{path}"
