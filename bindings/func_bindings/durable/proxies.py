"""Entities as an orchestrator calls them: by the methods of their class."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime, timedelta

    from func_bindings.durable.entities import EntityContext, EntityId
    from func_bindings.durable.entity_calls import EntityCalls
    from func_bindings.durable.tasks import Task

C = TypeVar("C")
T = TypeVar("T")
V = TypeVar("V")
P = ParamSpec("P")

_BUILT_IN = "delete"


class EntityProxy(Generic[C]):
    """Calls and signals one entity: `proxy.add(1)` runs its operation `add` and gives a task.

    Type checkers know the input and the result of `proxy.call(Counter.add, 1)` and the input of
    `proxy.signal(Counter.add, 1)`. Operations that are named like a member of the proxy (`call`,
    `signal`, `entity_id`) go that way too: `proxy.call("signal")`.
    """

    __slots__ = ("_class", "_context", "_entity_id")

    def __init__(
        self, entity_id: EntityId, context: EntityCalls, entity_class: type[C] | None = None
    ) -> None:
        """Stand for an entity; without its class any operation may be named."""
        self._entity_id = entity_id
        self._context = context
        self._class = entity_class

    @property
    def entity_id(self) -> EntityId:
        """Which entity this is."""
        return self._entity_id

    @overload
    def call(
        self,
        operation: Callable[Concatenate[C, EntityContext, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Task[T]: ...
    @overload
    def call(
        self,
        operation: Callable[Concatenate[C, EntityContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Task[T]: ...
    @overload
    def call(
        self,
        operation: Callable[Concatenate[C, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Task[T]: ...
    @overload
    def call(
        self, operation: Callable[Concatenate[C, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Task[T]: ...
    @overload
    def call(self, operation: str, operation_input: object = None, /) -> Task[Any]: ...
    def call(self, operation: Any, /, *args: Any, **kwargs: Any) -> Task[Any]:
        """Run an operation, given as the method of the class or by name, and wait for its result.

        Raises:
            AttributeError: The class has no such operation; the message names those it has.
            TypeError: An operation takes one value at most.
        """
        name = self._name_of(operation)
        return self._context.call_entity(self._entity_id, name, self._input(name, args, kwargs))

    @overload
    def signal(
        self,
        operation: Callable[[C, EntityContext, V], Any] | Callable[[C, V, EntityContext], Any],
        operation_input: V,
        /,
        *,
        at: datetime | timedelta | None = None,
    ) -> Task[None]: ...
    @overload
    def signal(
        self,
        operation: Callable[[C], Any] | Callable[[C, EntityContext], Any],
        /,
        *,
        at: datetime | timedelta | None = None,
    ) -> Task[None]: ...
    @overload
    def signal(
        self,
        operation: Callable[[C, V], Any],
        operation_input: V,
        /,
        *,
        at: datetime | timedelta | None = None,
    ) -> Task[None]: ...
    @overload
    def signal(
        self,
        operation: str,
        operation_input: object = None,
        /,
        *,
        at: datetime | timedelta | None = None,
    ) -> Task[None]: ...
    def signal(
        self,
        operation: Any,
        operation_input: object = None,
        /,
        *,
        at: datetime | timedelta | None = None,
    ) -> Task[None]:
        """Send an operation, given as the method of the class or by name, now or later.

        Raises:
            AttributeError: The class has no such operation; the message names those it has.
        """
        name = self._name_of(operation)
        return self._context.signal_entity(self._entity_id, name, operation_input, at=at)

    def __getattr__(self, name: str) -> Callable[..., Task[Any]]:
        """Give what calls the operation of this name."""
        self._check(name)
        return lambda *args, **kwargs: self.call(name, *args, **kwargs)

    def __repr__(self) -> str:
        return f"EntityProxy({self._entity_id!r})"

    def _name_of(self, operation: object) -> str:
        name = operation if isinstance(operation, str) else getattr(operation, "__name__", None)
        if not isinstance(name, str):
            message = (
                f"An operation is a method of the entity's class or a name, not {operation!r}: "
                "pass Counter.add or 'add'."
            )
            raise TypeError(message)
        self._check(name)
        return name

    def _check(self, name: str) -> None:
        entity_class = self._class
        is_known = entity_class is None or _is_operation(entity_class, name) or name == _BUILT_IN
        if name.startswith("_") or not is_known:
            message = f"{self!r} has no operation {name!r}"
            if entity_class is not None:
                known = ", ".join(_operations(entity_class))
                message = f"{message}: the operations of {entity_class.__name__} are {known}"
            raise AttributeError(f"{message}.", name=name, obj=self)

    def _input(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        values = [*args, *kwargs.values()]
        if len(values) > 1:
            message = (
                f"Operation {name!r} of {self!r} takes one value at most, not {len(values)}: pass "
                "a list, a dict or an object."
            )
            raise TypeError(message)
        if kwargs and self._class is not None and name != _BUILT_IN:
            known = inspect.signature(getattr(self._class, name)).parameters
            if not kwargs.keys() <= known.keys():
                message = f"Operation {name!r} of {self!r} has no parameter {next(iter(kwargs))!r}."
                raise TypeError(message)
        return values[0] if values else None


def _is_operation(entity_class: type[Any], name: str) -> bool:
    found = getattr(entity_class, name, None)
    return callable(found) and not isinstance(found, type)


def _operations(entity_class: type[Any]) -> list[str]:
    names = {name for name in dir(entity_class) if not name.startswith("_")}
    return sorted({name for name in names if _is_operation(entity_class, name)} | {_BUILT_IN})
