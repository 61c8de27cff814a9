"""Large values: when they move, into which blobs, and how they are found again."""

from __future__ import annotations

import gzip
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_host.durable.backends.azure_storage.keys import escape_key
from func_host.durable.backends.azure_storage.large import (
    BlobText,
    blob_columns,
    blob_of_url,
    blob_prefixes,
    blob_url,
    compress,
    decompress,
    is_blob_of,
    is_large,
    is_message_blob,
    message_blob_name,
    offload,
    utf16_bytes,
    with_texts,
)
from func_host.durable.backends.azure_storage.table_rows import Row, read_row
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from tests.host.durable.backends.azure_storage.golden import members_of, scenario, scenario_names

CONTAINER = "goldenhub-largemessages"
CONTAINER_URL = f"http://127.0.0.1:20300/devstoreaccount1/{CONTAINER}"
BLOBS = [(name, blob) for name in scenario_names() for blob in scenario(name)["blobs"]]
LONG = "x" * 40_000


def row(**columns: str) -> Row:
    key = {"PartitionKey": "a^0b", "RowKey": "000000000000000A", "EventType": "TaskCompleted"}
    return {**key, **columns}


def draw() -> str:
    return "0A1B2C3D"


@given(st.text(st.characters(codec="utf-8")))
def test_a_text_is_as_large_as_in_utf_16(text: str) -> None:
    assert utf16_bytes(text) == len(text.encode("utf-16-le"))


@pytest.mark.parametrize(
    ("text", "large"),
    [
        ("x" * 30_720, False),
        ("x" * 30_721, True),
        ("é" * 30_721, True),
        ("🎉" * 15_360, False),
        ("🎉" * 15_361, True),
    ],
)
def test_a_column_holds_60_kib_of_utf_16(text: str, *, large: bool) -> None:
    assert is_large(text) is large


def test_a_large_text_moves_to_a_blob() -> None:
    moved, blobs = offload(row(Result=LONG), draw)

    name = "a^0b/history-000000000000000A-TaskCompleted-0A1B2C3D-Result.json.gz"
    assert blobs == (BlobText(name, LONG),)
    assert moved["Result"] == ""
    assert moved["ResultBlobName"] == name
    assert blob_columns(moved) == {"Result": name}
    assert with_texts(moved, {"Result": LONG}) == row(Result=LONG)


def test_each_column_moves_to_a_blob_of_its_own() -> None:
    suffixes = iter(["00000001", "00000002"])

    _, blobs = offload(row(Reason=LONG, Details=LONG), lambda: next(suffixes))

    assert [blob.name[-32:] for blob in blobs] == [
        "Completed-00000001-Reason.json.gz"[-32:],
        "ompleted-00000002-Details.json.gz"[-32:],
    ]


def test_a_small_row_stays_as_it_is() -> None:
    small = row(Result="1")

    assert offload(small, draw) == (small, ())


def test_only_the_columns_of_the_reference_move() -> None:
    moved, blobs = offload(row(InstanceId=LONG), draw)

    assert blobs == ()
    assert moved["InstanceId"] == LONG


def blob_id(parameter: Any) -> str:
    blob = members_of(parameter)
    return str(parameter) if blob is None else str(blob["name"])


@pytest.mark.parametrize(("name", "blob"), BLOBS, ids=blob_id)
def test_recorded_blobs_have_the_names_that_we_give(name: str, blob: dict[str, Any]) -> None:
    ids = [each for each in scenario(name)["instance_ids"] if is_blob_of(blob["name"], each)]

    assert len(ids) == 1
    file = blob["name"].rpartition("/")[2]
    kind, key, *rest = file.removesuffix(".json.gz").rsplit("-", file.count("-"))
    if is_message_blob(blob["name"]):
        assert message_blob_name(ids[0], key, rest[0]) == blob["name"]
        return
    event, suffix, column = rest
    recorded: Row = {"PartitionKey": escape_key(ids[0]), "RowKey": key, column: LONG}
    if key:
        recorded["EventType"] = event
    _, blobs = offload(recorded, lambda: suffix)
    assert kind == "history"
    assert [each.name for each in blobs] == [blob["name"]]


def test_recorded_urls_are_written_and_read() -> None:
    seen = 0
    for name in scenario_names():
        for body in scenario(name).get("final_instances", ()):
            for column in ("Input", "Output"):
                url = body.get(column)
                if isinstance(url, str) and url.startswith("http"):
                    blob = blob_of_url(url, container=CONTAINER, partition_key=body["PartitionKey"])
                    assert blob is not None
                    assert blob_url(CONTAINER_URL, blob) == url
                    seen += 1
    assert seen > 8


