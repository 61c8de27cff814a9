"""Runs a user function on an HTTP request: values in by annotation, an answer out.

The request goes in as an `HttpRequest`, as the text or bytes of its body, or decoded from JSON to
the annotated type. What comes out: `HttpResponse` as it is; `str` as text, `bytes` as
octet-stream, None as 204, and anything else as JSON.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from func_bindings.errors import FunctionTimeoutError, SerializationError
from func_bindings.http import HttpRequest
from func_host.invocation.values import load_json
from func_host.log import FUNCTION_NAME, bind_log_fields
from func_host.web.answers import error_answer
from func_host.web.function_answers import answer_of
from func_host.web.tracebacks import user_frames_only

if TYPE_CHECKING:
    from collections.abc import Mapping

    from func_host.durable.client import TaskHubClient
    from func_host.indexing.functions import IndexedFunction
    from func_host.invocation.invoker import Invoker
    from func_host.web.call import Call

_logger = logging.getLogger(__name__)


class HttpFunction:
    """One function with an HTTP trigger, ready to be called."""

    def __init__(self, indexed: IndexedFunction, client: TaskHubClient) -> None:
        """Look once at what the function takes."""
        self.name = indexed.name
        self._indexed = indexed
        self._parameter = indexed.trigger.parameter
        self._type = indexed.input_type
        parameter = indexed.parameters.get(self._parameter or "")
        self._has_default = (
            parameter is not None and parameter.default is not inspect.Parameter.empty
        )
        self._clients: dict[str, object] = {
            each.parameter: (
                client.links.binding()
                if indexed.parameter_types.get(each.parameter) is str
                else client
            )
            for each in indexed.client_inputs
        }

    async def answer(
        self, call: Call, route_params: Mapping[str, str], body: bytes, invoker: Invoker
    ) -> Response:
        """Call the function and answer with what it gives; whatever it raises is a 500."""
        arguments = dict(self._clients)
        try:
            self._bind_request(arguments, call, route_params, body)
        except SerializationError as error:
            message = (
                f"The request body does not fit the parameter '{self._parameter}' "
                f"of the function '{self.name}'."
            )
            return error_answer(400, message, str(error), "SerializationError")
        try:
            with bind_log_fields(**self._fields()):
                return answer_of(await invoker.invoke(self._indexed, arguments))
        except FunctionTimeoutError as error:
            _logger.error("an HTTP function timed out: %s", error, extra=self._fields())  # noqa: TRY400 -- where it waited is not in this traceback
        except Exception as error:
            shown = user_frames_only(error)
            _logger.exception("an HTTP function failed", exc_info=shown, extra=self._fields())
        return Response(status_code=500)

    def _bind_request(
        self,
        arguments: dict[str, object],
        call: Call,
        route_params: Mapping[str, str],
        body: bytes,
    ) -> None:
        parameter = self._parameter
        if parameter is None:
            return
        kind = self._type
        if kind is Any or (isinstance(kind, type) and issubclass(kind, HttpRequest)):
            arguments[parameter] = http_request(call, route_params, body)
        elif kind is bytes:
            arguments[parameter] = body
        elif kind is str:
            arguments[parameter] = _text(body)
        elif body:
            arguments[parameter] = load_json(body, kind)
        elif not self._has_default:
            arguments[parameter] = _nothing(kind)

    def _fields(self) -> dict[str, str]:
        return {FUNCTION_NAME: self.name}


def http_request(call: Call, route_params: Mapping[str, str], body: bytes) -> HttpRequest:
    """Make the request that a function sees; repeated parameters are joined with commas."""
    raw_query: bytes = call.scope.get("query_string", b"")
    params: dict[str, str] = {}
    if raw_query:
        pairs = parse_qsl(raw_query.decode("utf-8", "replace"), keep_blank_values=True)
        for name, value in pairs:
            params[name] = f"{params[name]},{value}" if name in params else value
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in call.scope["headers"]
    ]
    return HttpRequest(
        call.method,
        call.url,
        headers=headers,
        params=params,
        route_params=route_params,
        body=body,
    )


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise SerializationError(f"$: the body is not UTF-8: {error}.") from error


def _nothing(kind: Any) -> Any:
    """Give None where the type admits it."""
    try:
        return load_json("null", kind)
    except SerializationError as error:
        raise SerializationError("$: the request has no body: send JSON.") from error
