"""Plain JSON values made to fit types that msgspec does not know.

Unions of several dataclasses, classes with fields of arbitrary types, enums of tuples: what a type
says is used as far as it says something to JSON, and where it says nothing (an arbitrary class, a
`TypeVar`, a protocol) the plain value is given.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, MutableSet
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import PurePath
from typing import Any, NewType, Union

import msgspec

from func_bindings.errors import SerializationError
from func_host.indexing.annotations import class_annotations

_SCALARS = (str, int, float, PurePath)


class ForeignTypeError(Exception):
    """A type that msgspec leaves to us, met while it reads."""


def type_name(expected_type: Any) -> str:
    """Name a type as a reader of the source would."""
    if isinstance(expected_type, type) and not typing.get_args(expected_type):
        return expected_type.__qualname__
    return str(expected_type).replace("typing.", "")


def read_foreign(expected_type: Any, value: Any) -> Any:
    """Read a value of a type that msgspec does not know: its `dec_hook`.

    Raises:
        ForeignTypeError: JSON says nothing about the type.
        ValueError: The value does not fit it.
    """
    if isinstance(expected_type, type):
        if is_pydantic_class(expected_type):
            return _read_pydantic(expected_type, value)
        if issubclass(expected_type, _SCALARS):
            return expected_type(value)
    raise ForeignTypeError


def is_pydantic_class(expected_type: type) -> bool:
    """Tell whether this is a pydantic model, without ever importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(expected_type, pydantic.BaseModel)


def fit(value: Any, expected_type: Any, path: str = "$") -> Any:
    """Make a plain JSON value fit a type, part by part.

    Raises:
        SerializationError: It does not fit; the message names the place.
    """
    try:
        return msgspec.convert(value, expected_type, str_keys=True, dec_hook=read_foreign)
    except msgspec.ValidationError as error:
        what, _, inner = str(error).replace("`", "").partition(" - at ")
        raise SerializationError(f"{path}{inner.removeprefix('$')}: {what}.") from error
    except Exception:  # noqa: BLE001 -- resolving a user's annotations may raise anything
        return _fit_structure(value, expected_type, path)


def _fit_structure(value: Any, expected_type: Any, path: str) -> Any:
    origin: Any = typing.get_origin(expected_type)
    arguments = typing.get_args(expected_type)
    if isinstance(expected_type, NewType):
        return fit(value, expected_type.__supertype__, path)
    if origin in (typing.Annotated, typing.Required, typing.NotRequired, typing.Final):
        return fit(value, arguments[0], path)
    if origin in (Union, types.UnionType):
        return _fit_union(value, arguments, path)
    if isinstance(origin, type) and arguments:
        return _fit_generic(value, origin, arguments, path)
    if isinstance(expected_type, type):
        return _fit_class(value, expected_type, path)
    return value


def _fit_union(value: Any, members: tuple[Any, ...], path: str) -> Any:
    """Give the first member that fits: classes that know all keys before types of any value."""
    problems: list[str] = []
    for member in sorted(members, key=lambda each: (_says_nothing(each), _strangers(value, each))):
        try:
            return fit(value, member, path)
        except SerializationError as error:
            problems.append(str(error))
    raise SerializationError(f"{path}: nothing of the union fits ({' '.join(problems)})")


def _says_nothing(member: Any) -> bool:
    """Tell whether the type takes any JSON value."""
    try:
        found = msgspec.inspect.type_info(member)
    except Exception:  # noqa: BLE001 -- resolving a user's annotations may raise anything
        return False
    if isinstance(found, msgspec.inspect.CustomType):
        cls: Any = found.cls  # pyright: ignore[reportUnknownMemberType] -- msgspec says only type
        return not issubclass(cls, _SCALARS) and not is_pydantic_class(cls)
    return isinstance(found, msgspec.inspect.AnyType)


def _strangers(value: Any, member: Any) -> int:
    """Count the keys of an object that a class has no field for."""
    known = class_annotations(typing.get_origin(member) or member)
    return sum(key not in known for key in value) if known and isinstance(value, dict) else 0  # pyright: ignore[reportUnknownVariableType] -- decoded JSON


def _fit_generic(value: Any, origin: Any, arguments: tuple[Any, ...], path: str) -> Any:
    if _is_a(origin, tuple):
        return _fit_tuple(_expect(value, list, path), arguments, path)
    if _is_a(origin, Mapping):
        mapping = _fit_mapping(_expect(value, dict, path), arguments, path)
        return make_of(mapping) if (make_of := _MAKERS.get(origin)) else mapping
    if _is_a(origin, Iterable) and origin.__module__ in _COLLECTIONS:
        items = _fit_items(_expect(value, list, path), arguments[0], path)
        return make_of(items) if (make_of := _MAKERS.get(origin)) else items
    parameters = getattr(origin, "__parameters__", ())
    return _fit_class(value, origin, path, dict(zip(parameters, arguments, strict=False)))


