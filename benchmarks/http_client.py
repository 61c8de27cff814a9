"""A keep-alive HTTP/1.1 client that costs next to nothing.

Host and client share the machine: a client that is as heavy as the host would halve what is
measured. This one knows what the host answers with, a Content-Length, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

MANAGEMENT = "/runtime/webhooks/durabletask"
WAIT = "timeout=600&pollingInterval=1"
"""Query of a start whose answer is the output."""
_SHOWN_MAX = 500
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of one answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.body)


class WrongAnswerError(RuntimeError):
    """The host answered something else than the workload must give."""

    def __init__(self, what: str, answer: Answer) -> None:
        """Show the beginning of the answer."""
        shown = answer.body[:_SHOWN_MAX].decode(errors="replace")
        super().__init__(f"{what} answered {answer.status}: {shown}")


class HttpConnection(asyncio.Protocol):
    """One connection: one request at a time, opened again where the host has closed it."""

    def __init__(self, host: str, port: int) -> None:
        """Name where to connect to; the first request does."""
        self._host = host
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[Answer] | None = None

    async def __aenter__(self) -> Self:
        """Give the connection itself."""
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    async def request(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send one request and wait for its answer.

        Raises:
            ConnectionError: The host cannot be reached, or closed the connection meanwhile.
        """
        loop = asyncio.get_running_loop()
        if self._transport is None:
            self._transport, _ = await loop.create_connection(lambda: self, self._host, self._port)
        self._answer = loop.create_future()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        return await self._answer

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that is waiting; called by the loop."""
        self._transport = None
        self._received.clear()
        if self._answer is not None and not self._answer.done():
            message = "the host closed the connection before it answered"
            lost = ConnectionError(message)
            lost.__cause__ = exc
            self._answer.set_exception(lost)

    def data_received(self, data: bytes) -> None:
        """Collect the answer; called by the loop."""
        self._received += data
        end = self._received.find(_END_OF_HEAD)
        if end < 0:
            return
        body_begin = end + len(_END_OF_HEAD)
        body_end = body_begin + _content_length(bytes(self._received[:end]))
        if len(self._received) < body_end:
            return
        answer = Answer(int(self._received[9:12]), bytes(self._received[body_begin:body_end]))
        del self._received[:body_end]
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


def _content_length(head: bytes) -> int:
    name = b"content-length:"
    for line in head.split(b"\r\n"):
        if line[: len(name)].lower() == name:
            return int(line[len(name) :])
    return 0
