"""Decorators of plain functions: `route` and `function_name`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from func_bindings.http import AuthLevel, HttpMethod
from func_bindings.metadata import HttpTrigger, add_trigger, set_function_name

F = TypeVar("F", bound=Callable[..., Any])


def function_name(name: str) -> Callable[[F], F]:
    """Name a function otherwise than Python does."""
    if callable(name):
        message = "function_name needs the name: write @function_name('hello')."
        raise TypeError(message)

    def decorate(function: F) -> F:
        return set_function_name(function, name)

    return decorate


@overload
def route(route: F, /) -> F: ...
@overload
def route(
    route: str | None = None,
    trigger_arg_name: str | None = None,
    binding_arg_name: str = "$return",
    methods: Iterable[str | HttpMethod] | None = None,
    auth_level: AuthLevel | str | None = None,
    *,
    name: str | None = None,
) -> Callable[[F], F]: ...
def route(
    route: F | str | None = None,
    trigger_arg_name: str | None = None,
    binding_arg_name: str = "$return",
    methods: Iterable[str | HttpMethod] | None = None,
    auth_level: AuthLevel | str | None = None,
    *,
    name: str | None = None,
) -> F | Callable[[F], F]:
    """Run the function on HTTP requests.

    Args:
        route: Template below the route prefix (`orders/{id:int}`); the function's name if missing.
        trigger_arg_name: Parameter that takes the request; without it the one called `req`, else
            the one annotated `HttpRequest`, else the first that takes no client.
        binding_arg_name: Accepted for compatibility: the answer is what the function returns.
        methods: All, if missing.
        auth_level: That of the app, if missing.
        name: Name of the function, as `function_name` gives it.
    """
    del binding_arg_name
    if callable(route):
        return add_trigger(route, HttpTrigger())
    trigger = HttpTrigger(
        parameter=trigger_arg_name,
        route=route,
        methods=_method_names(methods),
        auth_level=None if auth_level is None else AuthLevel.parse(auth_level),
    )

    def decorate(function: F) -> F:
        return add_trigger(function, trigger, name)

    return decorate


def _method_names(methods: Iterable[str | HttpMethod] | None) -> tuple[str, ...]:
    listed = [methods] if isinstance(methods, str) else methods or ()
    names = (each.value if isinstance(each, HttpMethod) else each.upper() for each in listed)
    return tuple(dict.fromkeys(names))


http_trigger = route
