"""Annotations are used where they resolve and refuse nothing where they do not."""

from __future__ import annotations

import functools
from collections.abc import (  # noqa: TC003 -- the annotations are evaluated
    Awaitable,
    Coroutine,
    Generator,
)
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest

from func_host.indexing.annotations import class_annotations, parameter_types, result_type

if TYPE_CHECKING:
    from decimal import Decimal

T = TypeVar("T")


class Order: ...


def test_each_annotation_is_resolved_by_itself() -> None:
    def f(a: int, b: Decimal, c: list[Order], *, d: str = "") -> Decimal:
        raise NotImplementedError(a, b, c, d)

    assert parameter_types(f) == {"a": int, "b": Any, "c": list[Order], "d": str}
    assert result_type(f) is Any


def test_what_is_not_annotated_may_be_anything() -> None:
    assert parameter_types(len) == {"obj": Any}
    assert result_type(len) is Any


def test_names_of_the_enclosing_function_resolve() -> None:
    class Inner: ...

    def f(a: Inner) -> Inner:
        return Inner() if a else a

    assert parameter_types(f) == {"a": Inner}
    assert result_type(f) is Inner


def test_a_wrapper_has_the_annotations_of_what_it_wraps() -> None:
    def f(a: Order) -> int:
        return 1 if a else 0

    @functools.wraps(f)
    def wrapper(*args: Any) -> Any:
        return f(*args)

    assert parameter_types(wrapper) == {"a": Order}
    assert result_type(wrapper) is int


def to_generator() -> Generator[Any, Any, Order]:
    yield
    return Order()


def to_bare_generator() -> Generator: ...  # type: ignore[type-arg,empty-body]  # pyright: ignore[reportMissingTypeArgument, reportUnknownParameterType]


async def to_coroutine() -> Order:
    return Order()


def to_explicit_coroutine() -> Coroutine[Any, Any, Order]:
    return to_coroutine()


def to_awaitable() -> Awaitable[Order]:
    return to_coroutine()


def to_none() -> None: ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (to_generator, Order),
        (to_bare_generator, Any),  # pyright: ignore[reportUnknownArgumentType]
        (to_coroutine, Order),
        (to_explicit_coroutine, Order),
        (to_awaitable, Order),
        (to_none, type(None)),
    ],
)
def test_the_result_is_what_the_function_ends_with(function: Any, expected: object) -> None:
    assert result_type(function) is expected


def test_fields_of_classes_resolve_each_by_itself_and_with_those_of_bases() -> None:
    assert class_annotations(Child) == {"a": int, "b": Any, "c": Child | None}


@dataclass
class Base:
    a: int
    b: Decimal


@dataclass
class Child(Base):
    c: Child | None = None


@dataclass
class Box(Generic[T]):
    content: T


def test_a_type_variable_stays_one() -> None:
    assert class_annotations(Box)["content"] is T
