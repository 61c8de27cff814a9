"""A line from a process to the storage that fails at one chosen call, or at which the process dies.

It lies below the retries of the transport. What a storage at fault answers comes from a small
server, so that the client libraries read genuine answers. Leases have clients of their own, which
this line does not carry. A look into a queue counts where it found something; that is known only
after it took effect, so there each fault comes after it.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.client_transport import (
    RetrySettings,
    StorageTransport,
    _read_to_the_end,
)
from func_host.durable.backends.azure_storage.request_count import StorageService, operation_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from func_host.durable.backends.azure_storage.connection import StorageConnection

_LOOK: Final = "GetMessages"
_DONE: Final = 204
_MESSAGE_ID: Final = re.compile(rb"<MessageId>(.+?)</MessageId>")
_RECEIPT: Final = re.compile(rb"<PopReceipt>(.+?)</PopReceipt>")
_PLACE: Final = re.compile(r"/([^/]+)/messages(?:/([^/?]+))?")
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ERROR: Final = b"<?xml version='1.0'?><Error><Code>AtFault</Code><Message>No.</Message></Error>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a call, once.

    Args:
        name: For messages.
        takes_effect: Whether the call is carried out before it fails.
        status: What is answered; None where the connection is lost.
        retry_after_s: What the answer asks for.
        attempts: How often the transport sends a call.
        is_crash: Whether the process dies, instead of any answer.
    """

    name: str
    takes_effect: bool = False
    status: int | None = None
    retry_after_s: int | None = None
    attempts: int = 6
    is_crash: bool = False

    @property
    def is_hidden(self) -> bool:
        """Tell whether the transport gets over it, so that nobody above notices."""
        return not self.is_crash and self.attempts > 1


