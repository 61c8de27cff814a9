"""Entities over HTTP: what the recordings leave open, and where ours is the better choice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.history import ExecutionStarted, OrchestrationInstance
from func_host.web import WebSettings
from tests.host.web.hub import BASE, Hub
from tests.host.web.orchestrators import ALL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def hub() -> AsyncGenerator[Hub]:
    async with Hub(*ALL).open() as hub:
        yield hub


async def signalled(hub: Hub, path: str, value: Any = None, **headers: str) -> None:
    """Signal an entity and let the operation run."""
    asked = {name.replace("_", "-"): text for name, text in headers.items()}
    more = {} if value is None else {"json": value}
    answer = await hub.post(f"/entities/{path}", headers=asked, **more)
    assert is_empty(answer, 202)
    await hub.settle()


def is_empty(answer: httpx.Response, status: int) -> bool:
    assert "content-type" not in answer.headers
    return answer.status_code == status and answer.content == b""


def is_refusal(answer: httpx.Response, words: str) -> bool:
    """Tell whether it is 400 with `Message` alone."""
    assert answer.status_code == 400
    assert answer.json().keys() == {"Message"}
    return words in answer.json()["Message"]


async def listed(hub: Hub, path: str = "/entities") -> list[tuple[str, str, Any]]:
    answer = await hub.get(path)
    assert answer.status_code == 200
    return [
        (row["entityId"]["name"], row["entityId"]["key"], row["state"]) for row in answer.json()
    ]


async def test_an_entity_is_signalled_read_and_deleted(hub: Hub) -> None:
    assert is_empty(await hub.get("/entities/Counter/k"), 404)
    await signalled(hub, "Counter/k?op=add", 5)
    await signalled(hub, "COUNTER/k?op=add", 2)

    read = await hub.get("/entities/cOuNtEr/k")
    assert (read.status_code, read.content) == (200, b"7")
    assert read.headers["content-type"] == "application/json; charset=utf-8"
    assert is_empty(await hub.get("/entities/Counter/K"), 404)
    assert is_empty(await hub.delete("/entities/Counter/k"), 202)
    await hub.settle()
    assert is_empty(await hub.get("/entities/Counter/k"), 404)


async def test_the_empty_key_is_read_as_a_dollar_and_written_without_a_segment(hub: Hub) -> None:
    await signalled(hub, "Counter?op=add", 1)
    await signalled(hub, "Counter/$?op=add", 10)

    assert (await hub.get("/entities/Counter/$")).json() == 1
    assert await listed(hub, "/entities?fetchState=true") == [
        ("counter", "", 1),
        ("counter", "$", 10),
    ]


async def test_an_unknown_entity_is_refused_with_the_message_alone(hub: Hub) -> None:
    answer = await hub.post("/entities/Nope/k?op=add")

    words = (
        "The function 'nope' doesn't exist, is disabled, or is not an entity function. "
        "Additional info: The following are the known entity functions: 'Recorder', 'Counter'."
    )
    assert answer.json() == {"Message": words}
    assert is_refusal(await hub.delete("/entities/Nope/k"), "'nope'")


async def test_an_app_without_entities_says_so() -> None:
    async with Hub().open() as hub:
        answer = await hub.post("/entities/Nope/k?op=add")

    assert is_refusal(answer, "Additional info: No entity functions are currently registered!")


@pytest.mark.parametrize("key", ["a%23b", "a%3Fb", "a%5Cb", "a%01b", "a" * 250])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_key_that_cannot_be_is_refused(hub: Hub, method: str, key: str) -> None:
    answer = await hub.http.request(method, f"{BASE}/entities/Counter/{key}")

    assert is_refusal(answer, "Invalid entity id: ")
    assert await listed(hub) == []


@pytest.mark.parametrize(
    ("key", "read"),
    [
        ("x@y", "x@y"),
        ("a%20b", "a%20b"),
        ("a+b", "a+b"),
        ("%C3%A6%E2%98%83%F0%9F%98%80", "æ☃😀"),
        ("a%2Fb", "a%2Fb"),
        ("%25", "%25"),
        ("q':;,!*()b", "q':;,!*()b"),
    ],
)
async def test_any_other_key_is_taken(hub: Hub, key: str, read: str) -> None:
    await signalled(hub, f"Counter/{key}?op=add", 3)

    assert (await hub.get(f"/entities/Counter/{read}")).json() == 3


async def test_a_name_with_an_at_sign_is_nobodys(hub: Hub) -> None:
    """`@counter@x@k` is the counter `x@k`, and no entity of the name `counter@x`."""
    await signalled(hub, "Counter/x@k?op=add", 3)

    assert is_empty(await hub.get("/entities/Counter@x/k"), 404)
    assert await listed(hub, "/entities/Counter@x") == []
    assert is_refusal(await hub.post("/entities/Counter@x/k?op=add"), "'counter@x' doesn't exist")
    assert is_refusal(await hub.delete("/entities/Counter@x/k"), "'counter@x' doesn't exist")


@pytest.mark.parametrize(
    ("headers", "body", "seen"),
    [
        (JSON, b'{"a":1}', {"a": 1}),
        (JSON, b"7 and more", 7),
        (JSON, b"{a:'b',}", {"a": "b"}),
        (JSON, b"", None),
        (JSON, b"  ", None),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, b"[1]", [1]),
        ({"Content-Type": "text/json"}, b"[1]", "[1]"),
        ({"Content-Type": "text/plain"}, b"", None),
        ({"Content-Type": "text/plain"}, "æ☃".encode(), "æ☃"),
        ({}, b'"x"', '"x"'),
        ({}, b"\xff", "\ufffd"),
    ],
)
async def test_a_body_is_the_input_by_its_content_type(
    hub: Hub, headers: dict[str, str], body: bytes, seen: Any
) -> None:
    answer = await hub.post("/entities/Recorder/k?op=x", headers=headers, content=body)
    await hub.settle()

    assert is_empty(answer, 202)
    assert (await hub.get("/entities/Recorder/k")).json()["input"] == seen


@pytest.mark.parametrize("body", [b"{bad", b'{"a":1', b"\xff", b"[" * 9999, b"nothing"])
async def test_a_body_that_is_not_json_is_refused(hub: Hub, body: bytes) -> None:
    answer = await hub.post("/entities/Recorder/k?op=x", headers=JSON, content=body)
    await hub.settle()

    assert is_refusal(answer, "Could not parse JSON content: ")
    assert await listed(hub) == []


async def test_a_number_keeps_its_digits_in_the_state(hub: Hub) -> None:
    await signalled(hub, "Counter/k?op=add", 12345678901234567890123)

    assert (await hub.get("/entities/Counter/k")).content == b"12345678901234567890123"


async def test_a_body_longer_than_allowed_is_refused() -> None:
    async with Hub(*ALL, settings=WebSettings(body_bytes_max=10)).open() as hub:
        answer = await hub.post("/entities/Recorder/k?op=x", content=b"x" * 11)

        assert answer.status_code == 413
        assert answer.json()["Message"].startswith("The request body is longer")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_what_is_done_with_an_operation_does_not_matter(hub: Hub, method: str) -> None:
    """It may fail, or find nothing to do."""
    answer = await hub.http.request(method, f"{BASE}/entities/Counter/k?op=explode")
    await hub.settle()

    assert is_empty(answer, 202)
    assert is_empty(await hub.get("/entities/Counter/k"), 404)


async def test_a_signal_that_is_repeated_with_its_idempotency_key_counts_once(hub: Hub) -> None:
    for _ in range(3):
        await signalled(hub, "Counter/k?op=add", 1, Idempotency_Key="order-1")
    assert (await hub.get("/entities/Counter/k")).json() == 1

    await signalled(hub, "Counter/k?op=add", 1, Idempotency_Key="order-2")
    await signalled(hub, "Counter/k?op=add", 1, Idempotency_Key="")
    await signalled(hub, "Counter/k?op=add", 1)
    assert (await hub.get("/entities/Counter/k")).json() == 4


async def test_idempotency_keys_of_different_entities_have_nothing_to_do_with_each_other(
    hub: Hub,
) -> None:
    for key in "ab":
        await signalled(hub, f"Counter/{key}?op=add", 1, Idempotency_Key="order-1")

    assert await listed(hub, "/entities?fetchState=true") == [
        ("counter", "a", 1),
        ("counter", "b", 1),
    ]


async def test_a_deletion_that_is_repeated_does_not_delete_what_came_between(hub: Hub) -> None:
    headers = {"Idempotency-Key": "gone-1"}
    await signalled(hub, "Counter/k?op=add", 1)
    await hub.delete("/entities/Counter/k", headers=headers)
    await signalled(hub, "Counter/k?op=add", 5)
    repeated = await hub.delete("/entities/Counter/k", headers=headers)
    await hub.settle()

    assert is_empty(repeated, 202)
    assert (await hub.get("/entities/Counter/k")).json() == 5


@pytest.mark.parametrize("key", ["x" * 256, "a b;c=\"d\" 'e' {f}", "æ", "\xff\xfe", "☃".encode()])
async def test_an_idempotency_key_may_hold_what_a_header_may(hub: Hub, key: str | bytes) -> None:
    header = key.encode("latin-1") if isinstance(key, str) else key
    for _ in range(2):
        answer = await hub.post(
            "/entities/Counter/k?op=add", json=1, headers={b"Idempotency-Key": header}
        )
        assert is_empty(answer, 202)
    await hub.settle()

    assert (await hub.get("/entities/Counter/k")).json() == 1


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_an_idempotency_key_that_is_too_long_is_refused(hub: Hub, method: str) -> None:
    path = f"{BASE}/entities/Counter/k?op=add"
    answer = await hub.http.request(method, path, headers={"Idempotency-Key": "x" * 257})

    expected = "An operation id (Idempotency-Key) has 1 to 256 characters, not 257."
    assert is_refusal(answer, expected)


async def test_a_list_tells_of_each_entity_when_it_has_last_done_something(hub: Hub) -> None:
    await hub.clock.advance(0.123456)
    await signalled(hub, "Counter/k?op=add", 5)

    (row,) = (await hub.get("/entities/Counter?fetchState=true")).json()
    moment = row.pop("lastOperationTime")
    assert row == {"entityId": {"name": "counter", "key": "k"}, "state": 5}
    assert re.fullmatch(r"2026-01-01T00:00:00\.\d{1,7}Z", moment)


async def test_a_list_holds_no_state_unless_it_is_asked_for(hub: Hub) -> None:
    await signalled(hub, "Counter/k?op=add", 5)
    await signalled(hub, "Counter/n?op=nullify")
    await signalled(hub, "Counter/gone?op=add", 5)
    await signalled(hub, "Counter/gone?op=delete")

    both = [("counter", "k", None), ("counter", "n", None)]
    assert await listed(hub) == both
    assert await listed(hub, "/entities/?fetchState=1") == both
    assert await listed(hub, "/entities/counter?FetchState=TRUE") == [("counter", "k", 5)]


async def test_a_list_of_one_name_holds_no_other_that_begins_alike(hub: Hub) -> None:
    await signalled(hub, "Counter/k?op=add", 5)
    await signalled(hub, "Recorder/k?op=x")

    assert await listed(hub, "/entities/COUNTER") == [("counter", "k", None)]
    assert await listed(hub, "/entities/Count") == []
    assert await listed(hub, "/entities/Counter%23") == []


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", ["early", "late"]),
        ("lastOperationTimeFrom=2026-01-01T00:00:30Z", ["late"]),
        ("lastOperationTimeTo=2026-01-01T00:00:30Z", ["early"]),
        ("lastOperationTimeFrom=2026-01-01T01:00:30%2B01:00", ["late"]),
        ("lastOperationTimeFrom=soon&lastOperationTimeTo=later&top=many", ["early", "late"]),
    ],
)
async def test_a_list_is_filtered_by_the_time_of_the_last_operation(
    hub: Hub, query: str, keys: list[str]
) -> None:
    await signalled(hub, "Counter/early?op=add", 1)
    await hub.clock.advance(60)
    await signalled(hub, "Counter/late?op=add", 1)

    assert [key for _, key, _state in await listed(hub, f"/entities?{query}")] == keys


async def test_a_list_is_paged_by_a_token_that_ends_and_pages_are_not_empty(hub: Hub) -> None:
    for number in range(9):
        await signalled(hub, f"Counter/{number}?op=add", 1)
    for number in (0, 1, 2, 3, 6):
        await signalled(hub, f"Counter/{number}?op=delete")
    pages: list[list[str]] = []
    headers: dict[str, str] = {}
    while not pages or headers:
        answer = await hub.get("/entities?top=2", headers=headers)
        pages.append([row["entityId"]["key"] for row in answer.json()])
        token = answer.headers.get("x-ms-continuation-token")
        headers = {"x-ms-continuation-token": token} if token else {}

    assert pages == [["4", "5"], ["7"], ["8"]]


async def test_a_page_may_be_empty_where_very_many_have_no_state(hub: Hub) -> None:
    """A request must end; the token goes on."""
    for number in range(30):
        await hub.post(f"/entities/Counter/{number:02}?op=delete")
    await hub.settle()
    await signalled(hub, "Counter/zz?op=add", 1)

    first = await hub.get("/entities?top=1")
    token = first.headers["x-ms-continuation-token"]
    second = await hub.get("/entities?top=1", headers={"x-ms-continuation-token": token})
    assert first.json() == []
    assert [row["entityId"]["key"] for row in second.json()] == ["zz"]


async def test_a_page_is_no_longer_than_the_settings_allow() -> None:
    async with Hub(*ALL, settings=WebSettings(page_size_max=2)).open() as hub:
        for number in range(3):
            await signalled(hub, f"Counter/{number}?op=add", 1)

        assert len(await listed(hub, "/entities?top=5000")) == 2


@pytest.mark.parametrize("top", ["0", "-1"])
async def test_a_page_of_nothing_is_refused(hub: Hub, top: str) -> None:
    assert is_refusal(await hub.get(f"/entities?top={top}"), "at least one entity")


async def test_a_token_of_somebody_else_is_refused(hub: Hub) -> None:
    answer = await hub.get("/entities", headers={"x-ms-continuation-token": "rubbish"})

    assert is_refusal(answer, "continuation token")


async def test_another_hub_holds_nothing_and_takes_nothing(hub: Hub) -> None:
    await signalled(hub, "Counter/k?op=add", 1)

    assert is_empty(await hub.get("/entities/Counter/k?taskHub=Other"), 404)
    assert await listed(hub, "/entities?taskHub=Other") == []
    assert is_refusal(await hub.post("/entities/Counter/k?op=add&taskHub=Other"), "'TestHubName'")
    assert is_refusal(await hub.delete("/entities/Counter/k?taskHub=Other"), "'TestHubName'")
    assert (await hub.get("/entities/Counter/k?taskHub=testhubname")).json() == 1
    assert (await hub.get("/entities/Counter/k?connection=Nope")).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/entities/Counter/k"),
        ("PATCH", "/entities/Counter/k"),
        ("HEAD", "/entities/Counter/k"),
        ("GET", "/entities/Counter/k/x"),
        ("POST", "/entities/Counter/k/add"),
        ("DELETE", "/entities/Counter/k/x"),
        ("GET", "/entities//k"),
    ],
)
async def test_what_matches_no_endpoint_is_404_without_a_body(
    hub: Hub, method: str, path: str
) -> None:
    assert is_empty(await hub.http.request(method, BASE + path), 404)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_name_is_needed(hub: Hub, method: str) -> None:
    answer = await hub.http.request(method, f"{BASE}/entities?op=x")

    expected = (
        "Invalid entity id: entity name must not be a null or empty string. "
        "(Parameter 'entityName')"
    )
    assert answer.json() == {"Message": expected}


async def test_an_entity_is_an_instance_of_the_list_and_is_purged_like_one(hub: Hub) -> None:
    await signalled(hub, "Counter/k?op=add", 1)
    (row,) = (await hub.get("/instances")).json()
    assert (row["instanceId"], row["name"]) == ("@counter@k", "@counter@k")
    assert row["customStatus"] == {"entityExists": True}

    purged = await hub.delete("/instances/@counter@k")
    assert (purged.status_code, purged.json()) == (200, {"instancesDeleted": 1})
    assert is_empty(await hub.get("/entities/Counter/k"), 404)
    assert (await hub.get("/instances")).json() == []
    assert is_empty(await hub.delete("/instances/@counter@k"), 404)


async def test_a_purge_by_filter_spares_entities(hub: Hub) -> None:
    await signalled(hub, "Counter/k?op=add", 1)

    assert is_empty(await hub.delete("/instances?createdTimeFrom=2000-01-01"), 404)
    assert (await hub.get("/entities/Counter/k")).json() == 1


async def test_an_entity_goes_on_where_an_orchestration_would_be_held_or_end(hub: Hub) -> None:
    await signalled(hub, "Counter/k?op=add", 1)
    for operation in ("suspend", "terminate"):
        assert is_empty(await hub.post(f"/instances/@counter@k/{operation}?reason=x"), 202)
    await hub.settle()
    await signalled(hub, "Counter/k?op=add", 1)

    assert (await hub.get("/entities/Counter/k")).json() == 2
    assert (await hub.get("/instances/@counter@k")).json()["runtimeStatus"] == "Running"


@pytest.mark.parametrize("instance_id", ["@", "@counter", "@@k"])
async def test_what_only_looks_like_an_entity_is_not_listed(hub: Hub, instance_id: str) -> None:
    start = OrchestrationInstance(instance_id, "e")
    stored = ExecutionStarted(
        timestamp=hub.clock.now(), orchestration_instance=start, name="x", input="no JSON"
    )
    async with Hub(*ALL).open(with_worker=False) as idle:
        await idle.backend.create_instance(stored)
        await idle.post("/entities/Counter/k?op=add", json=1)

        assert await listed(idle, "/entities?fetchState=true") == []


async def test_a_state_that_cannot_be_read_is_our_fault(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    start = OrchestrationInstance("@counter@k", "e")
    stored = ExecutionStarted(
        timestamp=hub.clock.now(), orchestration_instance=start, name="x", input="no JSON"
    )
    async with Hub(*ALL).open(with_worker=False) as idle:
        await idle.backend.create_instance(stored)
        answer = await idle.get("/entities/Counter/k")

        assert answer.status_code == 500
        assert "What is stored of the entity '@counter@k' cannot be read" in caplog.text
        assert await listed(idle) == []
