"""The transport below every storage client: counts each request and repeats what failed in passing.

It stands where the client library has its own retries switched off, so that queues, tables and
blobs are treated alike. A repeated request may have taken effect before: whoever writes tells his
own write from another's (a token column, a proposed lease id, an id in the message).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from azure.core.exceptions import IncompleteReadError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpTransport
from yarl import URL

from func_host.durable.backends.azure_storage.request_count import (
    EMPTY_POLL,
    NO_ANSWER,
    RequestKind,
    StorageService,
    operation_of,
)

if TYPE_CHECKING:
    import aiohttp

    from func_host.clock import Clock, IdSource
    from func_host.durable.backends.azure_storage.request_count import RequestCounter

_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """How often and after how long a request is repeated.

    The delay doubles from `delay_first_s` up to `delay_max_s`; between half and all of it is
    waited, by chance.
    """

    attempts: int = 6
    delay_first_s: float = 0.2
    delay_max_s: float = 10.0
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0

    def delay_s(self, attempt: int, jitter: float) -> float:
        """Give how long to wait after the attempt of this number (the first is 0)."""
        return min(self.delay_max_s, self.delay_first_s * 2.0**attempt) * (0.5 + jitter / 2)


class StorageTransport(AsyncHttpTransport[Any, Any]):
    """Sends requests of one service over a session that others share; never closes it."""

    def __init__(
        self,
        service: StorageService,
        session: aiohttp.ClientSession,
        *,
        counter: RequestCounter,
        retry: RetrySettings,
        clock: Clock,
        ids: IdSource,
        proxy: str | None = None,
    ) -> None:
        self._sender: Any = AioHttpTransport(
            session=_AsSpelt(session) if service is StorageService.BLOB else session,
            session_owner=False,
            connection_timeout=retry.connect_timeout_s,
            read_timeout=retry.read_timeout_s,
        )
        self._service = service
        self._counter = counter
        self._retry = retry
        self._clock = clock
        self._ids = ids
        self._proxy = proxy

    async def open(self) -> None:
        """Do nothing: the session is open."""

    async def close(self) -> None:
        """Do nothing: others use the session."""

    async def __aexit__(self, *exception: object) -> None:
        """Do nothing: others use the session."""

    async def send(self, request: Any, **config: Any) -> Any:
        """Send until there is an answer that a repetition would not change, or no attempt left."""
        if self._proxy is not None:
            config["proxy"] = self._proxy
        for attempt in range(self._retry.attempts - 1):
            try:
                response = await self._send_once(request, config)
            except (ServiceRequestError, ServiceResponseError):
                response = None
            if response is not None:
                if response.status_code not in _PASSING:
                    return response
                await _read_to_the_end(response)
            delay_s = self._retry.delay_s(attempt, self._ids.jitter())
            await self._clock.sleep(max(delay_s, _asked_delay_s(response)))
        return await self._send_once(request, config)

    async def _send_once(self, request: Any, config: dict[str, Any]) -> Any:
        operation = operation_of(self._service, request.method, request.url, request.headers)
        try:
            response = await self._sender.send(request, **config)
        except (ServiceRequestError, ServiceResponseError):
            self._counter.add(RequestKind(self._service.value, operation, NO_ANSWER))
            raise
        except IncompleteReadError as error:  # to the library an answer, to us none
            self._counter.add(RequestKind(self._service.value, operation, NO_ANSWER))
            raise ServiceResponseError("The answer broke off.", error=error) from error
        if operation == "GetMessages" and await _is_without_messages(response):
            operation = EMPTY_POLL
        self._counter.add(RequestKind(self._service.value, operation, response.status_code))
        return response


class _AsSpelt:
    """A session that sends addresses as they are spelt, since that is what has been signed.

    By itself aiohttp spells `%40` in the name of a blob as `@`, and the account refuses it.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __aenter__(self) -> Self:
        """Do nothing: the session is open."""
        return self

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Make a request."""
        return self._session.request(method, URL(url, encoded=True), **options)


def proxy_for(url: str) -> str | None:
    """Give the proxy that the machine's settings name for an address.

    Asked once: a session that trusts the environment asks for each request, in a thread.
    """
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


async def _is_without_messages(response: Any) -> bool:
    await _read_to_the_end(response)
    body: bytes = response.content if hasattr(response, "content") else response.body()
    return response.status_code == 200 and b"<QueueMessage>" not in body  # noqa: PLR2004 -- OK


async def _read_to_the_end(response: Any) -> None:
    """Take the body off the connection, so that it can carry the next request."""
    await (response.read() if hasattr(response, "read") else response.load_body())


def _asked_delay_s(response: Any) -> float:
    asked = response.headers.get("Retry-After") if response is not None else None
    try:
        return min(float(asked), 60.0) if asked else 0.0
    except ValueError:
        return 0.0
