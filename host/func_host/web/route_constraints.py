"""Constraints of route parameters (`{id:int:min(1)}`), as ASP.NET Core reads them.

A constraint is a predicate over the decoded text of a parameter; the function still gets the text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from func_host.web.query import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

Constraint: TypeAlias = "Callable[[str], bool]"

_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?(\d[\d,]*(\.\d*)?|\.\d+)\s*[+-]?\s*", re.ASCII)
_FLOAT = re.compile(
    r"\s*[+-]?((\d[\d,]*(\.\d*)?|\.\d+)(e[+-]?\d+)?|nan|infinity|∞)\s*", re.ASCII | re.IGNORECASE
)
_HEX32 = r"[0-9a-f]{32}"
_DASHED = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GUID = re.compile(rf"{_HEX32}|{_DASHED}|\{{{_DASHED}\}}|\({_DASHED}\)", re.ASCII | re.IGNORECASE)
_ALPHA = re.compile(r"[a-z]*", re.ASCII | re.IGNORECASE)
_BOOL = re.compile(r"\s*(true|false)\s*", re.ASCII | re.IGNORECASE)
_DIGITS_MAX = 30
_LONG_MAX = 2**63 - 1
_INT_MAX = 2**31 - 1


class RouteConstraintError(ValueError):
    """A constraint that nobody knows, or whose arguments cannot be read."""


def make_constraint(name: str, arguments: str | None) -> Constraint:
    """Give the predicate of one constraint.

    Args:
        name: `int`, `minlength`, `regex`, …; names compare without case.
        arguments: What stands in its parentheses; None where there are none.

    Raises:
        RouteConstraintError: There is no such constraint, or it does not take these arguments.
    """
    key = name.lower()
    if arguments is None and key in _SIMPLE:
        return _SIMPLE[key]
    if arguments is not None and key == "regex":
        return _regex(arguments)
    if arguments is not None and key in _WITH_NUMBERS:
        count, make = _WITH_NUMBERS[key]
        numbers = [_number(name, each) for each in arguments.split(",")]
        if len(numbers) in count:
            return make(*numbers)
    shown = name if arguments is None else f"{name}({arguments})"
    known = ", ".join(sorted({*_SIMPLE, *_WITH_NUMBERS, "regex"}))
    raise RouteConstraintError(f"There is no route constraint '{shown}'; there are: {known}.")


def integer_in(low: int, high: int) -> Constraint:
    """Accept an integer within both limits, as .NET parses one."""

    def accepts(text: str) -> bool:
        if not _INTEGER.fullmatch(text) or len(text) > _DIGITS_MAX:
            return False
        return low <= int(text) <= high

    return accepts


def _length(low: int, high: int | None = None) -> Constraint:
    top = low if high is None else high
    return lambda text: low <= len(text) <= top


def _min_length(low: int) -> Constraint:
    return lambda text: len(text) >= low


def _max_length(high: int) -> Constraint:
    return lambda text: len(text) <= high


def _min(low: int) -> Constraint:
    return integer_in(low, _LONG_MAX)


def _max(high: int) -> Constraint:
    return integer_in(-_LONG_MAX - 1, high)


def _pattern(pattern: re.Pattern[str]) -> Constraint:
    return lambda text: pattern.fullmatch(text) is not None


def _regex(source: str) -> Constraint:
    try:
        pattern = re.compile(source, re.IGNORECASE)
    except re.error as error:
        message = f"The route constraint regex({source}) cannot be compiled: {error}."
        raise RouteConstraintError(message) from error
    return lambda text: pattern.search(text) is not None


def _is_file_name(text: str) -> bool:
    """Tell whether something follows a dot in the last segment."""
    _, dot, extension = text.rpartition("/")[2].partition(".")
    return bool(dot) and extension.strip(".") != ""


def _number(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text) or len(text) > _DIGITS_MAX:
        raise RouteConstraintError(f"The route constraint {name}({text}) needs an integer.")
    return int(text)


_SIMPLE: dict[str, Constraint] = {
    "int": integer_in(-_INT_MAX - 1, _INT_MAX),
    "long": integer_in(-_LONG_MAX - 1, _LONG_MAX),
    "bool": _pattern(_BOOL),
    "datetime": lambda text: parse_timestamp(text.strip()) is not None,
    "decimal": _pattern(_DECIMAL),
    "double": _pattern(_FLOAT),
    "float": _pattern(_FLOAT),
    "guid": _pattern(_GUID),
    "alpha": _pattern(_ALPHA),
    "required": lambda text: text != "",
    "file": _is_file_name,
    "nonfile": lambda text: not _is_file_name(text),
}

_WITH_NUMBERS: dict[str, tuple[frozenset[int], Callable[..., Constraint]]] = {
    "minlength": (frozenset({1}), _min_length),
    "maxlength": (frozenset({1}), _max_length),
    "length": (frozenset({1, 2}), _length),
    "min": (frozenset({1}), _min),
    "max": (frozenset({1}), _max),
    "range": (frozenset({2}), integer_in),
}
