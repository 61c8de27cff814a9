"""Decorators of durable functions: orchestrators, activities, entities, users of a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from func_bindings.metadata import (
    ActivityTrigger,
    DurableClientInput,
    EntityTrigger,
    OrchestrationTrigger,
    add_client_input,
    add_trigger,
)

F = TypeVar("F", bound=Callable[..., Any])


@overload
def orchestration_trigger(context_name: F, /) -> F: ...
@overload
def orchestration_trigger(
    context_name: str | None = None, orchestration: str | None = None, *, name: str | None = None
) -> Callable[[F], F]: ...
def orchestration_trigger(
    context_name: F | str | None = None,
    orchestration: str | None = None,
    *,
    name: str | None = None,
) -> F | Callable[[F], F]:
    """Run the function as an orchestrator: `async def` with `await`, or a generator with `yield`.

    Args:
        context_name: Parameter that takes the `OrchestrationContext`; the first, if missing.
        orchestration: Name that the orchestrator is started by; the function's name, if missing.
        name: Name of the function, as `function_name` gives it.
    """
    if callable(context_name):
        return add_trigger(context_name, OrchestrationTrigger())
    trigger = OrchestrationTrigger(parameter=context_name or "", orchestration=orchestration)

    def decorate(function: F) -> F:
        return add_trigger(function, trigger, name)

    return decorate


@overload
def activity_trigger(input_name: F, /) -> F: ...
@overload
def activity_trigger(
    input_name: str | None = None, activity: str | None = None, *, name: str | None = None
) -> Callable[[F], F]: ...
def activity_trigger(
    input_name: F | str | None = None,
    activity: str | None = None,
    *,
    name: str | None = None,
) -> F | Callable[[F], F]:
    """Run the function as an activity, sync or async; it takes at most one value.

    Args:
        input_name: Parameter that takes the input; the first that takes no client, if missing.
        activity: Name that the activity is called by; the function's name, if missing.
        name: Name of the function, as `function_name` gives it.
    """
    if callable(input_name):
        return add_trigger(input_name, ActivityTrigger())
    trigger = ActivityTrigger(parameter=input_name, activity=activity)

    def decorate(function: F) -> F:
        return add_trigger(function, trigger, name)

    return decorate


@overload
def entity_trigger(context_name: F, /) -> F: ...
@overload
def entity_trigger(
    context_name: str | None = None, entity_name: str | None = None, *, name: str | None = None
) -> Callable[[F], F]: ...
def entity_trigger(
    context_name: F | str | None = None,
    entity_name: str | None = None,
    *,
    name: str | None = None,
) -> F | Callable[[F], F]:
    """Run the function as an entity, sync or async, or make an entity of the class.

    A function is called for every operation, with an `EntityContext`. Of a class the fields are the
    state and the public methods the operations; it must be possible to make one without arguments.

    Args:
        context_name: Parameter that takes the `EntityContext`; the first, if missing.
        entity_name: Name of the entity; that of the function or class, if missing.
        name: Name of the function, as `function_name` gives it.
    """
    if callable(context_name):
        return add_trigger(context_name, EntityTrigger())
    trigger = EntityTrigger(parameter=context_name or "", entity_name=entity_name)

    def decorate(function: F) -> F:
        return add_trigger(function, trigger, name)

    return decorate


@overload
def durable_client_input(client_name: F, /) -> F: ...
@overload
def durable_client_input(
    client_name: str | None = None,
    task_hub: str | None = None,
    connection_name: str | None = None,
) -> Callable[[F], F]: ...
def durable_client_input(
    client_name: F | str | None = None,
    task_hub: str | None = None,
    connection_name: str | None = None,
) -> F | Callable[[F], F]:
    """Give the function a `DurableClient`.

    Args:
        client_name: Parameter that takes it; without it the one annotated `DurableClient`, else
            the one called `client`.
        task_hub: Task hub of the client; that of the host, if missing.
        connection_name: Setting that holds the hub's connection; that of the host, if missing.
    """
    if callable(client_name):
        return add_client_input(client_name, DurableClientInput())
    client_input = DurableClientInput(
        parameter=client_name or "", task_hub=task_hub, connection_name=connection_name
    )

    def decorate(function: F) -> F:
        return add_client_input(function, client_input)

    return decorate


durable_client = durable_client_input
