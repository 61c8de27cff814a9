"""The HTTP socket: bound before anything else is started, served by uvicorn on the running loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import weakref
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEEP_ALIVE_S: Final = 60
BACKLOG: Final = 2048
HEAD_BYTES_MAX: Final = 256 * 1024
"""Longest request line and headers; what the socket gives at once may come on top."""

_STOPPING: Final = "The host is stopping. What it has accepted goes on when it is started again."


class HostFaultError(Exception):
    """The machine does not let the host run (a port in use): its text is printed; exit 1."""


class ListeningSocket:
    """A TCP socket bound to an address, so that nobody else can have it; closed at the end.

    Raises:
        HostFaultError: The port is in use, or the address is not this machine's.
    """

    def __init__(self, address: str, port: int) -> None:
        """Bind; port 0 takes a free one."""
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(
                address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self.socket = socket.socket(family, kind, protocol)
        except OSError as error:
            raise HostFaultError(f"Cannot listen on {address}: {error.strerror}.") from error
        try:
            if os.name == "posix":  # elsewhere it lets a second process take the port
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(where)
        except OSError as error:
            self.socket.close()
            if error.errno == errno.EADDRNOTAVAIL:
                raise HostFaultError(
                    f"Cannot listen on {address}: it is no address of this machine. Start with "
                    "--host 127.0.0.1 for this machine only, 0.0.0.0 for all its addresses."
                ) from error
            raise HostFaultError(
                f"Port {port} on {address} cannot be used: {error.strerror}. Stop whoever uses it, "
                "or start with --port N (0 takes a free one)."
            ) from error
        self.address = address
        self.port: int = self.socket.getsockname()[1]
        if hasattr(os, "register_at_fork"):
            # A forked worker of the app must not keep the port when its parent is killed.
            os.register_at_fork(after_in_child=_CloseInChild(self.socket))

    @property
    def origin(self) -> str:
        """Scheme and authority of URLs that reach the socket from this machine."""
        if is_loopback(self.address) or self.address in {"0.0.0.0", "::"}:  # noqa: S104 -- compared
            return f"http://localhost:{self.port}"
        name = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{name}:{self.port}"

    def close(self) -> None:
        """Give the port back."""
        self.socket.close()


class _CloseInChild:
    """Closes the descriptor of a socket in a forked child; the socket is left to its parent."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = weakref.ref(listening)

    def __call__(self) -> None:
        listening = self._listening()
        if listening is not None and listening.fileno() >= 0:
            os.close(listening.detach())


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches the address."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class HttpServer:
    """Serves an ASGI application on a bound socket: `run` it under a TaskGroup."""

    def __init__(
        self, app: ASGIApp, listening: ListeningSocket, *, access_log: bool, drain_timeout_s: float
    ) -> None:
        """Serve on the socket; a stop gives requests in flight so many seconds."""
        self._app = app
        self._listening = listening
        self._drain_timeout_s = drain_timeout_s
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            lifespan="off",
            http=_BoundedProtocol,
            ws="none",
            log_config=None,
            access_log=access_log,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            backlog=BACKLOG,
        )
        self._server = _Server(config)

    async def run(self) -> None:
        """Serve until stopped, then until no request is in flight any more."""
        try:
            await self._server.serve([self._listening.socket])
        finally:
            self._server.ended.set()

    async def wait_started(self) -> None:
        """Return once connections are accepted."""
        await self._server.accepting.wait()

    async def stop(self) -> None:
        """Accept nothing more; answer 503 to what is still in flight when its time is over."""
        self._server.should_exit = True
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                await self._server.ended.wait()
        except TimeoutError:
            for request in self._server.server_state.tasks:
                request.cancel()
            await self._server.ended.wait()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer; where the stop cuts it off before it began, say so."""
        is_begun = False

        async def sending(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            if not self._server.should_exit:
                raise
            if not is_begun:
                await PlainTextResponse(_STOPPING, 503, {"Retry-After": "1"})(scope, receive, send)


class _BoundedProtocol(HttpToolsProtocol):
    """Cuts off whoever sends headers without end, before they fill the memory."""

    _is_in_head = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        was_in_head = self._is_in_head
        super().data_received(data)
        if not (was_in_head and self._is_in_head):  # a head of which nothing is left to come
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The request line and the headers are too long.")


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it, and tells when it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()
        self.ended = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()
