"""The URLs that manage an instance, spelt as the Durable Functions extension spells them.

Every link carries what the webhook needs: the task hub, the connection and, where the host has
one, the key. So whoever receives a link can use it; that is how the extension's links behave.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlsplit

if TYPE_CHECKING:
    from func_bindings.http import HttpRequest

WEBHOOK_PATH = "/runtime/webhooks/durabletask"
_PLACEHOLDER_ID = "INSTANCEID"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementLinks:
    """Builds the management URLs of one task hub.

    Args:
        origin: Scheme and authority where no request says them: `http://localhost:7071`.
        task_hub: The hub that the links address.
        connection: Name of the storage connection, as the extension writes it.
        key: Key of the management API, or None where none is needed.
    """

    origin: str
    task_hub: str
    connection: str = "Storage"
    key: str | None = field(default=None, repr=False)

    def check_status(self, instance_id: str, origin: str | None = None) -> dict[str, str]:
        """Give the eight entries of the answer to a start."""
        payload = self.payload(instance_id, origin)
        del payload["rewindPostUri"]
        return payload

    def payload(self, instance_id: str, origin: str | None = None) -> dict[str, str]:
        """Give the nine entries of `create_http_management_payload`."""
        base = f"{origin or self.origin}{WEBHOOK_PATH}/instances/{form_encode(instance_id)}"
        query = self._query()
        with_reason = f"?reason={{text}}&{query}"
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{base}?{query}",
            "sendEventPostUri": f"{base}/raiseEvent/{{eventName}}?{query}",
            "terminatePostUri": f"{base}/terminate{with_reason}",
            "rewindPostUri": f"{base}/rewind{with_reason}",
            "purgeHistoryDeleteUri": f"{base}?{query}",
            "restartPostUri": f"{base}/restart?{query}",
            "suspendPostUri": f"{base}/suspend{with_reason}",
            "resumePostUri": f"{base}/resume{with_reason}",
        }

    def binding(self) -> str:
        """Give the text that a `durableClient` binding hands to a parameter annotated `str`."""
        base = f"{self.origin}{WEBHOOK_PATH}"
        key = "" if self.key is None else f"code={_raw_key(self.key)}"
        create = f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
        wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
        return json.dumps(
            {
                "taskHubName": self.task_hub,
                "connectionName": None,
                "creationUrls": {
                    "createNewInstancePostUri": f"{create}?{key}",
                    "createAndWaitOnNewInstancePostUri": f"{create}?{wait}&{key}",
                },
                "managementUrls": self.payload(_PLACEHOLDER_ID),
                "baseUrl": base,
                "requiredQueryStringParameters": key,
                "rpcBaseUrl": None,
            }
        )

    def _query(self) -> str:
        key = "" if self.key is None else f"&code={_raw_key(self.key)}"
        return (
            f"taskHub={form_encode(self.task_hub)}&connection={form_encode(self.connection)}{key}"
        )


def _raw_key(key: str) -> str:
    """Write a key as it is, but for what would not come back from a query."""
    return quote(key, safe="=/:@!$'()*,;?~")


def form_encode(text: str) -> str:
    """Encode a part of a link as .NET does: a space becomes `+`, and `~` is escaped."""
    return quote_plus(text, safe="!*()", errors="replace").replace("~", "%7E")


def origin_of(request: HttpRequest | None) -> str | None:
    """Give scheme and authority of the request's URL; None where it has none."""
    if request is None:
        return None
    url = urlsplit(request.url)
    return f"{url.scheme}://{url.netloc}" if url.scheme and url.netloc else None
