"""`/admin/metrics` in the text format that Prometheus scrapes."""

from __future__ import annotations

import pytest

from func_bindings import HttpRequest, route
from func_host.durable.backend import RequestCount
from func_host.web import WebSettings
from func_host.web.metrics import metrics_answer
from tests.host.web.hub import Hub

pytestmark = pytest.mark.anyio

HEADER = """\
# HELP func_host_info The host's version.
# TYPE func_host_info gauge
func_host_info{version="1.2.3"} 1
# HELP func_host_up_seconds Seconds since the host started.
# TYPE func_host_up_seconds gauge
func_host_up_seconds 1.5
# HELP func_host_storage_requests_total Requests to the storage account; status 0 is one without \
an answer.
# TYPE func_host_storage_requests_total counter
"""


@route("items")
def items(request: HttpRequest) -> str:
    return "items"


def counted(operation: str, status: int, count: int) -> RequestCount:
    return RequestCount(service="queue", operation=operation, status=status, count=count)


def test_every_kind_of_request_is_a_line() -> None:
    answer = metrics_answer(
        version="1.2.3",
        up_seconds=1.5,
        requests=[counted("PutMessage", 201, 12), counted("PutMessage", 0, 1_000_000)],
    )

    assert bytes(answer.body).decode() == HEADER + (
        'func_host_storage_requests_total{service="queue",operation="PutMessage",status="201"} 12\n'
        'func_host_storage_requests_total{service="queue",operation="PutMessage",status="0"} '
        "1000000\n"
    )


def test_what_would_end_a_label_is_escaped() -> None:
    answer = metrics_answer(
        version="1.2.3", up_seconds=1.5, requests=[counted('a"b\\c\nd', 200, 1)]
    )

    assert r'operation="a\"b\\c\nd"' in bytes(answer.body).decode()


async def test_a_host_on_a_store_that_asks_nobody_tells_the_rest() -> None:
    async with Hub(items, settings=WebSettings(version="1.2.3")).open(with_worker=False) as hub:
        await hub.clock.advance(1.5)
        answer = await hub.http.get("/admin/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text == HEADER


async def test_metrics_need_the_key_where_there_is_one() -> None:
    async with Hub(items, settings=WebSettings(master_key="secret")).open(with_worker=False) as hub:
        assert (await hub.http.get("/admin/metrics")).status_code == 401
        assert (await hub.http.get("/admin/metrics?code=secret")).status_code == 200
