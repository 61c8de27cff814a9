"""`/admin/entities`: entities with their locks, and the repairs that operators need.

This is ours; the extension shows no lock. An entity is one segment of the path, `@name@key`, so
that keys that are empty or made of dots have an address too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_bindings.durable.entities import EntityId
from func_host.durable.entity_view import clean_view, entity_view, list_view
from func_host.web.answers import answer_to, empty_answer, json_answer, message_answer
from func_host.web.query import BadArgumentError

if TYPE_CHECKING:
    from starlette.responses import Response

    from func_host.durable.client import TaskHubClient
    from func_host.web.call import Call


class AdminEntities:
    """Answers the requests below `/admin/entities`; 404 with a message where there is no such."""

    def __init__(self, client: TaskHubClient) -> None:
        """Serve the entities of this client's hub."""
        self._client = client

    async def answer(self, call: Call, segments: list[str]) -> Response:
        """Answer a request, given the segments of its path after `entities`."""
        try:
            return await self._answer(call, segments)
        except BadArgumentError as error:
            return message_answer(400, str(error))
        except Exception as error:  # noqa: BLE001 -- whatever a request brings up, it is answered
            return answer_to(error)

    async def _answer(self, call: Call, segments: list[str]) -> Response:
        match call.method, segments:
            case "GET", []:
                return await self._list(call)
            case "POST", [action] if action.lower() == "clean":
                return json_answer(clean_view(await self._client.clean_entity_storage()))
            case "GET", [text]:
                return await self._show(_entity_id(text))
            case "POST", [text, action] if action.lower() == "unlock":
                return await self._unlock(_entity_id(text))
            case _:
                return empty_answer(404)

    async def _list(self, call: Call) -> Response:
        name, prefix = call.query.text("name") or None, call.query.text("keyPrefix") or ""
        only_locked = call.query.flag("locked", default=False)
        try:
            found = await self._client.list_entities(name, prefix)
        except ValueError as error:
            raise BadArgumentError(str(error)) from error
        return json_answer(list_view(found, only_locked=only_locked))

    async def _show(self, entity: EntityId) -> Response:
        found = await self._client.get_entity(entity)
        if found is None:
            return message_answer(404, f"There is no entity {entity}.")
        return json_answer(entity_view(found))

    async def _unlock(self, entity: EntityId) -> Response:
        if not await self._client.unlock_entity(entity):
            return message_answer(404, f"The entity {entity} is not locked.")
        return json_answer({"unlocked": True}, 202)


def _entity_id(text: str) -> EntityId:
    try:
        return EntityId.parse(text)
    except ValueError as error:
        raise BadArgumentError(str(error)) from error
