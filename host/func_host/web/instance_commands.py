"""Changing one instance over HTTP: events, terminate, suspend, resume, purge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_bindings.errors import InstanceConflictError
from func_host.web.answers import empty_answer, json_answer, message_answer
from func_host.web.json_text import json_text

if TYPE_CHECKING:
    from starlette.responses import Response

    from func_host.durable.backend import InstanceRecord
    from func_host.durable.client import TaskHubClient
    from func_host.web.call import Call
    from func_host.web.settings import WebSettings


class InstanceCommands:
    """What is sent to one instance."""

    def __init__(self, client: TaskHubClient, settings: WebSettings) -> None:
        """Send with this client."""
        self._client = client
        self._settings = settings

    async def raise_event(self, call: Call, instance_id: str, event_name: str) -> Response:
        """`POST /instances/{instanceId}/raiseEvent/{eventName}`.

        The state of the instance is looked at before the body, as the extension does: a finished
        one is gone whatever is sent to it.
        """
        record = await find(self._client, instance_id)
        if record is None:
            return empty_answer(404)
        if record.runtime_status.is_terminal:
            return empty_answer(410)
        media_type = (call.header(b"content-type") or "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return message_answer(400, "Only application/json request content is supported")
        body = await call.body(self._settings.body_bytes_max)
        data = json_text(body, first_only=True) or "null"
        await self._client.send_event(record.instance_id, event_name, data)
        return empty_answer(202)

    async def terminate(self, call: Call, instance_id: str) -> Response:
        """`POST /instances/{instanceId}/terminate`."""
        found = await self._known_id(instance_id)
        await self._client.terminate(found, call.query.text("reason"))
        return empty_answer(202)

    async def suspend(self, call: Call, instance_id: str) -> Response:
        """`POST /instances/{instanceId}/suspend`."""
        found = await self._known_id(instance_id)
        await self._client.suspend(found, call.query.text("reason"))
        return empty_answer(202)

    async def resume(self, call: Call, instance_id: str) -> Response:
        """`POST /instances/{instanceId}/resume`."""
        found = await self._known_id(instance_id)
        await self._client.resume(found, call.query.text("reason"))
        return empty_answer(202)

    async def purge(self, call: Call, instance_id: str) -> Response:  # noqa: ARG002 -- a role
        """`DELETE /instances/{instanceId}`: 412 and the reason where it has not ended."""
        found = await self._known_id(instance_id)
        try:
            result = await self._client.purge_instance_history(found)
        except InstanceConflictError as error:
            message = (
                f"Cannot purge instance '{error.instance_id}': only orchestrations in a terminal "
                f"state can be purged, and its status is {error.status.value}."
            )
            return json_answer(message, 412)
        deleted = result.instances_deleted
        return json_answer({"instancesDeleted": deleted}) if deleted else empty_answer(404)

    async def _known_id(self, instance_id: str) -> str:
        """Give the id as it is stored, where its plus may have been meant as a space."""
        if "+" not in instance_id:
            return instance_id
        record = await find(self._client, instance_id)
        return instance_id if record is None else record.instance_id


async def find(
    client: TaskHubClient, instance_id: str, *, fetch_input: bool = False
) -> InstanceRecord | None:
    """Find an instance by the id in a path, whose `+` may be meant as it stands or as a space."""
    record = await client.record(instance_id, fetch_input=fetch_input)
    if record is None and "+" in instance_id:
        return await client.record(instance_id.replace("+", " "), fetch_input=fetch_input)
    return record
