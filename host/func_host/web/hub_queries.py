"""Reading over HTTP: the status of one instance, lists, and the purge by filter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import InstanceQuery
from func_host.durable.history_view import history_view
from func_host.durable.status_payload import status_payload, stored_json
from func_host.web.answers import empty_answer, json_answer
from func_host.web.instance_commands import find
from func_host.web.query import BadArgumentError

if TYPE_CHECKING:
    from starlette.responses import Response

    from func_host.durable.backend import InstanceRecord
    from func_host.durable.client import TaskHubClient
    from func_host.web.call import Call
    from func_host.web.query import Query
    from func_host.web.settings import WebSettings

_TOKEN = "x-ms-continuation-token"  # noqa: S105 -- the name of a header
_PAGE_SIZE = 100
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class HubQueries:
    """What asks, and what deletes by asking."""

    def __init__(self, client: TaskHubClient, settings: WebSettings) -> None:
        """Ask this client's hub."""
        self._client = client
        self._settings = settings

    async def status(self, call: Call, instance_id: str) -> Response:
        """`GET /instances/{instanceId}`."""
        query = call.query
        show_input = query.flag("showInput", default=True)
        record = await find(self._client, instance_id, fetch_input=show_input)
        if record is None:
            return empty_answer(404)
        history = await shown_history(self._client, query, record)
        payload = status_payload(record, show_input=show_input, history=history)
        if not record.runtime_status.is_terminal:
            return json_answer(payload, 202, {"Location": call.url, "Retry-After": "5"})
        is_failed = record.runtime_status is OrchestrationRuntimeStatus.Failed
        is_error = is_failed and query.flag("returnInternalServerErrorOnFailure", default=False)
        return json_answer(payload, 500 if is_error else 200)

    async def page(self, call: Call, *, is_own: bool) -> Response:
        """`GET /instances`: one page, and the token of the next in a header."""
        query = call.query
        show_input = query.flag("showInput", default=True)
        asked = InstanceQuery(
            created_time_from=query.timestamp("createdTimeFrom"),
            created_time_to=_until(query),
            runtime_status=query.statuses("runtimeStatus"),
            instance_id_prefix=query.text("instanceIdPrefix") or None,
            page_size=self._page_size(query),
            continuation_token=call.header(_TOKEN.encode()) or None,
            fetch_input=show_input,
        )
        if not is_own:
            return json_answer([])
        try:
            page = await self._client.page(asked)
        except ValueError as error:
            raise BadArgumentError(str(error)) from error
        rows = [status_payload(record, show_input=show_input) for record in page.instances]
        token = page.continuation_token
        return json_answer(rows, 200, None if token is None else {_TOKEN: token})

    async def purge(self, call: Call, *, is_own: bool) -> Response:
        """`DELETE /instances`: those in the window that have ended."""
        query = call.query
        created_from = query.timestamp("createdTimeFrom")
        if created_from is None:
            return json_answer("Please provide value for 'createdTimeFrom' parameter.", 400)
        statuses = query.statuses("runtimeStatus")
        if statuses is None and (query.text("runtimeStatus") or "").strip():
            statuses = ()  # a list without a status that exists matches nothing
        if not is_own:
            return empty_answer(404)
        result = await self._client.purge_instance_history_by(
            created_from, query.timestamp("createdTimeTo"), statuses
        )
        deleted = result.instances_deleted
        return json_answer({"instancesDeleted": deleted}) if deleted else empty_answer(404)

    def _page_size(self, query: Query) -> int:
        asked = query.integer("top")
        if asked is None:
            return _PAGE_SIZE
        if asked < 1:
            raise BadArgumentError(f"A page holds at least one instance, not {asked}: top.")
        return min(asked, self._settings.page_size_max)


def _until(query: Query) -> datetime | None:
    """Give the end of the window; the beginning of time is how clients write that there is none."""
    moment = query.timestamp("createdTimeTo")
    return None if moment == _BEGINNING else moment


async def shown_history(
    client: TaskHubClient, query: Query, record: InstanceRecord
) -> list[dict[str, Any]] | None:
    """Give the history as the query wants it; None where it does not, or nothing has run yet."""
    if not query.flag("showHistory", default=False):
        return None
    if record.runtime_status is OrchestrationRuntimeStatus.Pending:
        return None
    return history_view(
        await client.history(record.instance_id),
        show_input=query.flag("showInput", default=True),
        show_output=query.flag("showHistoryOutput", default=False),
        value=stored_json,
    )
