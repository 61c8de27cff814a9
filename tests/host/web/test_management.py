"""The management API answers as the extension does, and where ours is the better choice."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.history import EventRaised, ExecutionSuspended
from func_host.web import WebSettings
from tests.host.web.hub import BASE, ORIGIN, Hub
from tests.host.web.orchestrators import ALL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, MutableMapping

    import httpx

pytestmark = pytest.mark.anyio

FOUR_FIELDS = {"Message", "ExceptionMessage", "ExceptionType", "StackTrace"}
EIGHT_LINKS = {
    "id",
    "statusQueryGetUri",
    "sendEventPostUri",
    "terminatePostUri",
    "purgeHistoryDeleteUri",
    "restartPostUri",
    "suspendPostUri",
    "resumePostUri",
}


@pytest.fixture
async def hub() -> AsyncGenerator[Hub]:
    async with Hub(*ALL).open() as hub:
        yield hub


async def started(hub: Hub, name: str, instance_id: str, content: bytes | None = None) -> None:
    answer = await hub.post(f"/orchestrators/{name}/{instance_id}", content=content)
    assert answer.status_code == 202
    await hub.settle()


async def state(hub: Hub, instance_id: str) -> tuple[int, Any]:
    answer = await hub.get(f"/instances/{instance_id}")
    return answer.status_code, answer.json()["runtimeStatus"]


def is_refusal(answer: httpx.Response, status: int, message: str | None = None) -> bool:
    body = answer.json()
    assert answer.status_code == status
    assert body.keys() == FOUR_FIELDS
    return message is None or message in body["ExceptionMessage"]


def is_empty(answer: httpx.Response, status: int) -> bool:
    assert "content-type" not in answer.headers
    return answer.status_code == status and answer.content == b""


async def test_a_start_answers_with_the_eight_links_of_a_new_instance(hub: Hub) -> None:
    answer = await hub.post("/orchestrators/Echo")

    body = answer.json()
    assert answer.status_code == 202
    assert re.fullmatch("[0-9a-f]{32}", body["id"])
    assert body.keys() == EIGHT_LINKS
    assert answer.headers["retry-after"] == "10"
    assert answer.headers["location"] == body["statusQueryGetUri"]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_links_stand_on_the_origin_that_the_client_asked(hub: Hub) -> None:
    answer = await hub.http.post(f"{BASE}/orchestrators/Echo", headers={"Host": "127.0.0.1:9999"})

    assert answer.json()["statusQueryGetUri"].startswith("http://127.0.0.1:9999/runtime/")


async def test_a_start_without_length_and_with_an_odd_type_has_no_input(hub: Hub) -> None:
    headers = {"Content-Type": "application/octet-stream", "Content-Length": "0"}
    await hub.post("/orchestrators/WaitEvent/a", headers=headers)

    assert (await hub.get("/instances/a")).json()["input"] is None


async def test_an_input_is_kept_character_by_character(hub: Hub) -> None:
    text = '{ "b" : 1.50, "a" : 12345678901234567890123 }'
    await started(hub, "WaitEvent", "a", text.encode())

    record = await hub.client.record("a")
    assert record is not None
    assert record.input == text
    assert '"input":' + text in (await hub.get("/instances/a")).text


async def test_json_in_a_json_string_stays_a_string(hub: Hub) -> None:
    await started(hub, "Echo", "a", b'"{\\"a\\": 1}"')

    assert (await hub.get("/instances/a")).json()["input"] == '{"a": 1}'


@pytest.mark.parametrize(
    "body", [b"{bad", b'{"a":1', b"[1,2", b'"abc', b"1 2", b"\xff", b"[" * 9999]
)
async def test_a_body_that_is_not_json_is_refused_and_starts_nothing(hub: Hub, body: bytes) -> None:
    answer = await hub.post("/orchestrators/Echo/a", content=body)

    assert is_refusal(answer, 400)
    assert answer.json()["Message"] == "Invalid JSON content"
    assert is_empty(await hub.get("/instances/a"), 404)


async def test_an_unknown_orchestrator_is_refused_with_the_known_ones(hub: Hub) -> None:
    answer = await hub.post("/orchestrators/Nope/a")

    assert is_refusal(answer, 400, "The function 'Nope' doesn't exist")
    assert "'Echo'" in answer.json()["ExceptionMessage"]
    assert is_empty(await hub.get("/instances/a"), 404)


@pytest.mark.parametrize("instance_id", ["%40a", "a%23b", "a%3Fb", "a%5Cb", "a%01b", "a" * 257])
async def test_an_id_that_cannot_be_is_refused(hub: Hub, instance_id: str) -> None:
    assert is_refusal(await hub.post(f"/orchestrators/Echo/{instance_id}"), 400)


async def test_a_live_id_is_a_conflict_and_a_finished_one_is_replaced(hub: Hub) -> None:
    await started(hub, "WaitEvent", "a")
    answer = await hub.post("/orchestrators/Echo/a", json=1)
    assert is_refusal(answer, 409, "with the status Running already exists.")

    await hub.client.terminate("a")
    await hub.settle()
    await started(hub, "Echo", "a", b"2")
    assert (await hub.get("/instances/a")).json()["output"] == 2


async def test_a_version_given_at_the_start_is_stored_an_empty_one_too(hub: Hub) -> None:
    await hub.post("/orchestrators/Echo/a?version=1.2")
    await hub.post("/orchestrators/Echo/b?version=")

    records = [await hub.client.record(each) for each in "ab"]
    assert [record.version for record in records if record] == ["1.2", ""]


async def test_a_start_that_waits_answers_with_the_bare_output(hub: Hub) -> None:
    answer = await hub.send("POST", f"{BASE}/orchestrators/Chain?timeout=5&pollingInterval=1")

    assert answer.status == 200
    assert answer.json == ["Hello Oslo!", "Hello Lima!", "Hello nobody!"]


async def test_a_timeout_alone_waits_too(hub: Hub) -> None:
    answer = await hub.send("POST", f"{BASE}/orchestrators/Timer?timeout=5")

    assert (answer.status, answer.json) == (200, "rang")


async def test_a_start_that_waits_for_a_failure_answers_200_with_its_status(hub: Hub) -> None:
    answer = await hub.send("POST", f"{BASE}/orchestrators/Fail?timeout=5")

    assert answer.status == 200
    assert answer.json["runtimeStatus"] == "Failed"
    assert "orchestrator boom" in answer.json["output"]


async def test_a_wait_ends_with_the_links_when_its_time_is_over(hub: Hub) -> None:
    answer = await hub.send("POST", f"{BASE}/orchestrators/WaitEvent?timeout=2")

    assert answer.status == 202
    assert answer.json.keys() == EIGHT_LINKS


async def test_a_wait_is_ended_by_a_termination(hub: Hub) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(hub.post("/orchestrators/WaitEvent/a?timeout=60"))
        await hub.settle()
        await hub.post("/instances/a/terminate?reason=enough")
        await hub.settle()
    answer = waiting.result()

    assert answer.status_code == 200
    assert (answer.json()["runtimeStatus"], answer.json()["output"]) == ("Terminated", "enough")


async def test_an_interval_longer_than_the_timeout_is_refused_after_the_start(hub: Hub) -> None:
    answer = await hub.post("/orchestrators/Echo/a?timeout=1&pollingInterval=5")
    await hub.settle()

    expected = "Total timeout 1 should be bigger than retry timeout 5"
    assert is_refusal(answer, 400, expected)
    assert await state(hub, "a") == (200, "Completed")


@pytest.mark.parametrize("span", ["NaN", "Infinity", "1e300"])
async def test_a_timeout_that_is_no_span_is_refused(hub: Hub, span: str) -> None:
    assert is_refusal(await hub.post(f"/orchestrators/Echo?timeout={span}"), 400)


async def test_a_client_that_goes_away_ends_its_wait(hub: Hub) -> None:
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: list[MutableMapping[str, Any]] = []

    async def answer() -> None:
        await hub.app(scope, incoming.get, send)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": f"{BASE}/orchestrators/WaitEvent",
        "query_string": b"timeout=86400",
        "headers": [],
    }
    incoming.put_nowait({"type": "http.request", "body": b""})
    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(answer())
        await hub.settle()
        assert not answering.done()

        incoming.put_nowait({"type": "http.disconnect"})
        await hub.settle()
        assert answering.done()


async def test_a_client_that_goes_away_while_sending_is_not_answered(hub: Hub) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    path = f"{BASE}/orchestrators/Echo/a"
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "headers": []}
    await hub.app(scope, receive, send)

    assert sent == []
    assert await hub.client.record("a") is None


async def test_the_status_of_one_that_runs_is_202_with_where_to_ask_again(hub: Hub) -> None:
    await started(hub, "WaitEvent", "a")
    answer = await hub.get("/instances/a?showInput=False&x=a%20b+c")

    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["location"] == f"{ORIGIN}{BASE}/instances/a?showInput=False&x=a%20b+c"


async def test_the_status_of_one_that_has_ended_is_200_and_the_eight_fields(hub: Hub) -> None:
    await started(hub, "Echo", "a", b'{"city":"Oslo"}')
    answer = await hub.get("/instances/a")

    body = answer.json()
    assert answer.status_code == 200
    assert "location" not in answer.headers
    assert list(body) == [
        "name",
        "instanceId",
        "runtimeStatus",
        "input",
        "customStatus",
        "output",
        "createdTime",
        "lastUpdatedTime",
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["createdTime"])


async def test_a_failed_one_is_500_only_where_that_is_asked_for(hub: Hub) -> None:
    await started(hub, "Fail", "a")
    usual = await hub.get("/instances/a")
    asked = await hub.get("/instances/a?returnInternalServerErrorOnFailure=true")

    assert (usual.status_code, asked.status_code) == (200, 500)
    assert usual.json() == asked.json()


async def test_a_path_compares_its_words_without_case_and_its_ids_with(hub: Hub) -> None:
    await started(hub, "Echo", "a")

    found = await hub.http.get("/Runtime/Webhooks/DurableTask/Instances/a/")
    assert found.status_code == 200
    assert is_empty(await hub.get("/instances/A"), 404)


async def test_an_id_with_a_space_is_found_by_a_plus_as_links_write_it(hub: Hub) -> None:
    await started(hub, "WaitEvent", "a%20b")
    link = (await hub.post("/instances/a+b/suspend")).status_code
    await hub.settle()

    assert link == 202
    assert await state(hub, "a+b") == (202, "Suspended")


async def test_an_escaped_slash_never_makes_a_segment(hub: Hub) -> None:
    await started(hub, "Echo", "a%2Fterminate")

    assert (await hub.get("/instances/a%2Fterminate")).json()["instanceId"] == "a%2Fterminate"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/instances//a"),
        ("POST", "/instances"),
        ("PUT", "/instances/a"),
        ("HEAD", "/instances/a"),
        ("PATCH", "/instances/a"),
        ("OPTIONS", "/instances"),
        ("GET", "/orchestrators/Echo"),
        ("POST", "/orchestrators"),
        ("POST", "/orchestrators/Echo/a/b"),
        ("GET", "/instances/a/terminate"),
        ("POST", "/instances/a/explode"),
        ("POST", "/instances/a/terminate/now"),
        ("POST", "/instances/a/raiseEvent"),
        ("POST", "/instances/a/raiseEvent/x/y"),
    ],
)
async def test_what_matches_no_endpoint_is_404_without_a_body(
    hub: Hub, method: str, path: str
) -> None:
    answer = await hub.http.request(method, BASE + path)

    assert is_empty(answer, 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/instances/a/rewind"),
        ("POST", "/instances/a/restart"),
    ],
)
async def test_what_comes_later_says_so(hub: Hub, method: str, path: str) -> None:
    answer = await hub.http.request(method, BASE + path)

    assert is_refusal(answer, 501, "is not supported by this version")


async def test_make_primary_has_nothing_to_do(hub: Hub) -> None:
    assert is_empty(await hub.post("/makeprimary"), 200)


async def test_events_are_checked_in_the_order_of_the_extension(hub: Hub) -> None:
    await started(hub, "WaitEvent", "a")
    path = "/instances/a/raiseEvent/Approve"
    missing = await hub.post("/instances/none/raiseEvent/Approve", content=b"{bad")
    text = await hub.post(path, content=b"1", headers={"Content-Type": "text/plain"})
    broken = await hub.post(
        path, content=b"{bad", headers={"Content-Type": "Application/JSON; charset=utf-8"}
    )
    good = await hub.post(path, json={"ok": True})
    await hub.settle()
    gone = await hub.post(path, content=b"x", headers={"Content-Type": "text/plain"})

    assert is_empty(missing, 404)
    assert text.status_code == 400
    assert text.json() == {"Message": "Only application/json request content is supported"}
    assert is_refusal(broken, 400)
    assert broken.json()["Message"] == "Invalid JSON content"
    assert is_empty(good, 202)
    assert (await hub.get("/instances/a")).json()["output"] == {"ok": True}
    assert is_empty(gone, 410)


@pytest.mark.parametrize("body", [b"", b"  "])
async def test_an_empty_event_is_null(hub: Hub, body: bytes) -> None:
    await started(hub, "WaitEvent", "a")
    headers = {"Content-Type": "application/json"}
    answer = await hub.post("/instances/a/raiseEvent/Approve", content=body, headers=headers)
    await hub.settle()

    assert is_empty(answer, 202)
    assert [e.input for e in await hub.client.history("a") if isinstance(e, EventRaised)] == [
        "null"
    ]


async def test_terminating_shows_the_reason_and_cannot_be_done_twice(hub: Hub) -> None:
    await started(hub, "WaitEvent", "a")
    first = await hub.post("/instances/a/terminate?reason=a%20b+c%26d")
    await hub.settle()
    second = await hub.post("/instances/a/terminate?reason=again")

    assert is_empty(first, 202)
    assert is_empty(second, 410)
    assert (await hub.get("/instances/a")).json()["output"] == "a b c&d"
    assert is_empty(await hub.post("/instances/none/terminate"), 404)


async def test_suspending_and_resuming_change_the_state_and_repeat_without_harm(hub: Hub) -> None:
    await started(hub, "WaitEvent", "a")
    seen = [await state(hub, "a")]
    for operation in ("resume", "suspend", "suspend", "resume", "resume"):
        assert is_empty(await hub.post(f"/instances/a/{operation}?reason=x"), 202)
        await hub.settle()
        seen.append(await state(hub, "a"))

    names = [name for _, name in seen]
    assert names == ["Running", "Running", "Suspended", "Suspended", "Running", "Running"]
    assert {status for status, _ in seen} == {202}
    events = [e for e in await hub.client.history("a") if isinstance(e, ExecutionSuspended)]
    assert len(events) == 1
    assert is_empty(await hub.post("/instances/none/suspend"), 404)


async def test_a_resume_right_after_a_suspend_is_not_lost(hub: Hub) -> None:
    await started(hub, "WaitEvent", "a")
    await hub.post("/instances/a/suspend")
    await hub.post("/instances/a/resume")
    await hub.settle()

    assert await state(hub, "a") == (202, "Running")


async def test_only_an_instance_that_has_ended_is_purged(hub: Hub) -> None:
    await started(hub, "WaitEvent", "a")
    refused = await hub.delete("/instances/a")
    assert refused.status_code == 412
    assert "'a'" in refused.json()
    assert "Running" in refused.json()

    await hub.client.terminate("a")
    await hub.settle()
    assert (await hub.delete("/instances/a")).json() == {"instancesDeleted": 1}
    assert is_empty(await hub.get("/instances/a"), 404)
    assert is_empty(await hub.delete("/instances/a"), 404)


async def test_a_purge_by_filter_needs_a_beginning_and_spares_what_runs(hub: Hub) -> None:
    await started(hub, "Echo", "done")
    await started(hub, "Fail", "failed")
    await started(hub, "WaitEvent", "runs")
    since = "createdTimeFrom=2000-01-01"

    unbounded = await hub.delete("/instances?createdTimeFrom=soon")
    assert unbounded.status_code == 400
    assert unbounded.json() == "Please provide value for 'createdTimeFrom' parameter."
    assert is_empty(await hub.delete("/instances?createdTimeFrom=2099-01-01"), 404)
    assert is_empty(await hub.delete(f"/instances?{since}&runtimeStatus=Running"), 404)
    assert is_empty(await hub.delete(f"/instances?{since}&runtimeStatus=completed"), 404)
    failed = await hub.delete(f"/instances?{since}&runtimeStatus=Running,Failed")
    assert failed.json() == {"instancesDeleted": 1}
    assert (await hub.delete(f"/instances/?{since}")).json() == {"instancesDeleted": 1}
    assert [row["instanceId"] for row in (await hub.get("/instances")).json()] == ["runs"]


async def test_lists_are_paged_by_a_token_that_ends(hub: Hub) -> None:
    for number in range(5):
        await started(hub, "Echo", f"i{number}")
    pages: list[list[str]] = []
    headers: dict[str, str] = {}
    while not pages or headers:
        answer = await hub.get("/instances?top=2", headers=headers)
        pages.append([row["instanceId"] for row in answer.json()])
        token = answer.headers.get("x-ms-continuation-token")
        headers = {"x-ms-continuation-token": token} if token else {}

    assert pages == [["i0", "i1"], ["i2", "i3"], ["i4"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["done", "failed", "runs"]),
        ("runtimeStatus=running", ["done", "failed", "runs"]),
        ("runtimeStatus=Running,Failed", ["failed", "runs"]),
        ("runtimeStatus=Running&runtimeStatus=Failed", ["failed", "runs"]),
        ("runtimeStatus=99", []),
        ("instanceIdPrefix=f", ["failed"]),
        ("createdTimeFrom=yesterday", ["done", "failed", "runs"]),
        ("createdTimeFrom=2099-01-01", []),
        ("top=abc", ["done", "failed", "runs"]),
    ],
)
async def test_lists_are_filtered_and_what_cannot_be_parsed_filters_nothing(
    hub: Hub, query: str, found: list[str]
) -> None:
    for name, instance_id in (("Echo", "done"), ("Fail", "failed"), ("WaitEvent", "runs")):
        await started(hub, name, instance_id)
    for path in ("/instances", "/instances/"):
        answer = await hub.get(f"{path}?{query}")

        assert answer.status_code == 200
        assert [row["instanceId"] for row in answer.json()] == found


@pytest.mark.parametrize("query", ["top=0", "top=-1", "runtimeStatus=Unknown", "taskHub=bad_hub!"])
async def test_a_filter_that_makes_no_sense_is_refused(hub: Hub, query: str) -> None:
    assert is_refusal(await hub.get(f"/instances?{query}"), 400)


async def test_a_token_of_somebody_else_is_refused(hub: Hub) -> None:
    answer = await hub.get("/instances", headers={"x-ms-continuation-token": "rubbish"})

    assert is_refusal(answer, 400, "continuation token")


async def test_a_page_is_no_longer_than_the_settings_allow() -> None:
    async with Hub(*ALL, settings=WebSettings(page_size_max=2)).open() as hub:
        for number in range(3):
            await started(hub, "Echo", str(number))

        assert len((await hub.get("/instances?top=5000")).json()) == 2


async def test_another_hub_holds_nothing_and_starts_nothing(hub: Hub) -> None:
    await started(hub, "WaitEvent", "a")
    other = "taskHub=Other"

    assert is_empty(await hub.get(f"/instances/a?{other}"), 404)
    assert is_empty(await hub.post(f"/instances/a/terminate?{other}"), 404)
    assert is_empty(await hub.delete(f"/instances?createdTimeFrom=2000-01-01&{other}"), 404)
    assert (await hub.get(f"/instances?{other}")).json() == []
    assert is_refusal(await hub.post(f"/orchestrators/Echo?{other}"), 400, "'TestHubName'")
    assert (await hub.get("/instances/a?taskHub=testhubname&connection=Storage")).status_code == 202
    assert is_refusal(await hub.get("/instances/a?connection=Nope"), 400, "'Nope'")


async def test_the_history_is_shown_where_it_is_asked_for(hub: Hub) -> None:
    await started(hub, "Chain", "a")
    answer = await hub.get("/instances/a?showHistory=True&showHistoryOutput=true&showInput=false")
    plain = await hub.get("/instances/a?showHistory=1")

    events = answer.json()["historyEvents"]
    assert [event["EventType"] for event in events] == [
        "ExecutionStarted",
        "TaskCompleted",
        "TaskCompleted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    assert events[1]["Result"] == "Hello Oslo!"
    assert not any("Input" in event for event in events)
    assert "historyEvents" not in plain.json()


async def test_a_body_of_20_mb_is_an_input_and_a_longer_one_than_allowed_is_not() -> None:
    large = json.dumps("x" * (20 * 1024 * 1024)).encode()
    async with Hub(*ALL).open() as hub:
        await started(hub, "WaitEvent", "a", large)
        assert len((await hub.get("/instances/a")).json()["input"]) == len(large) - 2
    async with Hub(*ALL, settings=WebSettings(body_bytes_max=1000)).open() as hub:
        answer = await hub.post("/orchestrators/Echo/a", content=large)
        assert answer.status_code == 413
        assert answer.json()["Message"].startswith("The request body is longer")


async def test_a_fault_of_ours_is_500_and_says_nothing_of_what_is_inside(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        message = "secret path"
        raise RuntimeError(message)

    monkeypatch.setattr(hub.backend, "get_instance", broken)
    answer = await hub.get("/instances/a")

    assert is_refusal(answer, 500)
    assert "secret" not in answer.text
    assert "secret path" in caplog.text
