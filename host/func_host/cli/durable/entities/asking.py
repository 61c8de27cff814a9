"""Asks about entities: a host that runs, or straight the hub of an app."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from func_host.cli.durable.asking import ask_hub, fail
from func_host.cli.durable.options import hub_options

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from func_bindings.durable.entities import EntityId
    from func_host.cli.durable.options import HubOptions
    from func_host.durable.backend import Backend
    from func_host.durable.client import TaskHubClient

T = TypeVar("T")

_IN_USE_HINT = " To ask the host that runs, give its address: --url http://127.0.0.1:7071."


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
        return _ask_host(asked.url, asked.key, question)

    async def ask(backend: Backend) -> T:
        from func_host.host import client_of  # noqa: PLC0415 -- --help does not wait for it

        async with backend:
            return await question(_Hub(client_of(backend)))

    return ask_hub(asked.hub, ask, in_use_hint=_IN_USE_HINT)


def _ask_host(
    url: str, key: str | None, question: Callable[[EntityDesk], Coroutine[Any, Any, T]]
) -> T:
    from func_host.cli.durable.entities.running_host import (  # noqa: PLC0415 -- --help does not wait for it
        HostRefusedError,
        RunningHost,
    )

    async def ask() -> T:
        async with RunningHost(url, key) as desk:
            return await question(desk)

    try:
        return asyncio.run(ask())
    except HostRefusedError as error:
        fail(str(error))


class _Hub:
    def __init__(self, client: TaskHubClient) -> None:
        self._client = client

    async def find(self, name: str | None, prefix: str, *, is_locked: bool) -> list[dict[str, Any]]:
        from func_host.durable.entity_view import list_view  # noqa: PLC0415 -- as above

        return list_view(await self._client.list_entities(name, prefix), only_locked=is_locked)

    async def show(self, entity: EntityId) -> dict[str, Any] | None:
        from func_host.durable.entity_view import entity_view  # noqa: PLC0415 -- as above

        found = await self._client.get_entity(entity)
        return None if found is None else entity_view(found)

    async def unlock(self, entity: EntityId) -> bool:
        return await self._client.unlock_entity(entity)

    async def clean(self) -> dict[str, int]:
        from func_host.durable.entity_view import clean_view  # noqa: PLC0415 -- as above

        return clean_view(await self._client.clean_entity_storage())


def entity_of(text: str) -> EntityId:
    """Read `NAME@KEY` or `@name@key`; a mistake ends the command with exit code 2."""
    from func_bindings.durable.entities import EntityId  # noqa: PLC0415 -- as above

    try:
        return EntityId.parse(text if text.startswith("@") else f"@{text}")
    except ValueError as error:
        message = f"{text!r} is not the id of an entity: it looks like 'name@key'."
        raise click.UsageError(message) from error


def check_filter(name: str | None, prefix: str) -> None:
    """Refuse what no entity can match; a mistake ends the command with exit code 2."""
    from func_bindings.durable.entities import EntityId  # noqa: PLC0415 -- as above

    if name is None:
        if prefix:
            raise click.UsageError("--prefix needs --name: keys belong to entities of one name.")
        return
    try:
        EntityId(name, prefix)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
