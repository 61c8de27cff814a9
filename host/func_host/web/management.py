"""The management API of Durable Functions, below `/runtime/webhooks/durabletask`.

Paths, parameters, statuses and bodies are those of the extension, so that software written for it
goes on working. An answer is JSON or empty, an unmatched path included.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from func_host.web.answers import answer_to, empty_answer, error_answer
from func_host.web.body import ClientGoneError
from func_host.web.entities import EntityEndpoints
from func_host.web.hub_queries import HubQueries
from func_host.web.instance_commands import InstanceCommands
from func_host.web.query import BadArgumentError
from func_host.web.starting import Starting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response

    from func_host.durable.client import TaskHubClient
    from func_host.durable.links import ManagementLinks
    from func_host.web.call import Call
    from func_host.web.settings import WebSettings

    Endpoint = Callable[[Call, str], Awaitable[Response]]

BASE = ("runtime", "webhooks", "durabletask")
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS"})
_LATER = frozenset({"rewind", "restart"})
_OWN_CONNECTIONS = frozenset({"storage", "azurewebjobsstorage"})


class Management:
    """Answers the requests below the base path."""

    def __init__(self, client: TaskHubClient, settings: WebSettings) -> None:
        """Manage the instances of this client's hub."""
        self._client = client
        self._settings = settings
        self._connections = _OWN_CONNECTIONS | {settings.connection.lower()}
        self._starting = Starting(client, settings)
        self._queries = HubQueries(client, settings)
        self._entities = EntityEndpoints(client, settings)
        commands = InstanceCommands(client, settings)
        self._commands: Mapping[str, Endpoint] = {
            "terminate": commands.terminate,
            "suspend": commands.suspend,
            "resume": commands.resume,
        }
        self._instance: Mapping[str, Endpoint] = {
            "GET": self._queries.status,
            "DELETE": commands.purge,
        }
        self._raise_event = commands.raise_event

    async def answer(self, call: Call, segments: list[str]) -> Response:
        """Answer a request, given the segments of its path after the base."""
        try:
            return await self._route(call, _trimmed(segments))
        except ClientGoneError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a request brings up, it is answered
            return answer_to(error)

    async def _route(self, call: Call, segments: list[str]) -> Response:  # noqa: PLR0911 -- one for each kind of path
        if not segments or call.method not in _METHODS or "" in segments:
            return empty_answer(404)
        match segments[0].lower(), len(segments):
            case "orchestrators", 2 | 3 if call.method == "POST":
                return await self._start(call, *segments[1:])
            case "instances", 1 if call.method in ("GET", "DELETE"):
                return await self._collection(call)
            case "instances", 2 | 3 | 4:
                return await self._one(call, segments[1], segments[2:])
            case "entities", 1 | 2 | 3 if call.method in ("GET", "POST", "DELETE"):
                return await self._of_entities(call, segments[1:])
            case "makeprimary", 1:
                return empty_answer(200)  # one process owns the hub, and it is this one
            case _:
                return empty_answer(404)

    async def _start(self, call: Call, name: str, instance_id: str | None = None) -> Response:
        links = self._addressed(call)
        if links is None:
            raise BadArgumentError(self._other_hub(call))
        return await self._starting.start(call, links, name, instance_id)

    async def _collection(self, call: Call) -> Response:
        is_own = self._addressed(call) is not None
        if call.method == "DELETE":
            return await self._queries.purge(call, is_own=is_own)
        return await self._queries.page(call, is_own=is_own)

    async def _one(self, call: Call, instance_id: str, rest: list[str]) -> Response:
        endpoint: Endpoint | None = None
        operation = rest[0].lower() if rest else ""
        if not rest:
            endpoint = self._instance.get(call.method)
        elif call.method != "POST":
            return empty_answer(404)
        elif len(rest) > 1:
            return await self._event(call, instance_id, operation, rest[1])
        elif operation in _LATER:
            return _not_yet(operation.capitalize())
        else:
            endpoint = self._commands.get(operation)
        if endpoint is None or self._addressed(call) is None:
            return empty_answer(404)
        return await endpoint(call, instance_id)

    async def _of_entities(self, call: Call, path: list[str]) -> Response:
        is_own = self._addressed(call) is not None
        return await self._entities.answer(call, path, is_own=is_own)

    async def _event(
        self, call: Call, instance_id: str, operation: str, event_name: str
    ) -> Response:
        if operation != "raiseevent" or self._addressed(call) is None:
            return empty_answer(404)
        return await self._raise_event(call, instance_id, event_name)

    def _addressed(self, call: Call) -> ManagementLinks | None:
        """Give the links of the hub that the request addresses; None where it is another hub.

        Raises:
            BadArgumentError: The hub's name or the connection cannot be one.
        """
        links = self._client.links
        if not call.scope.get("query_string"):
            return links
        hub = (call.query.text("taskHub") or "").strip()
        connection = (call.query.text("connection") or "").strip()
        if connection:
            if connection.lower() not in self._connections:
                message = f"Unable to resolve the Azure Storage connection named '{connection}'."
                raise BadArgumentError(message)
            links = replace(links, connection=connection)
        if not hub or hub == links.task_hub:
            return links
        if hub.lower() == links.task_hub.lower():
            return replace(links, task_hub=hub)
        if not hub.isalnum():
            raise BadArgumentError(f"Invalid container name: '{hub}' cannot be a task hub.")
        return None

    def _other_hub(self, call: Call) -> str:
        return (
            f"This host serves the task hub '{self._settings.task_hub}', "
            f"not '{call.query.text('taskHub')}'."
        )


def _trimmed(segments: list[str]) -> list[str]:
    """Drop the empty segments at both ends: slashes there do not count."""
    start, end = 0, len(segments)
    while start < end and not segments[start]:
        start += 1
    while end > start and not segments[end - 1]:
        end -= 1
    return segments[start:end]


def _not_yet(what: str) -> Response:
    message = f"{what} is not supported by this version of func-host."
    return error_answer(501, message, message, "System.NotImplementedException")
