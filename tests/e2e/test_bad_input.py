"""Promise 11 at the door: whatever is sent, the answer is the documented one; the host goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.host_process import REPOSITORY, HostProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BASE = "/runtime/webhooks/durabletask"
HELLO = f"{BASE}/orchestrators/hello_cities"
FOUR_FIELDS = {"Message", "ExceptionMessage", "ExceptionType", "StackTrace"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    """Give one host to all of them: each test leaves it fit for the next."""
    app = REPOSITORY / "samples" / "hello_cities"
    with HostProcess(app, tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture(autouse=True)
def host_goes_on(host: HostProcess) -> Iterator[None]:
    yield
    answer = host.client.post(HELLO, params={"timeout": 30, "pollingInterval": 1})
    assert answer.json() == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


def refused(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 400, answer.text
    body: dict[str, Any] = answer.json()
    assert body.keys() == FOUR_FIELDS
    return body


def input_of(host: HostProcess, started: httpx.Response) -> object:
    assert started.status_code == 202, started.text
    return host.client.get(started.json()["statusQueryGetUri"]).json()["input"]


def test_an_empty_body_is_no_input(host: HostProcess) -> None:
    assert input_of(host, host.client.post(HELLO)) is None


@pytest.mark.parametrize("body", ["{bad", '{"a": 1', "[1, 2", "\x00", "nul"])
def test_broken_json_is_refused(host: HostProcess, body: str) -> None:
    answer = host.client.post(HELLO, content=body.encode())

    assert refused(answer)["Message"] == "Invalid JSON content"


def test_bytes_that_are_no_text_are_refused(host: HostProcess) -> None:
    refused(host.client.post(HELLO, content=b'"\xff\xfe"'))


def test_a_body_of_20_mb_is_an_input_like_any_other(host: HostProcess) -> None:
    large = "x" * (20 * 1024 * 1024)

    assert input_of(host, host.client.post(HELLO, content=json.dumps(large).encode())) == large


def test_an_unknown_function_is_refused_with_the_known_ones(host: HostProcess) -> None:
    body = refused(host.client.post(f"{BASE}/orchestrators/hello_moon"))

    assert "hello_moon" in body["ExceptionMessage"]
    assert "hello_cities" in body["ExceptionMessage"]


@pytest.mark.parametrize("instance_id", ["%23", "a%3Fb", "a%5Cb", "a%01b", "@counter@1", "x" * 257])
def test_an_id_that_cannot_be_is_refused(host: HostProcess, instance_id: str) -> None:
    refused(host.client.post(f"{HELLO}/{instance_id}"))


@pytest.mark.parametrize(
    "query",
    [
        "runtimeStatus=running",
        "runtimeStatus=%00,,",
        "createdTimeFrom=yesterday",
        "createdTimeTo=9999999-99-99",
        "top=many",
        "showInput=perhaps",
    ],
)
def test_a_filter_that_cannot_be_parsed_filters_nothing(host: HostProcess, query: str) -> None:
    host.start_instance("hello_cities", "filtered", None)

    answer = host.client.get(f"{BASE}/instances?{query}")

    assert answer.status_code == 200, answer.text
    assert "filtered" in {row["instanceId"] for row in answer.json()}


@pytest.mark.parametrize("path", ["", "/", "/instances/x/fly", "/orchestrators", "/nothing/here"])
def test_an_unknown_path_is_not_found_without_a_text(host: HostProcess, path: str) -> None:
    answer = host.client.post(BASE + path)

    assert answer.status_code == 404
    assert not answer.content


def test_an_event_for_nobody_is_not_found(host: HostProcess) -> None:
    answer = host.client.post(f"{BASE}/instances/nobody/raiseEvent/Go", json=1)

    assert answer.status_code == 404
    assert not answer.content
