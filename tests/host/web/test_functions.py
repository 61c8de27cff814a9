"""User functions over HTTP: routes, values in by annotation, answers out."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypedDict, cast

import pytest

from func_bindings import (
    AuthLevel,
    DurableClient,
    HttpRequest,
    HttpResponse,
    durable_client,
    route,
)
from func_host.errors import AppError
from func_host.web import WebSettings
from tests.host.web.hub import ORIGIN, Hub
from tests.host.web.orchestrators import echo, fail, wait_event

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

pytestmark = pytest.mark.anyio


@dataclass
class Order:
    item: str
    count: int = 1


class Point(TypedDict):
    x: int
    y: int


async def ask(
    function: Callable[..., Any] | tuple[Callable[..., Any], ...],
    path: str,
    method: str = "GET",
    settings: WebSettings | None = None,
    **more: Any,
) -> httpx.Response:
    functions = (function,) if callable(function) else function
    async with Hub(*functions, settings=settings).open(with_worker=False) as hub:
        return await hub.http.request(method, path, **more)


async def test_a_function_sees_the_request_as_azure_gives_it() -> None:
    seen: list[HttpRequest] = []

    @route("items/{id:int}/{*rest}")
    async def look(request: HttpRequest) -> str:
        seen.append(request)
        return "seen"

    answer = await ask(
        look,
        "/api/items/7/a/b%20c?q=1&q=2&empty=&plus=a+b",
        "POST",
        headers={"X-Custom": "Value"},
        content=b'{"a": 1}',
    )

    assert answer.text == "seen"
    request = seen[0]
    assert request.method == "POST"
    assert request.url == f"{ORIGIN}/api/items/7/a/b%20c?q=1&q=2&empty=&plus=a+b"
    assert request.headers["x-custom"] == "Value"
    assert set(request.headers) == {name.lower() for name in request.headers}
    assert request.params == {"q": "1,2", "empty": "", "plus": "a b"}
    assert request.route_params == {"id": "7", "rest": "a/b c"}
    assert request.get_json() == {"a": 1}


async def test_a_parameter_without_annotation_or_with_an_unknown_one_is_the_request() -> None:
    @route
    def plain(req) -> str:  # type: ignore[no-untyped-def] # noqa: ANN001 # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
        return str(req.method)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    @route
    def unknown(req: NoSuchName) -> str:  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]
        return str(req.method)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    functions = cast("tuple[Callable[..., Any], ...]", (plain, unknown))
    assert (await ask(functions, "/api/plain")).text == "GET"
    assert (await ask(functions, "/api/unknown")).text == "GET"


async def test_json_is_decoded_to_the_annotated_type_and_encoded_from_what_is_returned() -> None:
    @route
    async def order(order: Order) -> dict[str, object]:
        return {"order": order, "total": order.count * 2, "day": date(2026, 1, 2)}

    answer = await ask(order, "/api/order", "POST", json={"item": "pen", "count": 3})

    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {
        "order": {"item": "pen", "count": 3},
        "total": 6,
        "day": "2026-01-02",
    }


async def test_typed_dicts_lists_text_and_bytes_are_taken_too() -> None:
    @route
    def point(point: Point) -> int:
        return point["x"] + point["y"]

    @route
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @route
    def text(body: str) -> str:
        return body.upper()

    @route
    def raw(body: bytes) -> bytes:
        return body[::-1]

    functions = (point, total, text, raw)
    assert (await ask(functions, "/api/point", "POST", json={"x": 1, "y": 2})).json() == 3
    assert (await ask(functions, "/api/total", "POST", json=[1, 2, 3])).json() == 6
    assert (await ask(functions, "/api/text", "POST", content=b"abc")).text == "ABC"
    answer = await ask(functions, "/api/raw", "POST", content=b"abc")
    assert (answer.content, answer.headers["content-type"]) == (b"cba", "application/octet-stream")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"item": "pen", "count": "many"}', "$.count"),
        (b'{"count": 1}', "$"),
        (b"{bad", "not JSON"),
        (b"[" * 9999, "got array"),
        (b"", "no body"),
    ],
)
async def test_a_body_that_does_not_fit_is_400_and_names_the_place(body: bytes, place: str) -> None:
    @route
    def order(order: Order) -> str:
        return order.item

    answer = await ask(order, "/api/order", "POST", content=body)

    assert answer.status_code == 400
    assert "'order'" in answer.json()["Message"]
    assert place in answer.json()["ExceptionMessage"]


async def test_a_missing_body_is_the_default_or_none_where_the_type_admits_it() -> None:
    @route
    def default(order: Order = Order("none")) -> str:  # noqa: B008
        return order.item

    @route
    def maybe(order: Order | None) -> bool:
        return order is None

    functions = (default, maybe)
    assert (await ask(functions, "/api/default", "POST")).text == "none"
    assert (await ask(functions, "/api/maybe", "POST")).json() is True


@pytest.mark.parametrize(
    ("result", "status", "content_type", "body"),
    [
        ("text", 200, "text/plain; charset=utf-8", b"text"),
        ("", 200, "text/plain; charset=utf-8", b""),
        (b"\x00\x01", 200, "application/octet-stream", b"\x00\x01"),
        ({"a": 1}, 200, "application/json; charset=utf-8", b'{"a":1}'),
        ([1, None], 200, "application/json; charset=utf-8", b"[1,null]"),
        (True, 200, "application/json; charset=utf-8", b"true"),
        (Order("pen"), 200, "application/json; charset=utf-8", b'{"item":"pen","count":1}'),
        (None, 204, None, b""),
        (HttpResponse("x", status_code=201), 201, "text/plain; charset=utf-8", b"x"),
        (HttpResponse(b"<a/>", mimetype="text/xml"), 200, "text/xml; charset=utf-8", b"<a/>"),
        (HttpResponse(status_code=404), 404, None, b""),
        (HttpResponse("x", status_code=204), 204, None, b""),
    ],
)
async def test_what_is_returned_becomes_the_answer(
    result: object, status: int, content_type: str | None, body: bytes
) -> None:
    @route
    def give() -> object:
        return result

    answer = await ask(give, "/api/give")

    assert answer.status_code == status
    assert answer.headers.get("content-type") == content_type
    assert answer.content == body


async def test_headers_go_out_as_they_are_each_cookie_by_itself() -> None:
    @route
    def give() -> HttpResponse:
        response = HttpResponse(
            "{}",
            headers={"Content-Type": "application/json", "X-A": "ü☃", "Content-Length": "99"},
        )
        response.headers.add("Set-Cookie", "a=1; Path=/")
        response.headers.add("Set-Cookie", "b=2")
        return response

    answer = await ask(give, "/api/give")

    assert answer.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2"]
    assert answer.headers.get_list("content-type") == ["application/json"]
    assert answer.headers.get_list("content-length") == ["2"]


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_a_function_raises_is_500_without_a_body_and_logged_with_its_frames(
    caplog: pytest.LogCaptureFixture, *, is_async: bool
) -> None:
    @route
    def sync_broken() -> None:
        raise ValueError("user secret")

    @route
    async def async_broken() -> None:
        raise ValueError("user secret")

    function = async_broken if is_async else sync_broken
    name = function.__name__
    answer = await ask(function, f"/api/{name}")

    assert answer.status_code == 500
    assert answer.content == b""
    record = next(each for each in caplog.records if each.levelno == logging.ERROR)
    assert record.exc_info is not None
    assert "user secret" in caplog.text
    assert "test_functions.py" in caplog.text
    assert "function_name" in record.__dict__
    assert "invoker.py" not in caplog.text


@pytest.mark.parametrize("result", [object(), HttpResponse(status_code=42), float("nan")])
async def test_what_cannot_be_sent_is_500_and_logged(
    caplog: pytest.LogCaptureFixture, result: object
) -> None:
    @route
    def give() -> object:
        return result

    assert (await ask(give, "/api/give")).status_code == 500
    assert "an HTTP function failed" in caplog.text


async def test_a_function_that_runs_too_long_is_500_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @route
    async def slow() -> None:
        await asyncio.Event().wait()

    async with Hub(slow, timeout_s=0.01).open(with_worker=False) as hub:
        answer = await hub.http.get("/api/slow")

    assert (answer.status_code, answer.content) == (500, b"")
    assert "'slow' ran longer" in caplog.text


@route("orders/{id:int}", methods=["GET"])
def a_by_number() -> str:
    return "number"


@route("orders/{id}", methods=["GET", "DELETE"])
def b_by_text() -> str:
    return "text"


@route("Orders")
def c_any() -> str:
    return "any"


@route
def named() -> str:
    return "named"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/orders/7", "number"),
        ("GET", "/api/orders/x", "text"),
        ("DELETE", "/api/orders/7", "text"),
        ("POST", "/api/orders/7", None),
        ("HEAD", "/api/orders/7", None),
        ("GET", "/API/ORDERS/x/", "text"),
        ("GET", "/api/orders//x", None),
        ("PUT", "/api/orders", "any"),
        ("HEAD", "/api/orders", ""),
        ("OPTIONS", "/api/orders", "any"),
        ("GET", "/api/named", "named"),
        ("GET", "/api/other", None),
        ("GET", "/named", None),
        ("GET", "/api", None),
    ],
)
async def test_the_first_function_by_name_whose_route_and_method_fit_answers(
    method: str, path: str, expected: str | None
) -> None:
    answer = await ask((named, c_any, b_by_text, a_by_number), path, method)

    assert (answer.status_code, answer.text) == ((404, "") if expected is None else (200, expected))


@pytest.mark.parametrize(
    ("prefix", "path"),
    [("", "/named"), ("v1/My App", "/V1/my%20app/named"), ("/x/", "/x/named")],
)
async def test_the_route_prefix_is_what_the_settings_say(prefix: str, path: str) -> None:
    answer = await ask(named, path, settings=WebSettings(route_prefix=prefix))

    assert answer.text == "named"


async def test_without_a_prefix_a_function_may_own_the_root_but_not_the_hosts_paths() -> None:
    @route("{*path}")
    def everything(request: HttpRequest) -> str:
        return request.route_params.get("path", "root")

    settings = WebSettings(route_prefix="")
    assert (await ask(everything, "/", settings=settings)).text == "root"
    assert (await ask(everything, "/a/b", settings=settings)).text == "a/b"
    assert (await ask(everything, "/admin/host/ping", settings=settings)).text == ""
    assert (await ask(everything, "/runtime/x", settings=settings)).status_code == 404


def test_routes_that_cannot_be_served_are_told_all_at_once() -> None:
    @route("administrators/{id}")
    def reserved() -> None: ...

    @route("items/{id:nosuch}")
    def unreadable() -> None: ...

    from func_host.web.routes import RouteTable  # noqa: PLC0415
    from tests.host.web.hub import indexed_unchecked  # noqa: PLC0415

    client = Hub().client
    with pytest.raises(AppError) as error:
        RouteTable([indexed_unchecked(reserved), indexed_unchecked(unreadable)], client)

    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert "test_functions.py" in lines[0]
    assert "'administrators/{id}'" in lines[0]
    assert "'nosuch'" in lines[1]


async def test_a_longer_body_than_allowed_is_413() -> None:
    settings = WebSettings(body_bytes_max=10)
    answer = await ask(c_any, "/api/orders", "POST", settings=settings, content=b"x" * 11)

    assert answer.status_code == 413


@route("start/{name}", methods=["POST"])
@durable_client
async def start(request: HttpRequest, client: DurableClient) -> HttpResponse:
    order = request.get_json() if request.get_body() else None
    instance_id = await client.start_new(request.route_params["name"], client_input=order)
    return client.create_check_status_response(request, instance_id)


@route("run/{name}", methods=["POST"])
@durable_client
async def run(request: HttpRequest, client: DurableClient) -> HttpResponse:
    instance_id = await client.start_new(request.route_params["name"], None, request.get_json())
    return await client.wait_for_completion_or_create_check_status_response(
        request, instance_id, 2000
    )


async def test_a_function_gets_the_durable_client_and_its_answer_can_be_followed() -> None:
    async with Hub(start, echo).open() as hub:
        answer = await hub.http.post("/api/start/Echo", json={"a": 1})
        await hub.settle()
        status = await hub.http.get(answer.headers["location"])

    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "10"
    assert len(body) == 9
    assert body["rewindPostUri"].endswith(
        "/rewind?reason={text}&taskHub=TestHubName&connection=Storage"
    )
    assert status.json()["output"] == {"a": 1}


async def test_the_wait_helper_answers_with_the_output_the_failure_or_the_links() -> None:
    async with Hub(run, echo, fail, wait_event).open() as hub:
        done = await hub.send("POST", "/api/run/Echo?timeout=", body=b'{"a":1}')
        failed = await hub.send("POST", "/api/run/Fail?timeout=", body=b"1")
        waiting = await hub.send("POST", "/api/run/WaitEvent?timeout=", body=b"1")

    assert (done.status, done.json) == (200, {"a": 1})
    assert (failed.status, failed.json["runtimeStatus"]) == (500, "Failed")
    assert waiting.status == 202
    assert waiting.headers["location"] == waiting.json["statusQueryGetUri"]


async def test_a_client_annotated_as_text_is_the_binding_as_json() -> None:
    @route
    @durable_client(client_name="starter")
    def show(starter: str) -> HttpResponse:
        return HttpResponse(starter, mimetype="application/json")

    binding = (await ask(show, "/api/show")).json()

    assert binding.keys() == {
        "taskHubName",
        "connectionName",
        "creationUrls",
        "managementUrls",
        "baseUrl",
        "requiredQueryStringParameters",
        "rpcBaseUrl",
    }
    assert all(isinstance(url, str) for url in binding["managementUrls"].values())
    assert binding["managementUrls"]["id"] == "INSTANCEID"
    assert binding["baseUrl"] == f"{ORIGIN}/runtime/webhooks/durabletask"
    assert json.dumps(binding)


async def test_an_anonymous_function_needs_no_key_and_others_do() -> None:
    @route(auth_level=AuthLevel.ANONYMOUS)
    def open_to_all() -> str:
        return "open"

    functions = (open_to_all, named)
    settings = WebSettings(master_key="k=1")
    assert (await ask(functions, "/api/open_to_all", settings=settings)).text == "open"
    assert (await ask(functions, "/api/named", settings=settings)).status_code == 401
    answer = await ask(functions, "/api/named?code=k%3D1", settings=settings)
    assert answer.text == "named"