def test_recorded_rows_name_the_blobs_of_their_columns() -> None:
    bodies = scenario("large-100k")["final_history"]

    named = [blob_columns(read_row(body)) for body in bodies]

    recorded = {blob["name"] for blob in scenario("large-100k")["blobs"]}
    found = {name for columns in named for name in columns.values()}
    assert found == {name for name in recorded if not is_message_blob(name)}


@pytest.mark.parametrize(
    "url",
    [
        f"{CONTAINER_URL}/a%5E0b/history-1-E-0-Input.json.gz",
        f"https://acc.blob.core.windows.net/{CONTAINER}/a%5E0b/history-1-E-0-Input.json.gz",
        f"http://elsewhere/acc/{CONTAINER}/a/b/message-1-E.json.gz",
        f"http://elsewhere:1/{CONTAINER}/a/b/message-1-E.json.gz?sv=1",
    ],
)
def test_a_blob_of_the_instance_is_known_on_any_host(url: str) -> None:
    assert blob_of_url(url, container=CONTAINER, partition_key="a^0b") is not None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        '"text"',
        "http://",
        "http://[",
        "https://example.org/",
        "https://example.org/a/b/c",
        f"{CONTAINER_URL}/other/history-1-E-0-Input.json.gz",
        f"{CONTAINER_URL}/a%5E0b/c/history-1-E-0-Input.json.gz",
        f"{CONTAINER_URL}/a%5E0b/%ff",
        f"{CONTAINER_URL}2/a%5E0b/history-1-E-0-Input.json.gz",
    ],
)
def test_no_other_text_is_taken_for_a_blob(text: str | None) -> None:
    assert blob_of_url(text, container=CONTAINER, partition_key="a^0b") is None


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_the_url_of_every_blob_is_read_again(instance_id: str) -> None:
    key = escape_key(instance_id)
    name = f"{key}/history-1-E-0-Input.json.gz"

    url = blob_url(CONTAINER_URL, name)

    assert url.isascii()
    assert blob_of_url(url, container=CONTAINER, partition_key=key) == name


@pytest.mark.parametrize(
    ("instance_id", "other"),
    [
        ("a", "a/b"),
        ("order-1", "order-10"),
        ("a/b", "a^0b"),
        ("a", "a/message-x"),
        ("a", "a/history-x"),
    ],
)
def test_a_purge_finds_its_own_blobs_and_no_others(instance_id: str, other: str) -> None:
    def names(of: str) -> list[str]:
        return [f"{of}/message-1-E.json.gz", f"{escape_key(of)}/history-1-E-0-R.json.gz"]

    assert all(is_blob_of(name, instance_id) for name in names(instance_id))
    assert all(name.startswith(blob_prefixes(instance_id)) for name in names(instance_id))
    assert not any(is_blob_of(name, instance_id) for name in names(other))
    assert not any(is_blob_of(name, other) for name in names(instance_id))


@given(st.text(st.characters(codec="utf-8")))
def test_every_text_comes_back_from_its_blob(text: str) -> None:
    content = compress(text)

    assert decompress(content).decode() == text
    assert gzip.decompress(content).decode() == text
    assert compress(text) == content


def test_a_blob_begins_as_the_provider_begins_it() -> None:
    recorded = scenario("large-100k")["blobs"][0]["stored_first_bytes_hex"]

    assert compress(LONG)[:10].hex() == recorded


@pytest.mark.parametrize("content", [b"", b"text", compress(LONG)[:-9], compress("")[:5]])
def test_what_is_no_whole_blob_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableError, match="large value"):
        decompress(content)


def test_a_text_that_is_too_large_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "func_host.durable.backends.azure_storage.large.TEXT_BYTES_MAX", len(LONG) - 1
    )

    with pytest.raises(UnreadableError, match="too large"):
        decompress(compress(LONG))


def test_recorded_texts_are_what_their_blobs_hold() -> None:
    unit = "0123456789abcdefghijklmnopqrstuvwxyz-"
    text = '"' + (unit * 3000)[:102_400] + '"'
    recorded = {
        blob["text_sha256"]
        for blob in scenario("large-100k")["blobs"]
        if not is_message_blob(blob["name"])
    }

    assert {hashlib.sha256(decompress(compress(text))).hexdigest()} == recorded
