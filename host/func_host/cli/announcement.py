"""What `func-host start` prints: the functions and their URLs, as Azure's tools do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from func_bindings.metadata import (
    ActivityTrigger,
    EntityTrigger,
    HttpTrigger,
    OrchestrationTrigger,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from func_host.indexing import IndexedFunction


def announcement(
    functions: Iterable[IndexedFunction], *, origin: str, route_prefix: str
) -> Iterator[str]:
    """Give the lines that list the functions: those with a URL first, each group in its order."""
    listed = list(functions)
    reachable = [each for each in listed if isinstance(each.trigger, HttpTrigger)]
    others = [each for each in listed if not isinstance(each.trigger, HttpTrigger)]
    yield ""
    yield click.style("Functions:", fg="yellow")
    if not listed:
        yield ""
        yield "        none: settings switch all of them off."
    for function in (*reachable, *others):
        name = click.style(function.call_name, fg="yellow")
        yield ""
        yield f"        {name}: {_trigger(function, origin, route_prefix)}"
    yield ""


def _trigger(function: IndexedFunction, origin: str, route_prefix: str) -> str:
    match function.trigger:
        case HttpTrigger(route=route, methods=methods):
            path = "/".join(part for part in (route_prefix, route or "") if part)
            url = click.style(f"{origin}/{path}", fg="green")
            return f"[{','.join(methods)}] {url}" if methods else url
        case OrchestrationTrigger():
            return "orchestrationTrigger"
        case ActivityTrigger():
            return "activityTrigger"
        case EntityTrigger():
            return "entityTrigger"
