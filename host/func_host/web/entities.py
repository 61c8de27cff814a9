"""Entities over HTTP: read, list, signal and delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from func_bindings.durable.entities import EntityId
from func_bindings.errors import FunctionNotFoundError
from func_host.durable.backend import InstanceQuery
from func_host.durable.engine.entities.messages import stamp_of, stamp_text
from func_host.durable.entity_client import entity_prefix
from func_host.durable.operations.values import unknown_entity
from func_host.durable.status_payload import stored_json
from func_host.invocation.values import dump_json
from func_host.web.answers import empty_answer, json_answer, message_answer
from func_host.web.json_text import InvalidJsonError, json_text
from func_host.web.query import BadArgumentError

if TYPE_CHECKING:
    from starlette.responses import Response

    from func_host.durable.client import TaskHubClient
    from func_host.durable.stored_entity import StoredEntity
    from func_host.web.call import Call
    from func_host.web.settings import WebSettings

_TOKEN: Final = "x-ms-continuation-token"  # noqa: S105 -- the name of a header
_OPERATION_ID: Final = b"idempotency-key"
_PAGE_SIZE: Final = 100
_EMPTY_KEY: Final = "$"
_DELETE: Final = "delete"


class EntityEndpoints:
    """Answers below `/entities`."""

    def __init__(self, client: TaskHubClient, settings: WebSettings) -> None:
        """Serve the entities of this client's hub."""
        self._client = client
        self._settings = settings

    async def answer(self, call: Call, path: list[str], *, is_own: bool) -> Response:
        """Answer a request, given what its path names: an entity name, a key."""
        try:
            return await self._answer(call, path, is_own=is_own)
        except (BadArgumentError, FunctionNotFoundError) as error:
            return message_answer(400, str(error))
        except InvalidJsonError as error:
            return message_answer(400, f"Could not parse JSON content: {error}")

    async def _answer(self, call: Call, path: list[str], *, is_own: bool) -> Response:
        if call.method == "GET" and len(path) < 2:  # noqa: PLR2004 -- a name and a key
            return await self._list(call, path[0] if path else None, is_own=is_own)
        if call.method == "GET":
            return await self._state(path[0], path[1]) if is_own else empty_answer(404)
        if not is_own:
            raise BadArgumentError(
                f"This host serves the task hub '{self._settings.task_hub}' and no other."
            )
        name, key = (*path, "", "")[:2]
        name = name.lower()
        if "@" in name:
            raise BadArgumentError(unknown_entity(name, self._client.entity_names))
        entity = _entity_id(name, key)
        if call.method == "DELETE":
            return await self._signal(call, entity, _DELETE, None)
        operation = call.query.text("op") or ""
        return await self._signal(call, entity, operation, await self._input(call))

    async def _state(self, name: str, key: str) -> Response:
        """`GET /entities/{entityName}/{entityKey}`: the bare state; `$` is the empty key."""
        if "@" in name:
            return empty_answer(404)
        entity = _entity_id(name, "" if key == _EMPTY_KEY else key)
        stored = await self._client.stored_entity(entity)
        if stored is None or stored.state is None:
            return empty_answer(404)
        return json_answer(stored_json(stored.state))

    async def _list(self, call: Call, name: str | None, *, is_own: bool) -> Response:
        """`GET /entities` and `GET /entities/{entityName}`: one page.

        A state that is JSON's null is shown as such, but left out where states are asked for, as
        the extension does.
        """
        try:
            prefix = entity_prefix(name)
        except ValueError:
            return json_answer([])  # there is no such name
        query = call.query
        fetch_state = query.flag("fetchState", default=False)
        asked = InstanceQuery(
            instance_id_prefix=prefix,
            created_time_from=query.timestamp("lastOperationTimeFrom"),
            created_time_to=query.timestamp("lastOperationTimeTo"),
            page_size=self._page_size(call),
            continuation_token=call.header(_TOKEN.encode()) or None,
            fetch_input=fetch_state,
        )
        if not is_own:
            return json_answer([])
        try:
            found, token = await self._client.entity_page(asked)
        except ValueError as error:
            raise BadArgumentError(str(error)) from error
        rows = [
            _row(one, fetch_state=fetch_state)
            for one in found
            if not (fetch_state and one.state is None)
        ]
        return json_answer(rows, 200, None if token is None else {_TOKEN: token})

    def _page_size(self, call: Call) -> int:
        asked = call.query.integer("top")
        if asked is None:
            return _PAGE_SIZE
        if asked < 1:
            raise BadArgumentError(f"A page holds at least one entity, not {asked}: top.")
        return min(asked, self._settings.page_size_max)

    async def _input(self, call: Call) -> str | None:
        """Give the body as JSON text: parsed where it says that it is JSON, else as a string."""
        body = await call.body(self._settings.body_bytes_max)
        if not body:
            return None
        media_type = (call.header(b"content-type") or "").partition(";")[0].strip().lower()
        if media_type == "application/json":
            return json_text(body, first_only=True)
        return dump_json(body.decode("utf-8", "replace"))

    async def _signal(
        self, call: Call, entity: EntityId, operation: str, text: str | None
    ) -> Response:
        operation_id = call.header(_OPERATION_ID) or None
        try:
            await self._client.send_signal(entity, operation, text, operation_id=operation_id)
        except ValueError as error:
            raise BadArgumentError(str(error)) from error
        return empty_answer(202)


def _entity_id(name: str, key: str) -> EntityId:
    try:
        return EntityId(name, key)
    except ValueError as error:
        parameter = "" if name else " (Parameter 'entityName')"
        raise BadArgumentError(f"{error}{parameter}") from error


def _row(stored: StoredEntity, *, fetch_state: bool) -> dict[str, Any]:
    entity = stored.entity_id
    state = stored.state if fetch_state else None
    return {
        "entityId": {"name": entity.name, "key": entity.key},
        "lastOperationTime": stamp_text(stamp_of(stored.record.created_time)),
        "state": None if state is None else msgspec.Raw(state.encode()),
    }
