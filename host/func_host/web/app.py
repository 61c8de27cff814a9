"""The ASGI application: decides by path which part answers, and who may ask.

It is plain ASGI over Starlette's responses. A request passes no router and no middleware but this
dispatch, since the path of a start that waits for its end is what the host is measured by.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

from func_host.clock import SystemClock
from func_host.log import METHOD, PATH
from func_host.web.admin import Admin, needs_no_key
from func_host.web.admin_entities import AdminEntities
from func_host.web.answers import empty_answer, message_answer
from func_host.web.body import BodyTooLargeError, ClientGoneError
from func_host.web.call import Call
from func_host.web.guard import Guard
from func_host.web.management import BASE, Management
from func_host.web.paths import BadPathError, path_segments, split_path
from func_host.web.routes import RouteTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from func_host.clock import Clock
    from func_host.durable.backend import RequestCount
    from func_host.durable.client import TaskHubClient
    from func_host.indexing.functions import FunctionIndex
    from func_host.invocation.invoker import Invoker
    from func_host.web.settings import WebSettings

_logger = logging.getLogger(__name__)

_HOME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>func-host</title>
<h1>Your function host is up and running.</h1>
"""


def create_app(
    *,
    index: FunctionIndex,
    client: TaskHubClient,
    invoker: Invoker,
    settings: WebSettings,
    clock: Clock | None = None,
    request_counts: Callable[[], Sequence[RequestCount]] = tuple,
) -> ASGIApp:
    """Build the application.

    Args:
        index: The functions.
        client: The durable client that functions get and the management API uses.
        invoker: Calls the functions.
        settings: What the surroundings say.
        clock: Measures how long the host is up; the machine's where none is given.
        request_counts: What the store has asked of others so far, for `/admin/metrics`.

    Raises:
        AppError: A route of the app cannot be served; every mistake has a line.
    """
    return _App(
        routes=RouteTable(index.http_functions, client),
        management=Management(client, settings),
        admin=Admin(
            index.functions,
            settings,
            clock or SystemClock(),
            request_counts,
            AdminEntities(client),
        ),
        invoker=invoker,
        settings=settings,
    )


class _App:
    def __init__(
        self,
        *,
        routes: RouteTable,
        management: Management,
        admin: Admin,
        invoker: Invoker,
        settings: WebSettings,
    ) -> None:
        self._routes = routes
        self._management = management
        self._admin = admin
        self._invoker = invoker
        self._settings = settings
        self._guard = Guard(settings)
        self._prefix = [part.lower() for part in split_path(settings.route_prefix)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        try:
            response = await self._respond(call)
        except ClientGoneError:
            return
        except BodyTooLargeError as error:
            response = message_answer(413, str(error))
        except Exception as error:
            fields = {METHOD: call.method, PATH: scope["path"]}
            _logger.exception("a request failed", exc_info=error, extra=fields)
            response = empty_answer(500)
        await response(scope, receive, send)

    async def _respond(self, call: Call) -> Response:
        refusal = self._guard.refusal(call)
        if refusal is not None:
            return message_answer(403, refusal)
        try:
            segments = path_segments(call.scope)
        except BadPathError:
            return empty_answer(400)
        first = segments[0].lower() if segments else ""
        if first == "runtime":
            return await self._webhook(call, segments)
        if first == "admin":
            if not needs_no_key(segments[1:]) and not self._guard.admits(call):
                return empty_answer(401)
            return await self._admin.answer(call, segments[1:])
        return await self._function(call, segments)

    async def _webhook(self, call: Call, segments: list[str]) -> Response:
        if not self._guard.admits(call):
            return empty_answer(401)
        if tuple(segment.lower() for segment in segments[: len(BASE)]) != BASE:
            return empty_answer(404)
        return await self._management.answer(call, segments[len(BASE) :])

    async def _function(self, call: Call, segments: list[str]) -> Response:
        depth = len(self._prefix)
        found = None
        if depth == 0 or [segment.lower() for segment in segments[:depth]] == self._prefix:
            found = self._routes.find(call.method, segments[depth:])
        if found is not None:
            route, values = found
            if not route.is_anonymous and not self._guard.admits(call):
                return empty_answer(401)
            body = await call.body(self._settings.body_bytes_max)
            return await route.function.answer(call, values, body, self._invoker)
        if not self._guard.admits(call):
            return empty_answer(401)
        if not segments and call.method in ("GET", "HEAD"):
            return HTMLResponse(_HOME)
        return empty_answer(404)


async def _live(receive: Receive, send: Send) -> None:
    """Take part in the server's start and stop; the host does its own outside of them."""
    while True:
        message: Message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