_COLLECTIONS = {"builtins", "collections", "collections.abc"}
_MAKERS: dict[Any, Callable[[Any], Any]] = {
    Counter: Counter,
    OrderedDict: OrderedDict,
    set: set,
    frozenset: frozenset,
    AbstractSet: set,
    MutableSet: set,
    deque: deque,
}


def _fit_tuple(items: list[Any], arguments: tuple[Any, ...], path: str) -> tuple[Any, ...]:
    if arguments[1:] == (...,):
        return tuple(_fit_items(items, arguments[0], path))
    if len(items) != len(arguments):
        message = f"{path}: Expected array of length {len(arguments)}, got {len(items)}."
        raise SerializationError(message)
    parts = zip(items, arguments, strict=True)
    return tuple(fit(item, part, f"{path}[{i}]") for i, (item, part) in enumerate(parts))


def _fit_items(items: list[Any], item_type: Any, path: str) -> list[Any]:
    return [fit(item, item_type, f"{path}[{index}]") for index, item in enumerate(items)]


def _fit_mapping(value: dict[str, Any], arguments: tuple[Any, ...], path: str) -> dict[Any, Any]:
    key_type, value_type = (*arguments, int)[:2]  # a Counter has one argument
    key_map: Any = types.GenericAlias(dict, (key_type, None))
    keys: dict[Any, None] = fit(dict.fromkeys(value), key_map, path)
    return {
        key: fit(item, value_type, f"{path}.{name}")
        for key, (name, item) in zip(keys, value.items(), strict=True)
    }


def _fit_class(value: Any, cls: Any, path: str, parameters: Mapping[Any, Any] | None = None) -> Any:
    """Build an instance of a class that JSON has a form for; else give the plain value."""
    if _is_a(cls, Enum):
        return _fit_enum(value, cls, path)
    hints = {
        name: (parameters or {}).get(hint, hint) for name, hint in class_annotations(cls).items()
    }
    if typing.is_typeddict(cls):
        fields = _fit_fields(_expect(value, dict, path), hints, path)
        _require(cls.__required_keys__, fields, path)
        return fields
    if _is_a(cls, tuple) and hasattr(cls, "_fields"):
        items = dict(zip(cls._fields, _expect(value, list, path), strict=False))
        _require(set(cls._fields) - set(cls._field_defaults), items, path)
        return _construct(cls, _fit_fields(items, hints, path), path)
    if _is_dataclass(cls):
        init = [field for field in dataclasses.fields(cls) if field.init]
        wanted = {field.name: hints.get(field.name, Any) for field in init}
        given = _fit_fields(_expect(value, dict, path), wanted, path)
        _require({field.name for field in init if _is_required(field)}, given, path)
        return _construct(cls, given, path)
    return value


def _is_a(cls: Any, base: type) -> bool:
    """Do as `issubclass`, but leave the type checkers' view of the class as it is."""
    return issubclass(cls, base)


def _is_dataclass(cls: Any) -> bool:
    return dataclasses.is_dataclass(cls)


def _fit_enum(value: Any, cls: Any, path: str) -> Any:
    for member in cls:
        if value == member.value or value == _as_json(member.value):
            return member
    return _construct(cls, {"value": value}, path)


def _as_json(value: object) -> object:
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except TypeError:
        return value


def _fit_fields(value: Mapping[str, Any], hints: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {
        name: fit(value[name], hint, f"{path}.{name}")
        for name, hint in hints.items()
        if name in value
    }


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _require(names: AbstractSet[str], fields: Mapping[str, Any], path: str) -> None:
    missing = sorted(names - fields.keys())
    if missing:
        raise SerializationError(f"{path}: Object missing required field {missing[0]}.")


def _construct(cls: Any, fields: Mapping[str, Any], path: str) -> Any:
    try:
        return cls(**fields)
    except (TypeError, ValueError) as error:
        raise SerializationError(f"{path}: {error}.") from error


def _expect(value: Any, kind: type, path: str) -> Any:
    if isinstance(value, kind):
        return value
    expected = "array" if kind is list else "object"
    raise SerializationError(f"{path}: Expected {expected}, got {_json_name(value)}.")


def _json_name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return type(value).__name__


def _read_pydantic(model: Any, value: Any) -> Any:
    """Validate as JSON, so that a strict model takes texts for dates as pydantic itself does."""
    try:
        return model.model_validate_json(msgspec.json.encode(value))
    except ValueError as error:
        errors: list[dict[str, Any]] = getattr(error, "errors", list)()
        if not errors:
            raise
        place = ".".join(map(str, errors[0]["loc"]))
        raise ValueError(f"{model.__name__}.{place}: {errors[0]['msg']}") from error
