"""Classes as entities: what their operations and fields are, and what keeps them from being one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from func_host.indexing.entity_classes import EntityClass, read_entity_class

if TYPE_CHECKING:
    from func_bindings import EntityContext


@dataclass
class Account:
    balance: int = 0
    owner: str | None = None
    log: list[str] = field(default_factory=list[str])
    opened_with: InitVar[int] = 0
    limit: ClassVar[int] = 5

    def add(self, amount: int, note: str = "") -> int:
        self.balance += amount
        self.owner = note
        return self.balance

    async def audit(self, context: EntityContext) -> list[str]:
        return [context.entity_key]

    def reset(self) -> None: ...

    def send(self, ctx: EntityContext, context: dict[str, int]) -> None: ...

    def move(self, amount: int, /, *, context: Any = None) -> None: ...

    def _hidden(self, a: int, b: int) -> None: ...

    @staticmethod
    def parse(a: str, b: str) -> None: ...

    @classmethod
    def empty(cls, a: str, b: str) -> None: ...

    @property
    def is_empty(self) -> bool:
        return self.balance == 0


class Plain:
    shared: ClassVar[list[int]] = []
    count: int = 0
    unknown: Missing  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

    def __init__(self) -> None:
        self.inner = 1

    @cached_property
    def double(self) -> int:
        return self.count * 2

    def add(self, n: Any) -> None: ...


class Sub(Plain):
    more: int = 1

    def other(self) -> None: ...


def read(cls: type) -> EntityClass:
    entity, mistakes = read_entity_class(cls)
    assert mistakes == []
    return entity


def problems(cls: type) -> list[str]:
    return [f"{each.what}: {each.remedy}" for each in read_entity_class(cls)[1]]


def test_public_methods_are_operations_with_at_most_one_input_and_the_context() -> None:
    methods = read(Account).methods

    assert list(methods) == ["add", "audit", "reset", "send", "move"]
    assert (methods["add"].input, methods["add"].input_type) == ("amount", int)
    assert methods["add"].is_input_required
    assert methods["add"].result_type is int
    assert (methods["audit"].input, methods["audit"].context) == (None, "context")
    assert methods["audit"].result_type == list[str]
    assert (methods["reset"].input, methods["reset"].context) == (None, None)
    assert (methods["send"].input, methods["send"].context) == ("context", "ctx")
    assert methods["send"].input_type == dict[str, int]
    assert (methods["move"].input, methods["move"].context) == ("amount", "context")
    assert read(Account).is_async
    assert not read(Plain).is_async


def test_an_operation_is_called_with_its_values_by_name() -> None:
    account = Account()
    methods = read(Account).methods

    assert methods["add"].call(account, {"amount": 3}) == 3
    assert methods["move"].call(account, {"amount": 3, "context": None}) is None


def test_an_operation_is_found_by_its_exact_name_then_without_case() -> None:
    class Odd:
        def Get(self) -> None: ...  # noqa: N802 -- an exact name beside another one

        def get(self) -> None: ...

    odd = read(Odd)

    assert [each and each.name for each in map(odd.method, ("get", "Get", "GET", "_get"))] == [
        "get",
        "Get",
        "Get",
        None,
    ]


def test_fields_are_those_of_the_dataclass() -> None:
    account = read(Account)

    assert account.field_types == {"balance": int, "owner": str | None, "log": list[str]}
    assert not account.is_open


def test_fields_of_a_plain_class_are_what_it_and_its_bases_annotate() -> None:
    assert read(Plain).field_types == {"count": int, "unknown": Any}
    assert read(Sub).field_types == {"count": int, "unknown": Any, "more": int}
    assert read(Sub).is_open
    assert read(Sub).derived == {"double"}
    assert list(read(Sub).methods) == ["add", "other"]


class NeedsOwner:
    def __init__(self, owner: str, limit: int, *rest: int) -> None: ...

    def get(self) -> None: ...


class Abstract(ABC):
    @abstractmethod
    def get(self) -> None: ...


@dataclass(frozen=True)
class Frozen:
    value: int = 0

    def get(self) -> None: ...


class Shared:
    items: list[int] = []  # noqa: RUF012 -- the mistake

    def get(self) -> None: ...


class Bare:
    def _get(self) -> None: ...


class TwoInputs:
    def put(self, key: str, value: str, context: EntityContext) -> None: ...


class Generating:
    def each(self) -> Any:
        yield 1

    async def each_async(self) -> Any:
        yield 1


class Selfless:
    def get() -> None: ...  # type: ignore[misc]  # pyright: ignore[reportSelfClsParameterName]


@pytest.mark.parametrize(
    ("cls", "problem"),
    [
        (NeedsOwner, "made without arguments, but this takes owner, limit: give owner, limit a"),
        (Abstract, "it is abstract, so no object of it can be made: decorate a subclass"),
        (Frozen, "it is frozen, so that no operation could change it: leave out frozen=True"),
        (Shared, "the default of its field items is one list for all entities: make a new one"),
        (Bare, "it has no public method, so there is nothing that it can do: add methods"),
        (TwoInputs, "its method put takes 2 (key, value): pass a dataclass, a dict or a tuple"),
        (Generating, "its method each is a generator, and an operation cannot be one: return"),
        (Selfless, "its method get takes nothing, not even the object: add a parameter: self"),
    ],
)
def test_a_mistake_says_what_and_the_remedy(cls: type, problem: str) -> None:
    assert problem in problems(cls)[0]


def test_mistakes_of_methods_stand_at_the_method_and_come_all_at_once() -> None:
    _, mistakes = read_entity_class(Generating)

    places = [each.location for each in mistakes]
    assert [place and place.file for place in places] == [__file__] * 2
    assert places[0] != places[1]
