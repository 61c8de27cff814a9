"""Typed JSON: what goes out comes back, and what cannot is named by its path."""

import enum
import math
import sys
import uuid
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Protocol,
    TypedDict,
    TypeVar,
)

import msgspec
import pytest

from func_bindings.errors import SerializationError
from func_host.invocation.values import dump_json, load_json

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Corner(enum.Enum):
    NEAR = (0, 0)
    FAR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


@dataclass(frozen=True)
class Item:
    name: str
    price: Decimal = Decimal(1)
    tags: set[str] = field(default_factory=set[str])
    _private: int = 0


@dataclass
class Order:
    items: list[Item]
    at: datetime
    colour: Colour = Colour.RED
    parent: "Order | None" = None


@dataclass
class Slotted:
    __slots__ = ("x",)
    x: int


class Movie(TypedDict, total=False):
    title: str
    made: date


class Point(NamedTuple):
    x: int
    y: int = 0


@dataclass
class Box(Generic[T]):
    content: T


def print_it() -> None: ...


class Frame:
    """A class that JSON has no form for."""


class Reader(Protocol):
    def read(self) -> str: ...


@dataclass
class Report:
    frame: Frame
    corner: Corner = Corner.NEAR
    orders: "Sequence[Order]" = ()


@dataclass
class Cat:
    name: str


@dataclass
class Dog:
    name: str
    age: int


UserId = NewType("UserId", int)
NOW = datetime(2026, 8, 1, 12, 30, 0, 250, tzinfo=UTC)


ROUND_TRIPS: list[tuple[object, Any]] = [
    (1, int),
    (1.5, float),
    ("text", str),
    (True, bool),
    (None, None),
    ([1, "a", None, {"b": []}], Any),
    (b"\x00\xff", bytes),
    (bytearray(b"a"), bytearray),
    (NOW, datetime),
    (NOW.replace(tzinfo=None), datetime),
    (NOW.date(), date),
    (time(1, 2, 3), time),
    (timedelta(days=1, seconds=2), timedelta),
    (uuid.UUID(int=7), uuid.UUID),
    (Decimal("1.10"), Decimal),
    (Colour.BLUE, Colour),
    (Level.LOW, Level),
    (Corner.FAR, Corner),
    (PurePath("a/b"), PurePath),
    (Path("a/b"), Path),
    ({1, 2}, set[int]),
    (frozenset("a"), frozenset[str]),
    ((1, "a"), tuple[int, str]),
    ((1, 2, 3), tuple[int, ...]),
    (deque([1]), deque[int]),
    ({"a": 1}, dict[str, int]),
    ({1: "a"}, dict[int, str]),
    ({uuid.UUID(int=1): 1}, dict[uuid.UUID, int]),
    ({Colour.RED: 1}, dict[Colour, int]),
    (Counter("aab"), Counter[str]),
    ([{"a": Corner.FAR}], list[dict[str, Corner]]),
    ({1: (Corner.FAR,)}, Mapping[int, tuple[Corner, ...]]),
    ({"a": {Corner.NEAR}}, dict[str, set[Corner]]),
    (Order([Item("x", Decimal("0.1"), {"t"}, 3)], NOW, parent=Order([], NOW)), Order),
    (Slotted(1), Slotted),
    (Movie(title="M", made=NOW.date()), Movie),
    (Point(1, 2), Point),
    ([Point(1)], list[Point]),
    (Box(Item("x")), Box[Item]),
    (Box([Corner.FAR]), Box[list[Corner]]),
    ("a", Literal["a", "b"]),
    (UserId(3), UserId),
    (3, Annotated[int, "unit"]),
    (3, Annotated[int, ["not hashable"]]),
    (Item("x"), Item | None),
    (None, Item | None),
    (NOW, datetime | str),
    ("no time", datetime | str),
    (Cat("c"), Cat | Dog),
    (Dog("d", 3), Cat | Dog),
    ([Dog("d", 3), Cat("c")], list[Cat | Dog]),
    ({"a": Dog("d", 3)}, dict[str, Cat | Dog | None]),
    (2**70, int),
    (-(2**70), int),
    ("\u00e9\u4e2d\U0001f600\x00\u2028", str),
    (0.1 + 0.2, float),
    (1e300, float),
    (-0.0, float),
]


