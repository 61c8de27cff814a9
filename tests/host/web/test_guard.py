"""Who may ask: with a key by the key, without one only who is not sent from elsewhere."""

from __future__ import annotations

import pytest

from func_bindings import route
from func_host.web import WebSettings
from tests.host.web.hub import BASE, ORIGIN, Hub

pytestmark = pytest.mark.anyio

KEY = "secret-key"
PATHS = [
    *("/", "/api/hello", "/api/none", f"{BASE}/instances", f"{BASE}/none", "/runtime/none"),
    *("/admin/host/status", "/admin/functions", "/admin/none", "/none"),
]


@route
def hello() -> str:
    return "hello"


def hub(settings: WebSettings | None = None) -> Hub:
    return Hub(hello, settings=settings)


@pytest.mark.parametrize("path", PATHS)
async def test_with_a_key_every_request_needs_it(path: str) -> None:
    async with hub(WebSettings(master_key=KEY)).open(with_worker=False) as opened:
        answers = [
            await opened.http.get(path),
            await opened.http.get(path, headers={"x-functions-key": "wrong"}),
            await opened.http.get(f"{path}?code=wrong"),
            await opened.http.get(f"{path}?code={KEY}", headers={"x-functions-key": "wrong"}),
        ]
        by_header = await opened.http.get(path, headers={"X-Functions-Key": KEY})
        by_query = await opened.http.get(f"{path}?CODE={KEY}")

    assert [(each.status_code, each.content) for each in answers] == [(401, b"")] * 4
    assert by_header.status_code != 401
    assert by_query.status_code == by_header.status_code


async def test_with_a_key_the_ping_needs_none() -> None:
    async with hub(WebSettings(master_key=KEY)).open(with_worker=False) as opened:
        assert (await opened.http.post("/admin/host/ping")).status_code == 200
        dotted = await opened.http.get("/admin/host/ping/%2e%2e/status")
        assert dotted.status_code == 401


async def test_with_a_key_the_names_of_hosts_do_not_matter() -> None:
    async with hub(WebSettings(master_key=KEY)).open(with_worker=False) as opened:
        headers = {"Host": "public.example", "Origin": "https://e.example", "x-functions-key": KEY}
        assert (await opened.http.post("/api/hello", headers=headers)).status_code == 200


async def test_with_a_key_links_carry_it_and_work() -> None:
    from tests.host.web.orchestrators import wait_event  # noqa: PLC0415

    settings = WebSettings(master_key="a+b&c=")
    async with Hub(wait_event, settings=settings).open(with_worker=False) as opened:
        started = await opened.post(
            "/orchestrators/WaitEvent", headers={"x-functions-key": "a+b&c="}
        )
        status = await opened.http.get(started.json()["statusQueryGetUri"])

    assert started.json()["statusQueryGetUri"].endswith("&code=a%2Bb%26c=")
    assert status.status_code == 202


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:80",
        "127.0.0.1:7071",
        "127.8.9.1",
        "[::1]:7071",
        "a.localhost",
        "localhost.",
    ],
)
async def test_without_a_key_every_loopback_name_with_any_port_is_answered(host: str) -> None:
    async with hub().open(with_worker=False) as opened:
        answer = await opened.http.get("/api/hello", headers={"Host": host})

    assert answer.text == "hello"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:7071", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("192.168.0.1", "10.0.0.1", "", "localhost@evil.example", "[::2]", "[::1].evil.example"),
    ],
)
@pytest.mark.parametrize("path", ["/api/hello", f"{BASE}/instances", "/admin/host/ping"])
async def test_without_a_key_another_host_name_is_refused_in_one_line(host: str, path: str) -> None:
    async with hub().open(with_worker=False) as opened:
        answer = await opened.http.get(path, headers={"Host": host})

    assert answer.status_code == 403
    assert "Host header" in answer.json()["Message"]
    assert "\n" not in answer.text


@pytest.mark.parametrize(
    ("origin", "method", "status"),
    [
        ("https://evil.example", "POST", 403),
        ("null", "POST", 403),
        ("http://localhost.evil.example", "DELETE", 403),
        ("https://evil.example", "GET", 200),
        ("http://localhost:3000", "POST", 200),
        ("http://127.0.0.1:7071", "PUT", 200),
        ("https://portal.example", "POST", 200),
    ],
)
async def test_without_a_key_a_write_from_another_origin_is_refused(
    origin: str, method: str, status: int
) -> None:
    settings = WebSettings(allowed_origins=frozenset({"https://portal.example"}))
    async with hub(settings).open(with_worker=False) as opened:
        answer = await opened.http.request(method, "/api/hello", headers={"Origin": origin})

    assert answer.status_code == status


async def test_names_that_the_settings_allow_are_answered() -> None:
    settings = WebSettings(allowed_hosts=frozenset({"My.Box"}))
    async with hub(settings).open(with_worker=False) as opened:
        answer = await opened.http.get("/api/hello", headers={"Host": "my.box:7071"})

    assert answer.status_code == 200


async def test_a_request_without_a_host_header_is_no_browsers() -> None:
    async with hub().open(with_worker=False) as opened:
        assert (await opened.send("GET", "/api/hello")).status == 200
        assert opened.client.links.origin == ORIGIN


def test_the_key_is_not_shown_where_settings_are() -> None:
    assert KEY not in repr(WebSettings(master_key=KEY))
    assert KEY not in repr(hub(WebSettings(master_key=KEY)).client.links)
