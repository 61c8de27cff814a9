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
            AppError: A route cannot be read or is reserved, or two are the same; every such
                mistake has a line.
        """
        problems: list[str] = []
        routes: list[Route] = []
        taken: dict[str, list[tuple[frozenset[str], str]]] = {}
        for each in sorted(functions, key=lambda function: function.name.lower()):
            trigger = each.trigger
            if not isinstance(trigger, HttpTrigger):
                continue
            text = each.name if trigger.route is None else trigger.route
            methods = frozenset(trigger.methods)
            problem = _reserved(text) or _conflict(text, methods, taken, each.name)
            try:
                template = parse_template(text)
            except RouteTemplateError as error:
                problem = f"the route {error}"
            else:
                is_anonymous = trigger.auth_level is AuthLevel.ANONYMOUS
                routes.append(Route(template, methods, is_anonymous, HttpFunction(each, client)))
            if problem is not None:
                problems.append(f"{each.location}: function '{each.name}': {problem}")
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


def _reserved(text: str) -> str | None:
    if text.strip("/").lower().startswith(_RESERVED):
        return f"the route '{text}' begins with 'admin' or 'runtime', which are the host's own."
    return None


def _conflict(
    text: str,
    methods: frozenset[str],
    taken: dict[str, list[tuple[frozenset[str], str]]],
    name: str,
) -> str | None:
    """Note a route, and say which earlier one it is the same as."""
    others = taken.setdefault(text.strip("/").lower(), [])
    same = next(
        (other for known, other in others if not (known and methods and known.isdisjoint(methods))),
        None,
    )
    others.append((methods, name))
    if same is None:
        return None
    return f"the route '{text}' is that of function '{same}' already: change it or its methods."
