"""What JSON has no form for: turned into what it has one for, or named by its path."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from numbers import Integral
from pathlib import PurePath
from typing import Any

import msgspec

_PATH_LENGTH_MAX = 400
_DEPTH_MAX = 5_000

_REMEDIES = {
    "DataFrame": "pass frame.to_dict(orient='records')",
    "Series": "pass series.tolist()",
    "ndarray": "pass array.tolist()",
    "generator": "pass list(…) of it",
    "coroutine": "await it first",
    "complex": "pass its real and imaginary parts",
    "function": "pass its name",
    "method": "pass its name",
    "type": "pass its name",
}


def to_writable(value: Any) -> Any:  # noqa: PLR0911 -- a table of types
    """Give JSON's form of a value that msgspec has none for: its `enc_hook`.

    Raises:
        TypeError: There is none.
    """
    match value:
        case str():
            return str.__str__(value)
        case float():
            _refuse_not_a_number(value)
            return float(value)
        case bool():  # as the key of a dictionary: elsewhere msgspec writes it itself
            raise TypeError(type(value).__name__)
        case Integral():
            return int(value)
        case PurePath():
            return str(value)
        case Mapping():
            return dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- keys and values of user data
        case AbstractSet() | deque() | range():
            return list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- items of user data
        case bytes() | bytearray():
            return bytes(value)
        case _ if is_pydantic_model(value):
            return value.model_dump(mode="json", by_alias=True)
        case _:
            raise TypeError(type(value).__name__)


def is_pydantic_model(value: object) -> bool:
    """Tell whether this is an instance of a pydantic model, without ever importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)


def find_not_a_number(value: object) -> str | None:
    """Name the first NaN or infinity inside a value that can otherwise be written."""
    for path, leaf, _ in _leaves(value):
        if isinstance(leaf, float) and not math.isfinite(leaf):
            return f"{path}: {leaf}: JSON has no such number: pass None or a text instead."
    return None


def explain_unwritable(value: object, error: BaseException) -> str:
    """Say which part of the value cannot be written, and what to pass instead."""
    for path, leaf, depth in _leaves(value):
        if depth > _DEPTH_MAX:
            break
        problem = _leaf_problem(leaf)
        if problem is not None:
            return f"{path}: {problem}"
    if isinstance(error, RecursionError):
        return "$: the value contains itself or is nested too deeply to be written: flatten it."
    return f"$: {type(value).__name__} cannot be written as JSON: {error}."


def _leaf_problem(leaf: object) -> str | None:
    """Say why this leaf cannot be written; None where it can."""
    if isinstance(leaf, float) and not math.isfinite(leaf):
        return f"{leaf}: JSON has no such number: pass None or a text instead."
    if isinstance(leaf, _UnwritableKey):
        return (
            f"a dictionary key of type {type(leaf.key).__name__} cannot be written as JSON: "
            "use text as keys."
        )
    try:
        msgspec.json.encode(leaf, enc_hook=to_writable)
    except UnicodeEncodeError:
        return (
            "str: the text holds half of a surrogate pair, which UTF-8 has no form for: "
            "decode it with errors='replace'."
        )
    except BaseException as error:  # noqa: BLE001 -- a user's to-JSON code may raise anything
        name = type(leaf).__name__
        remedy = _REMEDIES.get(name, "pass a dataclass, a dict or a list instead")
        reason = "" if type(error) is TypeError else f" ({error})"
        return f"{name} cannot be written as JSON{reason}: {remedy}."
    return None


class _UnwritableKey:
    def __init__(self, key: object) -> None:
        self.key = key


def _leaves(value: object) -> Iterator[tuple[str, object, int]]:
    """Give each part of a value that has no parts itself, with its path and its depth."""
    stack: list[tuple[str, object, int]] = [("$", value, 0)]
    while stack:
        path, part, depth = stack.pop()
        children = _listed_children(part) if depth <= _DEPTH_MAX else None
        if children is None:
            yield path, part, depth
        else:
            stack.extend(
                (f"{path}{piece}"[:_PATH_LENGTH_MAX], child, depth + 1)
                for piece, child in reversed(children)
            )


def _listed_children(value: object) -> list[tuple[str, object]] | None:
    try:
        children = _children(value)
        return None if children is None else list(children)
    except BaseException:  # noqa: BLE001 -- a user's class may raise anything when it is looked into
        return None


def _children(value: Any) -> Iterator[tuple[str, object]] | None:
    if value is None or isinstance(value, str | int | float | bytes | type):
        return None
    if isinstance(value, Enum):
        return iter([(".value", value.value)])
    if isinstance(value, Mapping):
        return _entries(value)  # pyright: ignore[reportUnknownArgumentType] -- user data
    if isinstance(value, list | tuple | AbstractSet | deque):
        return ((f"[{index}]", item) for index, item in enumerate(value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- user data
    names = _field_names(value)
    return ((f".{name}", getattr(value, name, None)) for name in names) if names else None


def _field_names(value: Any) -> list[str]:
    """Give the fields of a dataclass, a pydantic model, a Struct or a class of attrs."""
    if dataclasses.is_dataclass(value):
        return [each.name for each in dataclasses.fields(value)]
    if is_pydantic_model(value):
        return list(getattr(value, "__dict__", ()))
    return [
        *getattr(value, "__struct_fields__", ()),
        *(attribute.name for attribute in getattr(value, "__attrs_attrs__", ())),
    ]


def _entries(mapping: Mapping[Any, object]) -> Iterator[tuple[str, object]]:
    for key, value in mapping.items():
        if not (isinstance(key, str) and key.isascii()):
            try:
                msgspec.json.encode({key: None}, enc_hook=to_writable)
            except Exception:  # noqa: BLE001 -- whatever it is, the key cannot be written
                yield f"[{key!r}]", _UnwritableKey(key)
        yield (f".{key}" if str(key).isidentifier() else f"[{key!r}]"), value


def _refuse_not_a_number(value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{float(value)} is no JSON number")
