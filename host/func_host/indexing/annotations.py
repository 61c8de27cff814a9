"""Annotations of user functions, read so that no annotation is ever a reason to refuse an app.

An annotation that cannot be resolved (a name imported under `TYPE_CHECKING` only, a misspelt
string) is `Any`; the other annotations of the same function keep their meaning.
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import lru_cache
from typing import Any

_RESULT_OF: dict[object, int] = {Generator: 2, Coroutine: 2, Awaitable: 0}


def parameter_types(function: Callable[..., Any]) -> dict[str, Any]:
    """Give the type of every parameter; `Any` where there is no annotation that resolves."""
    return {
        name: resolve_annotation(parameter.annotation, function)
        for name, parameter in signature_of(function).parameters.items()
    }


def result_type(function: Callable[..., Any]) -> Any:
    """Give the type of what the function ends with: of a generator, what it returns."""
    annotation = resolve_annotation(signature_of(function).return_annotation, function)
    position = _RESULT_OF.get(typing.get_origin(annotation) or annotation)
    if position is None:
        return annotation
    arguments = typing.get_args(annotation)
    return arguments[position] if position < len(arguments) else Any


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Give the signature with annotations as they stand, unresolved names and all."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 -- it is there since 3.14 only

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def resolve_annotation(annotation: Any, function: Callable[..., Any]) -> Any:
    """Evaluate one annotation where the function was written; `Any` where that fails."""
    if annotation is inspect.Parameter.empty:
        return Any
    if annotation is None:
        return type(None)
    inner = inspect.unwrap(function)
    return _evaluate(annotation, {**getattr(inner, "__globals__", {}), **_enclosing_names(inner)})


@lru_cache(maxsize=4096)
def class_annotations(cls: Any) -> dict[str, Any]:
    """Give the types of a class's fields, its bases' first; `Any` where one does not resolve."""
    found: dict[str, Any] = {}
    for base in reversed(getattr(cls, "__mro__", ())):
        scope = {**vars(sys.modules.get(base.__module__, typing)), base.__name__: base}
        for name, annotation in _own_annotations(base).items():
            found[name] = _evaluate(annotation, scope)
    return found


_CLASS_VARIABLE = re.compile(r"(\w+\.)*ClassVar\b")


@lru_cache(maxsize=4096)
def class_variables(cls: Any) -> frozenset[str]:
    """Give the names that a class or one of its bases annotates as `ClassVar`."""
    return frozenset(
        name
        for base in getattr(cls, "__mro__", ())
        for name, annotation in _own_annotations(base).items()
        if _CLASS_VARIABLE.match(
            annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        )
    )


def _own_annotations(cls: Any) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 -- it is there since 3.14 only

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(cls)


def _evaluate(annotation: Any, scope: dict[str, Any]) -> Any:
    def carrier() -> None: ...

    carrier.__annotations__ = {"value": annotation}
    try:
        return typing.get_type_hints(carrier, scope, include_extras=True)["value"]
    except Exception:  # noqa: BLE001 -- evaluating a user's text may raise anything
        return Any


def _enclosing_names(function: Callable[..., Any]) -> dict[str, object]:
    """Give the names of enclosing functions that this one uses."""
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None) or ()
    names: dict[str, object] = {}
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # the enclosing function has not assigned it yet
            continue
    return names
