"""The application around the parts: home page, admin, odd requests, the server's own messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import HttpRequest, route
from func_host.web import WebSettings
from tests.host.web.hub import BASE, ORIGIN, Hub
from tests.host.web.orchestrators import echo

if TYPE_CHECKING:
    from collections.abc import MutableMapping

pytestmark = pytest.mark.anyio


@route("Items/{Id}", methods=["GET"])
def items(req: HttpRequest) -> str:
    return req.method


def hub(**settings: Any) -> Hub:
    return Hub(items, echo, settings=WebSettings(**settings))


async def test_the_root_is_a_small_page() -> None:
    async with hub().open(with_worker=False) as opened:
        answer = await opened.http.get("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


async def test_the_host_tells_its_state() -> None:
    async with hub(version="1.2.3", host_instance_id="abc").open(with_worker=False) as opened:
        await opened.clock.advance(1.5)
        answer = await opened.http.get("/admin/host/status")

    body = answer.json()
    assert (body["state"], body["version"], body["instanceId"]) == ("Running", "1.2.3", "abc")
    assert body["processUptime"] == 1500
    assert "errors" not in body


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_ping_is_empty_and_not_cached(method: str) -> None:
    async with hub().open(with_worker=False) as opened:
        answer = await opened.http.request(method, "/Admin/Host/Ping")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["cache-control"] == "no-store, no-cache"


async def test_functions_are_described() -> None:
    async with hub().open(with_worker=False) as opened:
        listed = (await opened.http.get("/admin/functions")).json()
        one = await opened.http.get("/admin/functions/ITEMS")
        none = await opened.http.get("/admin/functions/none")

    assert [each["name"] for each in listed] == ["Echo", "items"]
    assert listed[0]["invoke_url_template"] is None
    assert listed[0]["config"]["bindings"] == [
        {"type": "orchestrationTrigger", "direction": "in", "name": "context"}
    ]
    described = one.json()
    assert described["href"] == f"{ORIGIN}/admin/functions/items"
    assert described["invoke_url_template"] == f"{ORIGIN}/api/items/{{id}}"
    assert described["config"]["scriptFile"] == "test_app.py"
    assert described["config"]["bindings"] == [
        {
            "type": "httpTrigger",
            "direction": "in",
            "name": "req",
            "route": "Items/{Id}",
            "methods": ["get"],
            "authLevel": "function",
        },
        {"type": "http", "direction": "out", "name": "$return"},
    ]
    assert (none.status_code, none.content) == (404, b"")


@pytest.mark.parametrize("path", ["/none", "/admin", "/admin/none", "/runtime/webhooks/other"])
async def test_other_paths_are_404_without_a_body(path: str) -> None:
    async with hub().open(with_worker=False) as opened:
        answer = await opened.http.get(path)

    assert (answer.status_code, answer.content) == (404, b"")


async def test_a_path_with_a_nul_is_refused() -> None:
    async with hub().open(with_worker=False) as opened:
        assert (await opened.send("GET", f"{BASE}/instances/a%00b")).status == 400


async def test_dots_are_resolved_before_anything_is_decided() -> None:
    async with hub().open(with_worker=False) as opened:
        assert (await opened.send("GET", "/admin/host/ping/../../../api/items/7")).status == 200


async def test_the_servers_start_and_stop_are_acknowledged() -> None:
    incoming = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await hub().app({"type": "lifespan"}, receive, send)

    assert [each["type"] for each in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_a_websocket_is_closed() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await hub().app({"type": "websocket"}, receive, send)

    assert [each["type"] for each in sent] == ["websocket.close"]


async def test_a_fault_of_ours_in_a_function_request_is_500_without_a_body(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from func_host.web.routes import RouteTable  # noqa: PLC0415

    def broken(*_: object) -> None:
        message = "inside"
        raise RuntimeError(message)

    monkeypatch.setattr(RouteTable, "find", broken)
    async with hub().open(with_worker=False) as opened:
        answer = await opened.http.get("/api/items/7")

    assert (answer.status_code, answer.content) == (500, b"")
    assert "a request failed" in caplog.text
