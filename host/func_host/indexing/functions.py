"""What indexing finds: functions ready to be called, by kind and by name."""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from func_bindings.metadata import (
    ActivityTrigger,
    EntityTrigger,
    HttpTrigger,
    OrchestrationTrigger,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from func_bindings.metadata import DurableClientInput, SourceLocation, Trigger
    from func_host.indexing.entity_classes import EntityClass


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFunction:
    """One function of an app, or one class that is an entity, judged right.

    Args:
        name: Name of the function, unique among all apps.
        function: What to call, best with `call`; the class of an entity that is one.
        trigger: Complete: its parameter exists (None where the function takes none), a route is
            given (`""` for the prefix itself) and so is its auth level.
        client_inputs: The parameters that take a client.
        location: Where it stands.
        app: Name of the app's folder.
        app_dir: The app's folder.
        is_async: It is an `async def`; a plain wrapper of one may give a coroutine all the same.
            Of a class: one of its operations is.
        parameter_types: Type of every parameter; `Any` where no annotation resolves.
        result_type: Type of what it ends with; of a generator, what it returns.
        entity_class: What the class of an entity holds; None for a function.
    """

    name: str
    function: Callable[..., Any]
    trigger: Trigger
    client_inputs: tuple[DurableClientInput, ...]
    location: SourceLocation
    app: str
    app_dir: Path
    is_async: bool
    parameter_types: Mapping[str, Any] = field(default_factory=dict[str, Any])
    result_type: Any = Any
    parameters: Mapping[str, inspect.Parameter] = field(
        default_factory=dict[str, inspect.Parameter], repr=False
    )
    entity_class: EntityClass | None = None

    @property
    def call_name(self) -> str:
        """The name that orchestrators and clients call it by: its alias, else its own name."""
        return call_name_of(self.trigger, self.name)

    @property
    def input_type(self) -> Any:
        """Type of what the trigger gives; `Any` where nothing resolves or nothing is taken."""
        return self.parameter_types.get(self.trigger.parameter or "", Any)

    def call(self, values: Mapping[str, object]) -> Any:
        """Call the function with values by the names of its parameters.

        Gives what the function gives: a result, or a coroutine or generator of it.
        """
        first = [name for name, each in self.parameters.items() if each.kind in _POSITIONAL_KINDS]
        if not first:
            return self.function(**values)
        positional = [values[name] for name in first if name in values]
        named = {name: value for name, value in values.items() if name not in first}
        return self.function(*positional, **named)


def call_name_of(trigger: Trigger | None, name: str) -> str:
    """Give the alias of an orchestrator, activity or entity, else the name of the function."""
    match trigger:
        case OrchestrationTrigger(orchestration=str() as alias):
            return alias
        case ActivityTrigger(activity=str() as alias):
            return alias
        case EntityTrigger(entity_name=str() as alias):
            return alias
        case _:
            return name


_POSITIONAL_KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


class FunctionIndex:
    """The functions of all apps that a host serves.

    Orchestrators, activities and entities are found by their names without case, or by the function
    or class itself. The alias wins (`orchestration=`, `activity=`, `entity_name=`), then the name
    of the function, then the name it has in Python where only one function of the kind has it.
    """

    def __init__(self, functions: Iterable[IndexedFunction], warnings: Iterable[str] = ()) -> None:
        """Index functions whose names do not collide."""
        self.functions: tuple[IndexedFunction, ...] = tuple(functions)
        self.warnings: tuple[str, ...] = tuple(warnings)
        self._orchestrators = _NameTable(
            each for each in self.functions if isinstance(each.trigger, OrchestrationTrigger)
        )
        self._activities = _NameTable(
            each for each in self.functions if isinstance(each.trigger, ActivityTrigger)
        )
        self._entities = _NameTable(
            each for each in self.functions if isinstance(each.trigger, EntityTrigger)
        )

    @property
    def http_functions(self) -> tuple[IndexedFunction, ...]:
        """Those that an HTTP request runs."""
        return tuple(each for each in self.functions if isinstance(each.trigger, HttpTrigger))

    @property
    def orchestrator_names(self) -> tuple[str, ...]:
        """Names that orchestrators are started by."""
        return self._orchestrators.names

    @property
    def activity_names(self) -> tuple[str, ...]:
        """Names that activities are called by."""
        return self._activities.names

    @property
    def entity_names(self) -> tuple[str, ...]:
        """Names that entities are addressed by."""
        return self._entities.names

    def orchestrator(self, name: str | Callable[..., Any]) -> IndexedFunction | None:
        """Find an orchestrator; None where there is none."""
        return self._orchestrators.find(name)

    def activity(self, name: str | Callable[..., Any]) -> IndexedFunction | None:
        """Find an activity; None where there is none."""
        return self._activities.find(name)

    def entity(self, name: str | Callable[..., Any]) -> IndexedFunction | None:
        """Find an entity; None where there is none."""
        return self._entities.find(name)


class _NameTable:
    """Functions of one kind by all the names they answer to."""

    def __init__(self, functions: Iterable[IndexedFunction]) -> None:
        self._functions = tuple(functions)
        self._by_name: dict[str, IndexedFunction] = {}
        self._by_identity = {
            id(layer): each for each in self._functions for layer in layers_of(each.function)
        }
        for name_of in (_call_name, _own_name):
            for each in self._functions:
                self._by_name.setdefault(name_of(each), each)
        counts = Counter(_python_name(each) for each in self._functions)
        for each in self._functions:
            if counts[_python_name(each)] == 1:
                self._by_name.setdefault(_python_name(each), each)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.call_name for each in self._functions)

    def find(self, name: str | Callable[..., Any]) -> IndexedFunction | None:
        if isinstance(name, str):
            return self._by_name.get(name) or self._by_name.get(name.lower())
        found = self._by_identity.get(id(name))  # what is indexed lives, so its id is its own
        if found is not None:
            return found
        layers = (self._by_identity.get(id(layer)) for layer in layers_of(name))
        return next((function for function in layers if function is not None), None)


def layers_of(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Give a function and what it wraps, outermost first, as `functools.wraps` tells."""
    layers = [function]
    while (inner := getattr(layers[-1], "__wrapped__", None)) is not None:
        if any(inner is layer for layer in layers):
            break
        layers.append(inner)
    return layers


def _call_name(function: IndexedFunction) -> str:
    return function.call_name.lower()


def _own_name(function: IndexedFunction) -> str:
    return function.name.lower()


def _python_name(function: IndexedFunction) -> str:
    return getattr(function.function, "__name__", function.name).lower()