@pytest.mark.parametrize(("value", "expected_type"), ROUND_TRIPS)
def test_a_value_comes_back_as_it_went(value: object, expected_type: Any) -> None:
    again = load_json(dump_json(value), expected_type)

    assert again == value
    assert type(again) is type(value)


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Dictionary(dict[str, int]):
    pass


KIN: list[tuple[object, str]] = [
    (Text("a"), '"a"'),
    (Number(3), "3"),
    (Real(1.5), "1.5"),
    (Dictionary(a=1), '{"a":1}'),
    (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    (MappingProxyType({"a": 1}), '{"a":1}'),
    ({Text("a"): Text("b")}, '{"a":"b"}'),
    (range(3), "[0,1,2]"),
    ({"a": 1}.keys(), '["a"]'),
    (True, "true"),
    ("null", '"null"'),
    ({1: 2, 1.5: 3}, '{"1":2,"1.5":3}'),
]


@pytest.mark.parametrize(("value", "text"), KIN)
def test_subclasses_and_kin_are_written_as_what_they_are(value: object, text: str) -> None:
    assert dump_json(value) == text


@pytest.mark.parametrize("expected_type", [Text, Number, Real])
def test_subclasses_are_read_as_themselves(expected_type: type) -> None:
    value = expected_type("1")

    assert type(load_json(dump_json(value), expected_type)) is expected_type
    assert type(load_json(dump_json([value]), list[expected_type])[0]) is expected_type  # type: ignore[valid-type]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Frame(), "$: Frame cannot be written as JSON: pass a dataclass, a dict or a list"),
        ({"items": [1, {"frame": Frame()}]}, "$.items[1].frame: Frame cannot be written"),
        (Report(Frame()), "$.frame: Frame cannot be written"),
        ({"a b": (Frame(),)}, "$['a b'][0]: Frame cannot be written"),
        (Box(Box(Frame())), "$.content.content: Frame cannot be written"),
        ([print_it], "$[0]: function cannot be written as JSON: pass its name"),
        ((x for x in [1]), "$: generator cannot be written as JSON: pass list(…) of it"),
        (Item, "$: type cannot be written as JSON: pass its name"),
        (1j, "$: complex cannot be written as JSON: pass its real and imaginary parts"),
        ({"a": {(1, 2): 3}}, "$.a[(1, 2)]: a dictionary key of type tuple cannot be written"),
        ({None: 3}, "$[None]: a dictionary key of type NoneType cannot be written"),
        ({True: 3}, "$[True]: a dictionary key of type bool cannot be written"),
        (math.nan, "$: nan: JSON has no such number"),
        ([None, {"a": -math.inf}], "$[1].a: -inf: JSON has no such number"),
        (Box(math.inf), "$.content: inf: JSON has no such number"),
        (Real("nan"), "$: nan: JSON has no such number"),
        ([Real("nan")], "$[0]: nan: JSON has no such number"),
        ((Point(math.nan),), "$[0][0]: nan"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (deque([math.nan]), "$[0]: nan"),
        (MappingProxyType({"a": math.nan}), "$.a: nan"),
        ("\ud800", "$: str: the text holds half of a surrogate pair"),
        ({"a": ["\udcff"]}, "$.a[0]: str: the text holds half of a surrogate pair"),
        ({"\ud800": 1}, "a dictionary key of type str cannot be written"),
    ],
)
def test_what_cannot_be_written_is_named_by_its_path(value: object, message: str) -> None:
    with pytest.raises(SerializationError) as caught:
        dump_json(value)

    assert message in str(caught.value)


def test_what_contains_itself_or_is_too_deep_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    for value in (loop, {"a": loop}, deep):
        with pytest.raises(SerializationError, match="contains itself or is nested too deeply"):
            dump_json(value)


