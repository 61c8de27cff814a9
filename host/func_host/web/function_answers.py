"""What a user function returned, as an HTTP answer."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from func_bindings.http import HttpResponse
from func_host.invocation.values import dump_json

_STATUSES = range(200, 600)
_WITHOUT_BODY = frozenset({204, 304})
_OWN_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "content-type"})
"""Said by the host itself, or by the server below it."""
_NOT_IN_NAME = re.compile(rb"[^!#$%&'*+.^_`|~0-9a-z-]")
_NOT_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def answer_of(result: Any) -> Response:
    """Give the answer for a returned value.

    Raises:
        SerializationError: The value cannot be written as JSON.
        ValueError: The status or a header of the response is none that can be sent.
    """
    match result:
        case HttpResponse():
            return _explicit(result)
        case None:
            return Response(status_code=204)
        case str():
            return _plain(result.encode(errors="replace"), "text/plain; charset=utf-8")
        case bytes() | bytearray():
            return _plain(bytes(result), "application/octet-stream")
        case _:
            return _plain(dump_json(result).encode(), "application/json; charset=utf-8")


def _plain(body: bytes, content_type: str) -> Response:
    response = Response(body)
    response.raw_headers.append((b"content-type", content_type.encode("latin-1")))
    return response


def _explicit(result: HttpResponse) -> Response:
    status = result.status_code
    if status not in _STATUSES:
        message = (
            f"The function answered with status {status}, which cannot be sent: "
            "use one from 200 to 599."
        )
        raise ValueError(message)
    body = b"" if status in _WITHOUT_BODY else result.get_body()
    response = Response(body, status)
    headers = response.raw_headers
    if body or "Content-Type" in result.headers:
        headers.append((b"content-type", _encoded(result.content_type)))
    headers.extend(
        (name.lower().encode("latin-1", "replace"), _encoded(value))
        for name, value in result.headers.multi_items()
        if name.lower() not in _OWN_HEADERS
    )
    _check_headers(headers)
    return response


def _check_headers(headers: list[tuple[bytes, bytes]]) -> None:
    """Refuse what would break the answer in two, or what no server sends.

    Raises:
        ValueError: A name or a value holds a character that it must not.
    """
    for name, value in headers:
        if not name or _NOT_IN_NAME.search(name) or _NOT_IN_VALUE.search(value):
            message = (
                f"The function answered with the header {name.decode('latin-1')!r}, which cannot "
                "be sent: leave line ends and control characters out of its name and its value."
            )
            raise ValueError(message)


def _encoded(value: object) -> bytes:
    text = str(value)
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
