"""`/admin`: is the host up, which functions does it serve, and what has it asked of others."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from func_bindings.metadata import HttpTrigger
from func_host.web.answers import empty_answer, json_answer
from func_host.web.metrics import metrics_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from starlette.responses import Response

    from func_bindings.metadata import Trigger
    from func_host.clock import Clock
    from func_host.durable.backend import RequestCount
    from func_host.indexing.functions import IndexedFunction
    from func_host.web.admin_entities import AdminEntities
    from func_host.web.call import Call
    from func_host.web.settings import WebSettings

_PING = ["host", "ping"]
_NO_CACHE = {"Cache-Control": "no-store, no-cache"}


def needs_no_key(segments: list[str]) -> bool:
    """Tell whether the path below `/admin` is answered without a key."""
    return [segment.lower() for segment in segments] == _PING


class Admin:
    """Answers the requests below `/admin`."""

    def __init__(
        self,
        functions: Iterable[IndexedFunction],
        settings: WebSettings,
        clock: Clock,
        request_counts: Callable[[], Sequence[RequestCount]],
        entities: AdminEntities,
    ) -> None:
        """Tell about these functions and counts; the host is said to have started now."""
        self._entities = entities
        self._functions = tuple(sorted(functions, key=lambda each: each.name.lower()))
        self._settings = settings
        self._clock = clock
        self._request_counts = request_counts
        self._started = clock.monotonic()

    async def answer(self, call: Call, segments: list[str]) -> Response:
        """Answer a request, given the segments of its path after `admin`."""
        if segments and segments[0].lower() == "entities":
            return await self._entities.answer(call, segments[1:])
        return self._answer(call, [segment.lower() for segment in segments])

    def _answer(self, call: Call, segments: list[str]) -> Response:
        match call.method, segments:
            case (("GET" | "POST"), ["host", "ping"]):
                response = empty_answer(200)
                response.headers.update(_NO_CACHE)
                return response
            case "GET", ["host", "status"]:
                return json_answer(self._status())
            case "GET", ["metrics"]:
                return self._metrics()
            case "GET", ["functions"]:
                return json_answer([self._describe(each, call) for each in self._functions])
            case "GET", ["functions", name]:
                return self._function(call, name)
            case _:
                return empty_answer(404)

    def _function(self, call: Call, name: str) -> Response:
        found = next((each for each in self._functions if each.name.lower() == name), None)
        return empty_answer(404) if found is None else json_answer(self._describe(found, call))

    def _metrics(self) -> Response:
        return metrics_answer(
            version=self._settings.version,
            up_seconds=self._up_s(),
            requests=self._request_counts(),
        )

    def _up_s(self) -> float:
        return self._clock.monotonic() - self._started

    def _status(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "id": settings.host_id,
            "state": "Running",
            "version": settings.version,
            "versionDetails": f"func-host {settings.version}".rstrip(),
            "instanceId": settings.host_instance_id,
            "computerName": platform.node(),
            "processUptime": int(self._up_s() * 1000),
            "functionAppContentEditingState": "NotAllowed",
        }

    def _describe(self, function: IndexedFunction, call: Call) -> dict[str, Any]:
        origin = call.origin
        script = function.location.file.replace("\\", "/").rpartition("/")[2]
        return {
            "name": function.name,
            "script_root_path_href": None,
            "script_href": None,
            "config_href": None,
            "test_data_href": None,
            "href": f"{origin}/admin/functions/{function.name}",
            "invoke_url_template": self._invoke_url(function.trigger, function.name, origin),
            "language": "python",
            "config": {
                "name": function.name,
                "entryPoint": getattr(function.function, "__name__", function.name),
                "scriptFile": script,
                "language": "python",
                "functionDirectory": None,
                "bindings": _bindings(function),
            },
            "files": None,
            "test_data": None,
            "isDisabled": False,
            "isDirect": False,
            "isProxy": False,
        }

    def _invoke_url(self, trigger: Trigger, name: str, origin: str) -> str | None:
        """Give the URL of an HTTP function, lower-cased as a whole as Azure's host does."""
        if not isinstance(trigger, HttpTrigger):
            return None
        parts = [self._settings.route_prefix, name if trigger.route is None else trigger.route]
        path = "/".join(part.strip("/") for part in parts if part.strip("/"))
        return f"{origin}/{path}".lower()


def _bindings(function: IndexedFunction) -> list[dict[str, Any]]:
    trigger = function.trigger
    kind = type(trigger).__name__
    shown: dict[str, Any] = {
        "type": kind[0].lower() + kind[1:],
        "direction": "in",
        "name": trigger.parameter,
    }
    bindings = [shown]
    if isinstance(trigger, HttpTrigger):
        shown["route"] = trigger.route
        if trigger.methods:
            shown["methods"] = [method.lower() for method in trigger.methods]
        if trigger.auth_level is not None:
            shown["authLevel"] = trigger.auth_level.value
        bindings.append({"type": "http", "direction": "out", "name": "$return"})
    bindings.extend(
        {"type": "durableClient", "direction": "in", "name": each.parameter}
        for each in function.client_inputs
    )
    return bindings