def test_an_object_whose_own_code_raises_is_named_with_its_error() -> None:
    class Odd(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            raise KeyError(key)

        def __iter__(self) -> Any:
            raise OSError("the disk is gone")

        def __len__(self) -> int:
            return 1

    with pytest.raises(SerializationError, match="the disk is gone"):
        dump_json([Odd()])


@pytest.mark.parametrize(
    ("text", "expected_type", "message"),
    [
        ('"1"', int, "$: Expected int, got str: the JSON does not fit the type int."),
        ('{"items":[{"name":1}],"at":"x"}', Order, "$.items[0].name: Expected str, got int"),
        ('{"items":[]}', Order, "$: Object missing required field at"),
        ('["red","green"]', list[Colour], "$[1]: Invalid enum value 'green'"),
        ('"2026-13-01"', date, "$: Invalid RFC3339 encoded date"),
        ("[1]", tuple[int, int], "$: Expected array of length 2"),
        ('"c"', Literal["a"], "$: Invalid enum value 'c'"),
        ('{"frame":1,"corner":[5,5]}', Report, "$.corner: [5, 5] is not a valid Corner"),
        ('{"frame":1,"orders":[{"items":[]}]}', Report, "$.orders[0]: Object missing required"),
        ("{}", Report, "$: Object missing required field frame"),
        ('{"name":1}', Cat | Dog, "$: nothing of the union fits ($.name: Expected str, got int."),
        ('{"a":[[1,2],3]}', dict[str, list[Corner]], "$.a[1]: 3 is not a valid Corner"),
        ('[{"name":"x"}, 3]', list[Cat | Dog], "$[1]: nothing of the union fits"),
        ('"x"', Number, "invalid literal for int()"),
        ("1e400", float, "$: Number out of range"),
        ("", str, "This is not JSON"),
        ("nope", Any, "This is not JSON"),
        ('{"a":1', Any, "This is not JSON"),
        ("NaN", float, "This is not JSON"),
        ('"\ud800"', str, "This is not JSON"),
        ("[" * 100_000 + "]" * 100_000, Any, "nested too deeply"),
    ],
)
def test_json_that_does_not_fit_is_named_by_its_path(
    text: str, expected_type: Any, message: str
) -> None:
    with pytest.raises(SerializationError) as caught:
        load_json(text, expected_type)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    "expected_type",
    [
        Any,
        object,
        None,
        type(None),
        Frame,
        Reader,
        T,
        "Order",
        "not a type",
        ...,
        5,
        type[int],
        list[Frame],
        Sequence["Unknown"],  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
        Frame | None,
        Annotated[Frame, []],
        Box[Frame] | list[Frame],
    ],
)
def test_a_type_that_says_nothing_to_json_gives_the_plain_value(expected_type: Any) -> None:
    assert load_json('[1,{"a":null}]', expected_type) == [1, {"a": None}]


def test_what_a_type_says_is_used_around_what_says_nothing() -> None:
    text = '{"frame":{"any":1},"corner":[1,2],"orders":[{"items":[],"at":"2026-08-01T00:00:00Z"}]}'

    report = load_json(text, Report)

    assert report.frame == {"any": 1}
    assert report.corner is Corner.FAR
    assert report.orders == [Order([], datetime(2026, 8, 1, tzinfo=UTC))]


def test_bytes_are_read_as_text_is() -> None:
    assert load_json(b'{"a":1}', dict[str, int]) == {"a": 1}


class Coordinates(msgspec.Struct):
    x: float
    y: float | None = None


def test_structs_are_written_and_read() -> None:
    assert load_json(dump_json(Coordinates(1)), Coordinates) == Coordinates(1.0)

    with pytest.raises(SerializationError, match=r"^\$\[0\]\.x: nan"):
        dump_json([Coordinates(math.nan)])


def test_a_large_value_with_many_nulls_is_written_in_reasonable_time() -> None:
    rows = [{"id": n, "name": "x", "parent": None} for n in range(20_000)]

    assert load_json(dump_json(rows)) == rows


def test_pydantic_is_never_imported_for_us() -> None:
    source = "import sys, func_host.invocation.values; assert 'pydantic' not in sys.modules"
    import subprocess  # noqa: PLC0415 -- of this test alone

    subprocess.run([sys.executable, "-c", source], check=True)  # noqa: S603 -- our own source
