"""What the decorators say about a function, and what the host reads.

A decorated function stays the plain callable it was, a class that is an entity the plain class;
what its decorators said is one frozen value in an attribute of it. Whether it makes sense (one
trigger, parameters that exist) is judged by the host once all of an app is there, so that all
mistakes are told at once.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from func_bindings.http import AuthLevel

F = TypeVar("F", bound="Callable[..., Any]")

_ATTRIBUTE = "__func_bindings__"


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where a function stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTrigger:
    """Runs the function on an HTTP request.

    Args:
        parameter: Takes the request; None where the decorator names none (and, in an index, where
            the function takes none).
        route: Template below the route prefix; None for the name of the function.
        methods: Upper-case; empty for all.
        auth_level: None for the level of the app.
    """

    parameter: str | None = None
    route: str | None = None
    methods: tuple[str, ...] = ()
    auth_level: AuthLevel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationTrigger:
    """Runs the function as an orchestrator; `orchestration` is its name where it is not its own.

    `parameter` takes the context; it is empty where the decorator names none, never in an index.
    """

    parameter: str = ""
    orchestration: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityTrigger:
    """Runs the function as an activity; `activity` is its name where it is not its own.

    `parameter` takes the input; in an index it is None where the function takes none.
    """

    parameter: str | None = None
    activity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityTrigger:
    """Runs a function or a class as an entity; `entity_name` is its name where it is not its own.

    `parameter` takes the context of a function; it is empty where the decorator names none, and for
    a class.
    """

    parameter: str = ""
    entity_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableClientInput:
    """Gives the function a `DurableClient`.

    `parameter` takes it; it is empty where the decorator names none, never in an index.
    """

    parameter: str = ""
    task_hub: str | None = None
    connection_name: str | None = None


Trigger: TypeAlias = HttpTrigger | OrchestrationTrigger | ActivityTrigger | EntityTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionMetadata:
    """All that the decorators of one function say, innermost first.

    Args:
        location: Where the function stands.
        function_name: Name given with `function_name`; None for the function's own.
        triggers: One, where the function is right.
        client_inputs: The clients it asks for.
        owner: The FunctionApp or Blueprint it was decorated through, if any.
    """

    location: SourceLocation
    function_name: str | None = None
    triggers: tuple[Trigger, ...] = ()
    client_inputs: tuple[DurableClientInput, ...] = ()
    owner: object | None = None


def metadata_of(candidate: object) -> FunctionMetadata | None:
    """Give what the decorators said about this object; None where it is not a decorated one."""
    try:
        if isinstance(candidate, type):
            found = vars(candidate).get(_ATTRIBUTE)  # a subclass is not decorated
        else:
            found = getattr(candidate, _ATTRIBUTE, None)
            if found is getattr(type(candidate), _ATTRIBUTE, None):  # an object of an entity class
                return None
    except Exception:  # noqa: BLE001 -- an object of a user's module may answer with anything
        return None
    return found if isinstance(found, FunctionMetadata) else None


def location_of(function: Callable[..., Any]) -> SourceLocation:
    """Tell where a callable was written."""
    if isinstance(function, type):
        return _location_of_class(function)
    inner: Any = inspect.unwrap(function)
    inner = getattr(inner, "func", inner)  # of a functools.partial
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    return SourceLocation(code.co_filename, code.co_firstlineno) if code else _NOWHERE


def _location_of_class(cls: type) -> SourceLocation:
    try:
        file = inspect.getsourcefile(cls) or inspect.getfile(cls)
        line: object = vars(cls).get("__firstlineno__")  # since Python 3.13
        return SourceLocation(
            file, line if isinstance(line, int) else inspect.getsourcelines(cls)[1]
        )
    except (OSError, TypeError):  # it was made without a file
        return SourceLocation(getattr(sys.modules.get(cls.__module__), "__file__", None) or "?", 0)


_NOWHERE = SourceLocation("<unknown>", 0)


def add_trigger(function: F, trigger: Trigger, name: str | None = None) -> F:
    """Note one more trigger of a function, and its name where the trigger's decorator gives one."""
    metadata = _metadata_to_change(function, takes_class=isinstance(trigger, EntityTrigger))
    metadata = replace(metadata, triggers=(*metadata.triggers, trigger))
    return _attach(function, replace(metadata, function_name=name) if name else metadata)


def add_client_input(function: F, client_input: DurableClientInput) -> F:
    """Note one more client that a function asks for."""
    metadata = _metadata_to_change(function)
    return _attach(
        function, replace(metadata, client_inputs=(*metadata.client_inputs, client_input))
    )


def set_function_name(function: F, name: str) -> F:
    """Name a function otherwise than Python does."""
    metadata = _metadata_to_change(function, takes_class=metadata_of(function) is not None)
    return _attach(function, replace(metadata, function_name=name))


def set_owner(function: F, owner: object) -> F:
    """Note the app object that a function was decorated through."""
    metadata = _metadata_to_change(function, takes_class=metadata_of(function) is not None)
    return _attach(function, replace(metadata, owner=owner))


def _metadata_to_change(function: object, *, takes_class: bool = False) -> FunctionMetadata:
    if not callable(function) or (isinstance(function, type) and not takes_class):
        kind = f"class {function.__name__}" if isinstance(function, type) else repr(function)
        message = (
            f"Only functions can be decorated, but this is {kind}: decorate a function "
            "(entity_trigger takes classes, too)."
        )
        raise TypeError(message)
    found = metadata_of(function)
    if found is not None:
        return found
    return FunctionMetadata(location=location_of(cast("Callable[..., Any]", function)))


def _attach(function: F, metadata: FunctionMetadata) -> F:
    try:
        setattr(function, _ATTRIBUTE, metadata)
    except (AttributeError, TypeError):
        message = f"{function!r} takes no attributes: wrap it in a function and decorate that."
        raise TypeError(message) from None
    return function
