"""`/admin/entities`: entities with their locks, and the repairs that operators need.

This is ours; the extension shows no lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_bindings.durable.entities import EntityId
from func_host.durable.entity_view import clean_view, entity_view
from func_host.web.answers import empty_answer, json_answer, message_answer

if TYPE_CHECKING:
    from starlette.responses import Response

    from func_host.durable.client import TaskHubClient
    from func_host.web.call import Call


class AdminEntities:
    """Answers the requests below `/admin/entities`."""

    def __init__(self, client: TaskHubClient) -> None:
        """Serve the entities of this client's hub."""
        self._client = client

    async def answer(self, call: Call, segments: list[str]) -> Response:
        """Answer a request, given the segments of its path after `entities`."""
        try:
            return await self._answer(call, segments)
        except ValueError as error:
            return message_answer(400, str(error))

    async def _answer(self, call: Call, segments: list[str]) -> Response:
        match call.method, segments:
            case "GET", []:
                return await self._list(call)
            case "POST", [action] if action.lower() == "clean":
                return json_answer(clean_view(await self._client.clean_entity_storage()))
            case "GET", [name, key]:
                return await self._show(EntityId(name, key))
            case "POST", [name, key, action] if action.lower() == "unlock":
                is_unlocked = await self._client.unlock_entity(EntityId(name, key))
                return empty_answer(202 if is_unlocked else 404)
            case _:
                return empty_answer(404)

    async def _list(self, call: Call) -> Response:
        found = await self._client.list_entities(
            call.query.text("name") or None, call.query.text("keyPrefix") or ""
        )
        is_locked = call.query.flag("locked", default=False)
        return json_answer(
            [
                entity_view(one, with_state=False)
                for one in found
                if not is_locked or one.locked_by is not None
            ]
        )

    async def _show(self, entity: EntityId) -> Response:
        found = await self._client.get_entity(entity)
        return empty_answer(404) if found is None else json_answer(entity_view(found))
