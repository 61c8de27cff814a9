"""Asks about entities: a host that runs, or straight the hub of an app."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

import click

from func_host.cli.durable.asking import ask_hub, fail
from func_host.cli.durable.options import hub_options

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import httpx

    from func_bindings.durable.entities import EntityId
    from func_host.cli.durable.options import HubOptions
    from func_host.durable.backend import Backend
    from func_host.durable.client import TaskHubClient

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a command asks: the host at `url`, or, without one, the hub that `hub` says."""

    hub: HubOptions
    url: str | None
    key: str | None


def entity_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all commands on entities, as one first argument."""

    @hub_options
    @click.option("--url", metavar="URL", help="Ask the host that runs there, not the hub itself.")
    @click.option("--key", metavar="KEY", envvar="FUNC_HOST_MASTER_KEY", help="Key of that host.")
    @functools.wraps(command)
    def run(options: HubOptions, *, url: str | None, key: str | None, **others: Any) -> None:
        command(Asked(options, url, key), **others)

    return run


class EntityDesk(Protocol):
    """Whoever answers questions about entities; views are JSON members."""

    async def find(self, name: str | None, prefix: str, *, is_locked: bool) -> list[dict[str, Any]]:
        """Give those that match, without their state."""
        ...

    async def show(self, entity: EntityId) -> dict[str, Any] | None:
        """Give one with its state; None where there is none."""
        ...

    async def unlock(self, entity: EntityId) -> bool:
        """Take the lock from its owner; False where nothing is locked."""
        ...

    async def clean(self) -> dict[str, int]:
        """Delete empty entities and free orphaned locks; give how many."""
        ...


def ask_entities(asked: Asked, question: Callable[[EntityDesk], Coroutine[Any, Any, T]]) -> T:
    """Put a question about entities; what cannot be asked ends the command with exit code 1."""
    if asked.url is not None:
        return asyncio.run(_ask_host(asked.url, asked.key, question))

    async def ask(backend: Backend) -> T:
        from func_host.host import client_of  # noqa: PLC0415 -- --help does not wait for it

        async with backend:
            return await question(_Hub(client_of(backend)))

    return ask_hub(asked.hub, ask)


async def _ask_host(
    url: str, key: str | None, question: Callable[[EntityDesk], Coroutine[Any, Any, T]]
) -> T:
    import httpx  # noqa: PLC0415 -- --help does not wait for it

    headers = {} if key is None else {"x-functions-key": key}
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http:
            return await question(_RunningHost(http))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fail(f"The host at {url} cannot be asked: {error}. Is it running, and is --key right?")


class _Hub:
    def __init__(self, client: TaskHubClient) -> None:
        self._client = client

    async def find(self, name: str | None, prefix: str, *, is_locked: bool) -> list[dict[str, Any]]:
        from func_host.durable.entity_view import entity_view  # noqa: PLC0415 -- as above

        found = await self._client.list_entities(name, prefix)
        return [
            entity_view(one, with_state=False)
            for one in found
            if not is_locked or one.locked_by is not None
        ]

    async def show(self, entity: EntityId) -> dict[str, Any] | None:
        from func_host.durable.entity_view import entity_view  # noqa: PLC0415 -- as above

        found = await self._client.get_entity(entity)
        return None if found is None else entity_view(found)

    async def unlock(self, entity: EntityId) -> bool:
        return await self._client.unlock_entity(entity)

    async def clean(self) -> dict[str, int]:
        from func_host.durable.entity_view import clean_view  # noqa: PLC0415 -- as above

        return clean_view(await self._client.clean_entity_storage())


class _RunningHost:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def find(self, name: str | None, prefix: str, *, is_locked: bool) -> list[dict[str, Any]]:
        query = {"name": name or "", "keyPrefix": prefix, "locked": str(is_locked).lower()}
        response = await self._http.get("/admin/entities", params=query)
        found: list[dict[str, Any]] = response.raise_for_status().json()
        return found

    async def show(self, entity: EntityId) -> dict[str, Any] | None:
        response = await self._http.get(_path(entity))
        if response.is_success:
            found: dict[str, Any] = response.json()
            return found
        self._refuse_unless_missing(response)
        return None

    async def unlock(self, entity: EntityId) -> bool:
        response = await self._http.post(f"{_path(entity)}/unlock")
        if not response.is_success:
            self._refuse_unless_missing(response)
        return response.is_success

    async def clean(self) -> dict[str, int]:
        response = await self._http.post("/admin/entities/clean")
        done: dict[str, int] = response.raise_for_status().json()
        return done

    def _refuse_unless_missing(self, response: httpx.Response) -> None:
        if response.status_code != 404:  # noqa: PLR2004 -- HTTP's
            response.raise_for_status()


def _path(entity: EntityId) -> str:
    return f"/admin/entities/{quote(entity.name, safe='')}/{quote(entity.key, safe='')}"


def entity_of(text: str) -> EntityId:
    """Read `NAME@KEY` or `@name@key`; a mistake ends the command with exit code 1."""
    from func_bindings.durable.entities import EntityId  # noqa: PLC0415 -- as above

    try:
        return EntityId.parse(text if text.startswith("@") else f"@{text}")
    except ValueError as error:
        fail(str(error))
