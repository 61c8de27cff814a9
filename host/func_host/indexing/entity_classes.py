"""Classes that are entities, read once: their fields are the state, their methods the operations.

Operations are the public methods, inherited ones included; static and class methods are not. Fields
are those of the dataclass; of a plain class, what it annotates and what its `__init__` sets.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping, MutableSequence, MutableSet
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from func_bindings.metadata import SourceLocation, location_of
from func_host.indexing.annotations import (
    class_annotations,
    class_variables,
    parameter_types,
    result_type,
    signature_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CONTEXT = re.compile(r"\bEntityContext\b")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMethod:
    """A method that is an operation.

    Args:
        name: Name of the operation.
        function: What to call, with the object first; maybe an `async def`.
        input: Parameter that takes the input; None where it takes none.
        input_type: Type of that parameter; `Any` where no annotation resolves.
        is_input_required: The parameter has no default.
        context: Parameter that takes the `EntityContext`; None where it takes none.
        positional: Parameters that can be given by their place only.
        result_type: Type of what it ends with.
    """

    name: str
    function: Callable[..., Any]
    input: str | None = None
    input_type: Any = Any
    is_input_required: bool = False
    context: str | None = None
    positional: tuple[str, ...] = ()
    result_type: Any = Any

    def call(self, instance: object, values: dict[str, Any]) -> Any:
        """Call the method with values by the names of its parameters, which are used up."""
        if not self.positional:
            return self.function(instance, **values)
        first = [values.pop(name) for name in self.positional if name in values]
        return self.function(instance, *first, **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityClass:
    """A class whose objects are entities.

    Args:
        cls: The class.
        methods: Operations by name.
        field_types: Types of the fields that are known before an object is made; `Any` where no
            annotation resolves.
        is_open: Further fields are what its `__init__` sets.
        derived: Attributes of an object that are no state, because they can be made again.
    """

    cls: type
    methods: Mapping[str, EntityMethod]
    field_types: Mapping[str, Any]
    is_open: bool
    derived: frozenset[str] = frozenset()

    @property
    def is_async(self) -> bool:
        """Whether an operation is an `async def`: then all of them run on the loop."""
        return any(inspect.iscoroutinefunction(each.function) for each in self.methods.values())

    def method(self, operation: str) -> EntityMethod | None:
        """Find an operation by its exact name, else without case."""
        found = self.methods.get(operation)
        if found is not None:
            return found
        name = operation.lower()
        return next((each for each in self.methods.values() if each.name.lower() == name), None)


@dataclass(frozen=True, slots=True)
class ClassMistake:
    """What is wrong with a class as an entity, and what to do; `location` is that of a method."""

    what: str
    remedy: str
    location: SourceLocation | None = None


def read_entity_class(
    cls: type, context_name: str = "context"
) -> tuple[EntityClass, list[ClassMistake]]:
    """Read a class, and give all that keeps it from being an entity.

    Args:
        cls: The class.
        context_name: Parameter of methods that takes the context without being annotated with it.
    """
    mistakes = [*_mistakes_of_making(cls), *_mistakes_of_fields(cls)]
    methods: dict[str, EntityMethod] = {}
    for name, function in _public_methods(cls):
        method, problems = _read_method(name, function, context_name)
        methods[name] = method
        mistakes += problems
    if not methods:
        what = "it has no public method, so there is nothing that it can do"
        mistakes.append(ClassMistake(what, "add methods: they are the operations"))
    entity = EntityClass(
        cls=cls,
        methods=methods,
        field_types=_field_types(cls),
        is_open=not _is_dataclass(cls),
        derived=frozenset(_cached_properties(cls)),
    )
    return entity, mistakes


def _mistakes_of_making(cls: type) -> Iterator[ClassMistake]:
    if inspect.isabstract(cls):
        yield ClassMistake("it is abstract, so no object of it can be made", "decorate a subclass")
        return
    try:
        parameters = signature_of(cls).parameters.values()
    except (TypeError, ValueError):  # a class of C: making one tells
        return
    required = [each.name for each in parameters if _is_required(each)]
    if required:
        names = ", ".join(required)
        yield ClassMistake(
            f"a new entity is made without arguments, but this takes {names}",
            f"give {names} a default",
        )


def _mistakes_of_fields(cls: Any) -> Iterator[ClassMistake]:
    if _is_dataclass(cls):  # it has refused them itself
        if cls.__dataclass_params__.frozen:
            what = "it is frozen, so that no operation could change it"
            yield ClassMistake(what, "leave out frozen=True")
        return
    for name in _field_types(cls):
        default: Any = inspect.getattr_static(cls, name, None)
        if _is_shared(default):
            yield ClassMistake(
                f"the default of its field {name} is one {_kind_of(default)} for all entities",
                f"make a new one for each: self.{name} = … in __init__, or a dataclass with "
                "field(default_factory=…)",
            )


def _is_shared(default: object) -> bool:
    return isinstance(default, (MutableSequence, Mapping, MutableSet))


def _kind_of(value: object) -> str:
    return type(value).__name__


def _is_dataclass(cls: Any) -> bool:
    return dataclasses.is_dataclass(cls)


def _field_types(cls: Any) -> dict[str, Any]:
    hints = class_annotations(cls)
    if _is_dataclass(cls):
        return {each.name: hints.get(each.name, Any) for each in dataclasses.fields(cls)}
    excluded = class_variables(cls)
    return {
        name: hint
        for name, hint in hints.items()
        if name not in excluded and not name.startswith("__")
    }


def _cached_properties(cls: type) -> Iterator[str]:
    for base in cls.__mro__:
        for name, member in vars(base).items():
            if isinstance(member, cached_property):
                yield name


def _public_methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    names = dict.fromkeys(
        name for base in reversed(cls.__mro__[:-1]) for name in vars(base) if name[:1] != "_"
    )
    for name in names:
        member = inspect.getattr_static(cls, name)
        if inspect.isfunction(member):
            yield name, member


def _read_method(
    name: str, function: Callable[..., Any], context_name: str
) -> tuple[EntityMethod, list[ClassMistake]]:
    parameters = list(signature_of(function).parameters.values())
    types = parameter_types(function)
    own = [each for each in parameters[1:] if each.kind not in _VARIADIC]
    context = _context_of(own, types, context_name)
    inputs = [each for each in own if each.name != context]
    required = [each for each in inputs if _is_required(each)]
    taken = next(iter(required or inputs), None)
    method = EntityMethod(
        name=name,
        function=function,
        input=None if taken is None else taken.name,
        input_type=Any if taken is None else types.get(taken.name, Any),
        is_input_required=bool(required),
        context=context,
        positional=tuple(each.name for each in own if each.kind is each.POSITIONAL_ONLY),
        result_type=result_type(function),
    )
    problems = _mistakes_of_method(method, bool(parameters), [each.name for each in required])
    return method, list(problems)


def _mistakes_of_method(
    method: EntityMethod, has_self: bool, required: list[str]
) -> Iterator[ClassMistake]:
    name, place = method.name, location_of(method.function)
    if not has_self:
        what = f"its method {name} takes nothing, not even the object"
        yield ClassMistake(what, "add a parameter: self", place)
    if len(required) > 1:
        yield ClassMistake(
            f"an operation takes at most one input, but its method {name} takes {len(required)} "
            f"({', '.join(required)})",
            "pass a dataclass, a dict or a tuple, or give the others defaults",
            place,
        )
    if inspect.isgeneratorfunction(method.function) or inspect.isasyncgenfunction(method.function):
        what = f"its method {name} is a generator, and an operation cannot be one"
        yield ClassMistake(what, "return a list, or begin its name with _", place)


def _context_of(
    parameters: list[inspect.Parameter], types: Mapping[str, Any], context_name: str
) -> str | None:
    for each in parameters:
        annotation = each.annotation
        if annotation is not each.empty and (
            _CONTEXT.search(inspect.formatannotation(annotation))
            or _CONTEXT.search(inspect.formatannotation(types.get(each.name, Any)))
        ):
            return each.name
    for each in parameters:
        if each.name == context_name and types.get(each.name, Any) is Any:
            return each.name
    return None


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in _VARIADIC
