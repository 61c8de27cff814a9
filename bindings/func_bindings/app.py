"""App objects: the decorators as methods, for people who come from Azure Functions.

A `FunctionApp` that stands in a module of the app is found by the host; a `Blueprint` counts only
once it is registered with such an app. Both styles mix: a function may carry decorators of an app
object and free ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from func_bindings.durable import triggers as durable
from func_bindings.http import AuthLevel, HttpMethod
from func_bindings.metadata import set_owner
from func_bindings.triggers import function_name, route

F = TypeVar("F", bound=Callable[..., Any])


class Blueprint:
    """Collects functions for a `FunctionApp` to register."""

    def __init__(self) -> None:
        """Start with no functions."""
        self._own_functions: list[Callable[..., Any]] = []

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The functions decorated through this object, in their order."""
        return tuple(self._own_functions)

    if not TYPE_CHECKING:  # a type checker shall go on to say that there is no such method

        def __getattr__(self, name: str) -> Any:
            """Say what is served where a decorator of Azure Functions is not.

            Raises:
                AttributeError: Always.
            """
            message = f"'{type(self).__name__}' object has no attribute '{name}'"
            if name.endswith(("_trigger", "_input", "_output", "schedule")):
                message += (
                    ": this version of func-host serves route, activity_trigger, "
                    "orchestration_trigger, entity_trigger and durable_client_input"
                )
            raise AttributeError(message)

    def function_name(self, name: str) -> Callable[[F], F]:
        """Name a function otherwise than Python does."""
        return self._collecting(function_name(name))

    @overload
    def route(self, route: F, /) -> F: ...
    @overload
    def route(
        self,
        route: str | None = None,
        trigger_arg_name: str | None = None,
        binding_arg_name: str = "$return",
        methods: Iterable[str | HttpMethod] | None = None,
        auth_level: AuthLevel | str | None = None,
        *,
        name: str | None = None,
    ) -> Callable[[F], F]: ...
    def route(
        self,
        route: F | str | None = None,
        trigger_arg_name: str | None = None,
        binding_arg_name: str = "$return",
        methods: Iterable[str | HttpMethod] | None = None,
        auth_level: AuthLevel | str | None = None,
        *,
        name: str | None = None,
    ) -> F | Callable[[F], F]:
        """Run the function on HTTP requests; see `func_bindings.route`."""
        if callable(route):
            return self._collect(_route(route))
        return self._collecting(
            _route(route, trigger_arg_name, binding_arg_name, methods, auth_level, name=name)
        )

    http_trigger = route

    @overload
    def orchestration_trigger(self, context_name: F, /) -> F: ...
    @overload
    def orchestration_trigger(
        self,
        context_name: str | None = None,
        orchestration: str | None = None,
        *,
        name: str | None = None,
    ) -> Callable[[F], F]: ...
    def orchestration_trigger(
        self,
        context_name: F | str | None = None,
        orchestration: str | None = None,
        *,
        name: str | None = None,
    ) -> F | Callable[[F], F]:
        """Run the function as an orchestrator; see `func_bindings.orchestration_trigger`."""
        if callable(context_name):
            return self._collect(durable.orchestration_trigger(context_name))
        return self._collecting(
            durable.orchestration_trigger(context_name, orchestration, name=name)
        )

    @overload
    def activity_trigger(self, input_name: F, /) -> F: ...
    @overload
    def activity_trigger(
        self,
        input_name: str | None = None,
        activity: str | None = None,
        *,
        name: str | None = None,
    ) -> Callable[[F], F]: ...
    def activity_trigger(
        self,
        input_name: F | str | None = None,
        activity: str | None = None,
        *,
        name: str | None = None,
    ) -> F | Callable[[F], F]:
        """Run the function as an activity; see `func_bindings.activity_trigger`."""
        if callable(input_name):
            return self._collect(durable.activity_trigger(input_name))
        return self._collecting(durable.activity_trigger(input_name, activity, name=name))

    @overload
    def entity_trigger(self, context_name: F, /) -> F: ...
    @overload
    def entity_trigger(
        self,
        context_name: str | None = None,
        entity_name: str | None = None,
        *,
        name: str | None = None,
    ) -> Callable[[F], F]: ...
    def entity_trigger(
        self,
        context_name: F | str | None = None,
        entity_name: str | None = None,
        *,
        name: str | None = None,
    ) -> F | Callable[[F], F]:
        """Run the function or class as an entity; see `func_bindings.entity_trigger`."""
        if callable(context_name):
            return self._collect(durable.entity_trigger(context_name))
        return self._collecting(durable.entity_trigger(context_name, entity_name, name=name))

    @overload
    def durable_client_input(self, client_name: F, /) -> F: ...
    @overload
    def durable_client_input(
        self,
        client_name: str | None = None,
        task_hub: str | None = None,
        connection_name: str | None = None,
    ) -> Callable[[F], F]: ...
    def durable_client_input(
        self,
        client_name: F | str | None = None,
        task_hub: str | None = None,
        connection_name: str | None = None,
    ) -> F | Callable[[F], F]:
        """Give the function a `DurableClient`; see `func_bindings.durable_client_input`."""
        if callable(client_name):
            return self._collect(durable.durable_client_input(client_name))
        return self._collecting(
            durable.durable_client_input(client_name, task_hub, connection_name)
        )

    durable_client = durable_client_input

    def _collecting(self, decorate: Callable[[F], F]) -> Callable[[F], F]:
        def decorate_and_collect(function: F) -> F:
            return self._collect(decorate(function))

        return decorate_and_collect

    def _collect(self, function: F) -> F:
        """Add the function once; a wrapper takes the place of what it wraps."""
        wrapped = {id(each) for each in _wrapped_by(function)}
        self._own_functions = [each for each in self._own_functions if id(each) not in wrapped]
        self._own_functions.append(function)
        return set_owner(function, self)


class FunctionApp(Blueprint):
    """The app: its functions, those of its blueprints, and the auth level of its routes."""

    def __init__(self, http_auth_level: AuthLevel | str = AuthLevel.FUNCTION) -> None:
        """Start with no functions; routes that name no auth level have this one.

        Raises:
            ValueError: There is no such auth level.
        """
        super().__init__()
        self.auth_level: AuthLevel = AuthLevel.parse(http_auth_level)
        self._blueprints: list[Blueprint] = []

    @property
    def blueprints(self) -> tuple[Blueprint, ...]:
        """The blueprints registered here."""
        return tuple(self._blueprints)

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The functions of the app, then those of its blueprints."""
        own = self._own_functions
        return (*own, *(each for blueprint in self._blueprints for each in blueprint.functions))

    def register_functions(self, function_container: Blueprint) -> None:
        """Make the functions of a blueprint functions of this app.

        Raises:
            TypeError: It is no blueprint, but an app of its own or something else.
        """
        if not isinstance(function_container, Blueprint) or isinstance(  # pyright: ignore[reportUnnecessaryIsInstance] -- user code need not be typed
            function_container, FunctionApp
        ):
            message = (
                f"register_functions takes a Blueprint, not {type(function_container).__name__}: "
                "collect the functions with a Blueprint."
            )
            raise TypeError(message)
        if not any(each is function_container for each in self._blueprints):
            self._blueprints.append(function_container)

    register_blueprint = register_functions


_route = route


def _wrapped_by(function: object) -> list[object]:
    """Give the function and what it wraps, as `functools.wraps` tells."""
    chain = [function]
    while (inner := getattr(chain[-1], "__wrapped__", None)) is not None and inner not in chain:
        chain.append(inner)
    return chain