class FaultServer:
    """Answers every request with the status that its path names, and how long to wait."""

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Listen no more."""
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        await reader.readexactly(int(length[1]) if length else 0)
        _, status, retry_after, *_ = head.split(b" ")[1].split(b"/")
        wait = b"Retry-After: %s\r\n" % retry_after if retry_after != b"-" else b""
        writer.write(
            b"HTTP/1.1 %s At fault\r\n%sContent-Type: application/xml\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (status, wait, len(_ERROR), _ERROR)
        )
        with suppress(OSError):
            await writer.drain()
        writer.close()

    def url_of(self, fault: Fault) -> str:
        """Give where the answer of a fault is."""
        wait = "-" if fault.retry_after_s is None else fault.retry_after_s
        return f"{self.url}/{fault.status}/{wait}/"


class HiddenMessages:
    """Knows the last receipt of every message that lines have carried."""

    def __init__(self) -> None:
        self._receipts: dict[tuple[str, str], str] = {}

    def note(self, operation: str, url: str, response: Any, body: bytes) -> None:
        """Note what an answer of a queue says."""
        place = _PLACE.search(url)
        if place is None:
            return
        queue, last = place[1], place[2]
        if operation in {"PutMessage", _LOOK}:
            ids, receipts = _MESSAGE_ID.findall(body), _RECEIPT.findall(body)
            for message_id, receipt in zip(ids, receipts, strict=True):
                self._receipts[queue, message_id.decode()] = receipt.decode()
        elif operation == "UpdateMessage" and response.status_code == _DONE:
            self._receipts[queue, last] = response.headers["x-ms-popreceipt"]
        elif operation == "DeleteMessage" and response.status_code == _DONE:
            self._receipts.pop((queue, last), None)

    async def show(self, clients: StorageClients) -> None:
        """Let the time pass for which they are hidden."""
        for place, receipt in list(self._receipts.items()):
            queue, message_id = place
            try:
                updated = await clients.queue(queue).update_message(
                    message_id, receipt, visibility_timeout=0
                )
            except HttpResponseError:  # somebody else has taken, renewed or deleted it
                self._replace(place, receipt, None)
            else:
                self._replace(place, receipt, updated.pop_receipt)

    def _replace(self, place: tuple[str, str], known: str, newer: str | None) -> None:
        """Note another receipt, or that there is none, unless a line has noted one meanwhile."""
        if self._receipts.get(place) != known:
            return
        if newer is None:
            del self._receipts[place]
        else:
            self._receipts[place] = newer


class Line:
    """The line of one process.

    Args:
        server: Answers where the storage is at fault.
        messages: Notes what is put and taken.
        fault: What happens, if anything.
        number: At which call, from 1.
    """

    def __init__(
        self,
        server: FaultServer,
        messages: HiddenMessages,
        fault: Fault | None = None,
        number: int = 0,
    ) -> None:
        self.calls: list[str] = []
        self.failed: str | None = None
        self.has_died = asyncio.Event()
        self.is_counting = False
        self.before_failing: Callable[[], Awaitable[None]] = _nothing
        self._server = server
        self._messages = messages
        self._fault = fault
        self._number = number
        self._is_buried = asyncio.Event()
        self._on_the_way: set[asyncio.Future[Any]] = set()

    @property
    def retry(self) -> RetrySettings:
        """How often calls are repeated."""
        attempts = 6 if self._fault is None else self._fault.attempts
        return RetrySettings(attempts=attempts, delay_first_s=0.05)

    def bury(self) -> None:
        """Let what the dead process still waits for end."""
        self._is_buried.set()

    async def arrived(self) -> None:
        """Wait until what was on its way when the process died has taken effect."""
        await asyncio.gather(*self._on_the_way, return_exceptions=True)

    async def carry(self, operation: str, call: Call) -> Any:
        """Carry a request to the storage, or fail."""
        await self._check_alive()
        is_look = operation == _LOOK
        response, is_found = (await self._take_effect(operation, call)) if is_look else (None, True)
        fault = self._next_fault(operation) if is_found else None
        if response is None and (fault is None or fault.takes_effect):
            response, _ = await self._take_effect(operation, call)
        if fault is None:
            return response
        self.failed = operation
        await self.before_failing()
        if fault.is_crash:
            self.has_died.set()
            await self._check_alive()
        if fault.status is None:
            raise ServiceResponseError("the line broke")
        return await call.send_to(self._server.url_of(fault))

    async def _take_effect(self, operation: str, call: Call) -> tuple[Any, bool]:
        """Send a request; what it did is noted even where nobody waits for the answer any more."""
        sending = asyncio.ensure_future(self._send(operation, call))
        self._on_the_way.add(sending)
        sending.add_done_callback(self._on_the_way.discard)
        return await asyncio.shield(sending)

    async def _send(self, operation: str, call: Call) -> tuple[Any, bool]:
        response = await call.send()
        body = b""
        if operation in {"PutMessage", _LOOK}:
            await _read_to_the_end(response)
            body = response.content if hasattr(response, "content") else response.body()
        if operation.endswith(("Message", "Messages")):
            self._messages.note(operation, call.url, response, body)
        return response, b"<QueueMessage>" in body

    def _next_fault(self, operation: str) -> Fault | None:
        if not self.is_counting:
            return None
        self.calls.append(operation)
        return self._fault if len(self.calls) == self._number else None

    async def _check_alive(self) -> None:
        if self.has_died.is_set():
            await self._is_buried.wait()
            raise ServiceRequestError("the process is dead")


class Storm(Line):
    """A line on which some share of the calls fails, in ways that a seed decides.

    Args:
        faults: In which ways.
        seed: Another one, another storm.
        share: How many of the calls fail, from 0 to 1.
    """

    def __init__(
        self,
        server: FaultServer,
        messages: HiddenMessages,
        faults: Sequence[Fault],
        *,
        seed: int,
        share: float,
    ) -> None:
        super().__init__(server, messages)
        self.failures: Counter[str] = Counter()
        self._faults = faults
        self._seed = seed
        self._share = share

    def _next_fault(self, operation: str) -> Fault | None:
        if not self.is_counting:
            return None
        self.calls.append(operation)
        chance = zlib.crc32(f"{self._seed} {len(self.calls)}".encode())
        if chance / 2**32 >= self._share:
            return None
        fault = self._faults[chance % len(self._faults)]
        self.failures[fault.name] += 1
        return fault


class FaultyClients(StorageClients):
    """The clients of a process on a line."""

    def __init__(self, connection: StorageConnection, line: Line) -> None:
        super().__init__(connection, retry=line.retry)
        self._line = line

    def _transport(self, service: StorageService, url: str) -> StorageTransport:
        assert url
        return _FaultyTransport(
            service,
            self._session,
            counter=self.counter,
            retry=self._retry,
            clock=self._clock,
            ids=self._ids,
            line=self._line,
        )


class _FaultyTransport(StorageTransport):
    def __init__(self, service: StorageService, *options: Any, line: Line, **more: Any) -> None:
        super().__init__(service, *options, **more)
        self._line = line

    async def _send_once(self, request: Any, config: dict[str, Any]) -> Any:
        operation = operation_of(self._service, request.method, request.url, request.headers)
        call = Call(request.url, self._sender, request, config, super()._send_once)
        return await self._line.carry(operation, call)


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way."""

    url: str
    sender: Any
    request: Any
    config: dict[str, Any]
    send_once: Callable[[Any, dict[str, Any]], Awaitable[Any]]

    async def send(self) -> Any:
        """Send it to the storage."""
        return await self.send_once(self.request, self.config)

    async def send_to(self, url: str) -> Any:
        """Send it elsewhere."""
        self.request.url = url
        try:
            return await self.sender.send(self.request, **self.config)
        finally:
            self.request.url = self.url


async def _nothing() -> None:
    """Do nothing before a fault."""
