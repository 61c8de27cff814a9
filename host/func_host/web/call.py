"""One HTTP request as the host's own endpoints read it: lazily, and from the bytes that came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_host.web.body import client_gone, read_body
from func_host.web.paths import raw_target
from func_host.web.query import Query

if TYPE_CHECKING:
    from starlette.types import Receive, Scope


class Call:
    """A request and what can be asked about it."""

    __slots__ = ("_query", "_receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """Wrap what the server hands over; nothing is parsed yet."""
        self.scope = scope
        self._receive = receive
        self._query: Query | None = None

    @property
    def method(self) -> str:
        """Method, upper-case."""
        method: str = self.scope["method"]
        return method.upper()

    @property
    def query(self) -> Query:
        """Parameters of the query."""
        if self._query is None:
            self._query = Query(self.scope.get("query_string", b""))
        return self._query

    @property
    def origin(self) -> str:
        """Scheme and authority as the client spelt them."""
        host = self.header(b"host")
        if host is None:
            server = self.scope.get("server") or ("localhost", None)
            host = server[0] if server[1] is None else f"{server[0]}:{server[1]}"
        return f"{self.scope.get('scheme', 'http')}://{host}"

    @property
    def url(self) -> str:
        """Absolute URL of the request as it was sent, query included."""
        path = raw_target(self.scope).decode("latin-1")
        query: bytes = self.scope.get("query_string", b"")
        return f"{self.origin}{path}?{query.decode('latin-1')}" if query else self.origin + path

    def header(self, name: bytes) -> str | None:
        """Give the first value of a header, whose name is given in lower case."""
        for key, value in self.scope["headers"]:
            if key == name:
                text: str = value.decode("latin-1")
                return text
        return None

    async def body(self, limit: int) -> bytes:
        """Read the whole body.

        Raises:
            BodyTooLargeError: It is longer than the limit.
            ClientGoneError: The client went away.
        """
        return await read_body(self.scope, self._receive, limit)

    async def client_gone(self) -> None:
        """Return once the client has closed the connection; the body must have been read."""
        await client_gone(self._receive)
