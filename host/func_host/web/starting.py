"""Starting an orchestration over HTTP, and waiting for its end where the caller asks for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_bindings.errors import InstanceNotFoundError
from func_host.durable.status_payload import status_payload, stored_json
from func_host.web.answers import json_answer
from func_host.web.hub_queries import shown_history
from func_host.web.json_text import json_text
from func_host.web.query import BadArgumentError

if TYPE_CHECKING:
    from starlette.responses import Response

    from func_host.durable.backend import InstanceRecord
    from func_host.durable.client import TaskHubClient
    from func_host.durable.links import ManagementLinks
    from func_host.web.call import Call
    from func_host.web.settings import WebSettings

_TIMEOUT_MAX_S = 922_337_203_685.0
"""The longest TimeSpan of .NET."""


class Starting:
    """`POST /orchestrators/{functionName}/{instanceId?}`."""

    def __init__(self, client: TaskHubClient, settings: WebSettings) -> None:
        """Start instances with this client."""
        self._client = client
        self._settings = settings

    async def start(
        self, call: Call, links: ManagementLinks, name: str, instance_id: str | None
    ) -> Response:
        """Start an orchestration; its input is the body, kept as it came."""
        input_text = json_text(await call.body(self._settings.body_bytes_max))
        version = call.query.text("version")
        started = await self._client.start(name, input_text, instance_id, version)
        timeout_s = call.query.seconds("timeout")
        if timeout_s is not None:
            _check_span(timeout_s, call.query.seconds("pollingInterval"))
            record = await self._wait(call, started, timeout_s)
            if record is not None:
                return await self._ended(call, record)
        payload = links.check_status(started, call.origin)
        headers = {"Location": payload["statusQueryGetUri"], "Retry-After": "10"}
        return json_answer(payload, 202, headers)

    async def _wait(self, call: Call, instance_id: str, timeout_s: float) -> InstanceRecord | None:
        try:
            return await self._client.ended(instance_id, timeout_s, give_up=call.client_gone)
        except InstanceNotFoundError:  # purged meanwhile
            return None

    async def _ended(self, call: Call, record: InstanceRecord) -> Response:
        if record.runtime_status is OrchestrationRuntimeStatus.Completed:
            return json_answer(stored_json(record.output))
        show_input = call.query.flag("showInput", default=True)
        history = await shown_history(self._client, call.query, record)
        return json_answer(status_payload(record, show_input=show_input, history=history))


def _check_span(timeout_s: float, interval_s: float | None) -> None:
    """Refuse what the extension refuses; the instance has been started by then.

    Raises:
        BadArgumentError: The timeout is no span of time, or shorter than the polling interval.
    """
    for value in (timeout_s, interval_s):
        if value is not None and (math.isnan(value) or abs(value) > _TIMEOUT_MAX_S):
            raise BadArgumentError(f"{value} is not a number of seconds that can be waited for.")
    if interval_s is not None and interval_s > timeout_s:
        message = f"Total timeout {timeout_s:g} should be bigger than retry timeout {interval_s:g}"
        raise BadArgumentError(message)
