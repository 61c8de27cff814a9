"""Which user function answers a request: the first by name whose route and method fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from func_bindings.http import AuthLevel
from func_bindings.metadata import HttpTrigger
from func_host.errors import AppError
from func_host.web.functions import HttpFunction
from func_host.web.route_template import RouteTemplateError, parse_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from func_host.durable.client import TaskHubClient
    from func_host.indexing.functions import IndexedFunction
    from func_host.web.route_template import RouteTemplate

_RESERVED = ("admin", "runtime")


@dataclass(frozen=True, slots=True)
class Route:
    """A route of one function; no methods are all methods."""

    template: RouteTemplate
    methods: frozenset[str]
    is_anonymous: bool
    function: HttpFunction


class RouteTable:
    """The routes of all HTTP functions, in the order in which they are tried."""

    def __init__(self, functions: Iterable[IndexedFunction], client: TaskHubClient) -> None:
        """Read the routes.

        Raises:
            AppError: A route cannot be read or is reserved; every such mistake has a line.
        """
        problems: list[str] = []
        routes: list[Route] = []
        for each in sorted(functions, key=lambda function: function.name.lower()):
            trigger = each.trigger
            if not isinstance(trigger, HttpTrigger):
                continue
            try:
                template = check_route(each.name if trigger.route is None else trigger.route)
            except RouteTemplateError as error:
                problems.append(f"{each.location}: {each.name}: the route {error}")
                continue
            is_anonymous = trigger.auth_level is AuthLevel.ANONYMOUS
            methods = frozenset(trigger.methods)
            routes.append(Route(template, methods, is_anonymous, HttpFunction(each, client)))
        if problems:
            raise AppError("\n".join(problems))
        self._routes = tuple(routes)

    def find(self, method: str, segments: Sequence[str]) -> tuple[Route, dict[str, str]] | None:
        """Find the route of a path below the prefix, and the values of its parameters."""
        for route in self._routes:
            if route.methods and method not in route.methods:
                continue
            values = route.template.match(segments)
            if values is not None:
                return route, values
        return None


def check_route(text: str) -> RouteTemplate:
    """Read a route, given as it stands below the prefix.

    Raises:
        RouteTemplateError: It cannot be read, or it is one of the host's own.
    """
    if text.strip("/").lower().startswith(_RESERVED):
        raise RouteTemplateError(
            f"'{text}': what begins with 'admin' or 'runtime' is the host's own: name it otherwise."
        )
    return parse_template(text)
