"""Mistakes once made in the answers of user functions."""

from __future__ import annotations

import pytest

from func_bindings import HttpRequest, HttpResponse, route
from tests.host.web.hub import Hub

pytestmark = pytest.mark.anyio

_UNSENDABLE = [
    {"x-note": "one\r\nx-two: smuggled"},
    {"x-note": "nul\0"},
    {"x note": "a space in the name"},
    {"x-nöte": "no ASCII"},
    {"": "no name"},
]


@pytest.mark.parametrize("headers", _UNSENDABLE)
async def test_a_header_that_cannot_be_sent_is_a_failure_that_names_it(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The connection was cut without an answer, with a traceback of the server's."""

    @route("odd")
    def odd(request: HttpRequest) -> HttpResponse:
        return HttpResponse("text", headers=headers)

    async with Hub(odd).open(with_worker=False) as hub:
        answer = await hub.http.get("/api/odd")

    assert (answer.status_code, answer.content) == (500, b"")
    name = next(iter(headers))
    assert f"The function answered with the header {name!r}, which cannot be sent" in caplog.text
