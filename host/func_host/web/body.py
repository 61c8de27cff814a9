"""Request bodies, up to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

_LENGTH = b"content-length"


class BodyTooLargeError(ValueError):
    """The body is longer than the host takes."""

    def __init__(self, limit: int) -> None:
        """Name the limit."""
        super().__init__(f"The request body is longer than the {limit} bytes this host takes.")


class ClientGoneError(Exception):
    """The client closed the connection before it had sent its request: nobody is answered."""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read the whole body.

    Raises:
        BodyTooLargeError: It is longer than the limit; what is over is not kept.
        ClientGoneError: The client went away.
    """
    if _announced(scope) > limit:
        raise BodyTooLargeError(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLargeError(limit)
        if chunk:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def client_gone(receive: Receive) -> None:
    """Return once the client has closed the connection; to be called after the body was read."""
    while (await receive())["type"] != "http.disconnect":
        continue


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == _LENGTH:
            return int(value[:20]) if value.isdigit() else 0
    return 0
