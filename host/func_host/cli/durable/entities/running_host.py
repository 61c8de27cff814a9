"""Asks a host that runs about its entities, over HTTP below `/admin/entities`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from func_bindings.durable.entities import EntityId

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404


class HostRefusedError(Exception):
    """The host cannot be asked, or does not do what it is asked to; the text is for people."""


class RunningHost:
    """The entities of a host, as an async context manager."""

    def __init__(self, url: str, key: str | None) -> None:
        """Ask the host at a URL, with its key where it needs one.

        Raises:
            HostRefusedError: The URL is none, or the key cannot be one.
        """
        _check_url(url)
        if key is not None and not key.isprintable():
            raise HostRefusedError("--key holds a character that no key has, such as a line's end.")
        self._url = url.rstrip("/")
        self._headers = {} if key is None else {"x-functions-key": key}

    async def __aenter__(self) -> Self:
        """Begin."""
        self._http = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._http.close()

    async def find(self, name: str | None, prefix: str, *, is_locked: bool) -> list[dict[str, Any]]:
        """Give those that match, without their state."""
        query = {"name": name or "", "keyPrefix": prefix, "locked": str(is_locked).lower()}
        found: list[dict[str, Any]] | None = await self._ask("GET", "", query)
        return found or []

    async def show(self, entity: EntityId) -> dict[str, Any] | None:
        """Give one with its state; None where there is none."""
        found: dict[str, Any] | None = await self._ask("GET", _path(entity))
        return found

    async def unlock(self, entity: EntityId) -> bool:
        """Take the lock from its owner; False where nothing is locked."""
        return await self._ask("POST", f"{_path(entity)}/unlock") is not None

    async def clean(self) -> dict[str, int]:
        """Delete empty entities and free orphaned locks; give how many."""
        done: dict[str, int] = await self._ask("POST", "/clean")
        return done

    async def _ask(self, method: str, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Give the JSON of an answer; None where the host says that there is no such thing."""
        target = f"{self._url}/admin/entities{path}?{urlencode(query or {})}"
        try:
            status, body = await self._answer(method, URL(target, encoded=True))
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise HostRefusedError(
                f"The host at {self._url} cannot be asked: {reason}. Is it running, and is --url "
                "right?"
            ) from error
        return self._judged(status, body)

    async def _answer(self, method: str, target: URL) -> tuple[int, Any]:
        async with self._http.request(method, target, allow_redirects=False) as response:
            body = await response.read()
            try:
                return response.status, json.loads(body)
            except ValueError:
                return response.status, None

    def _judged(self, status: int, body: Any) -> Any:
        if status == _UNAUTHORIZED:
            raise HostRefusedError(
                f"The host at {self._url} does not take this key: give its FUNC_HOST_MASTER_KEY "
                "with --key."
            )
        if body is not None and status < 300:  # noqa: PLR2004 -- HTTP's
            return body
        reason = cast("dict[str, Any]", body).get("Message") if isinstance(body, dict) else None
        if reason is None:
            raise HostRefusedError(
                f"What answers at {self._url} (status {status}) is no func-host that tells about "
                "entities: check --url."
            )
        if status == _NOT_FOUND:
            return None
        raise HostRefusedError(f"The host at {self._url} refuses: {reason}")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise HostRefusedError(
            f"--url {url} is not the address of a host: it looks like http://127.0.0.1:7071."
        )


def _path(entity: EntityId) -> str:
    return f"/{quote(str(entity), safe='@')}"
