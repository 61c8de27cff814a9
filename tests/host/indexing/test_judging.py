"""Whether a trigger fits what its function takes: mistakes are one line each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from func_bindings.metadata import EntityTrigger, HttpTrigger
from func_host.indexing import FunctionIndex, IndexedFunction, IndexingError, build_index

WriteApp = Callable[..., Path]

IMPORTS = """\
from func_bindings import *
"""
IndexOf = Callable[[str], FunctionIndex]
ProblemsOf = Callable[[str], tuple[str, ...]]


def only(index: FunctionIndex) -> IndexedFunction:
    (function,) = index.functions
    return function


def http(index: FunctionIndex) -> HttpTrigger:
    trigger = only(index).trigger
    assert isinstance(trigger, HttpTrigger)
    return trigger


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(
    problems_of: ProblemsOf,
) -> None:
    problems = problems_of(
        """
@orchestration_trigger
async def agen(context):
    yield 1
@activity_trigger
def two(a, b): ...
@route(trigger_arg_name="nope")
def unknown(req): ...
@route
@durable_client
def no_client(req): ...
"""
    )

    assert [problem.split(":")[0] for problem in problems] == ["3", "6", "8", "10"]
    assert "agen: an orchestrator cannot be an async generator" in problems[0]
    assert "two: an activity takes at most one value, but this takes 2 (a, b)" in problems[1]
    assert "unknown: trigger_arg_name='nope' names no parameter" in problems[2]
    assert "no_client: it has no parameter for the client" in problems[3]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("@activity_trigger\ndef f(a):\n    yield a", "an activity cannot be a generator"),
        ("@route\nasync def f(req):\n    yield 1", "an HTTP function cannot be an async generator"),
        ("@orchestration_trigger\ndef f(): ...", "takes its context, but this takes nothing"),
        ("@orchestration_trigger\ndef f(a, b): ...", "nothing gives a value to b"),
        ("@route\ndef f(req, x): ...", "nothing gives a value to x"),
        ("@activity_trigger\ndef f(a, *, b): ...", "at most one value, but this takes 2 (a, b)"),
        ("@activity_trigger(input_name='x')\ndef f(a): ...", "input_name='x' names no parameter"),
        ("@orchestration_trigger(context_name='x')\ndef f(a): ...", "context_name='x'"),
        ("@route\n@durable_client('x')\ndef f(req): ...", "client_name='x' names no parameter"),
        ("@durable_client\ndef f(client): ...", "it has no trigger"),
        ("@function_name('x')\ndef f(client): ...", "it has no trigger"),
        ("@route\n@activity_trigger\ndef f(a): ...", "it has 2 triggers"),
        ("@route\n@route('x')\ndef f(a): ...", "it has 2 triggers"),
        (
            "@orchestration_trigger\n@durable_client\ndef f(context, client): ...",
            "an orchestrator cannot use a client",
        ),
        ("@route('a/{x')\ndef f(req): ...", "its braces do not match"),
        ("@route(methods=['FETCH'])\ndef f(req): ...", "there is no HTTP method FETCH"),
        ("@function_name('say hi')\n@route\ndef f(req): ...", "cannot be the name of a function"),
        ("@route\ndef _f(req): ...", "cannot be the name of a function"),
        ("@route\ndef host(req): ...", "cannot be the name of a function"),
        (f"@route(name={'x' * 129!r})\ndef f(req): ...", "cannot be the name of a function"),
        ("class K:\n    @route\n    def f(self, req): ...", "K.f is a method"),
        ("@entity_trigger\ndef f(): ...", "an entity takes its context, but this takes nothing"),
        ("@entity_trigger\ndef f(context, x): ...", "nothing gives a value to x"),
        ("@entity_trigger('x')\ndef f(context): ...", "context_name='x' names no parameter"),
        ("@entity_trigger\ndef f(context):\n    yield 1", "an entity cannot be a generator"),
        (
            "@entity_trigger\n@durable_client\ndef f(context, client): ...",
            "an entity cannot use a client",
        ),
        (
            "@entity_trigger(entity_name='a@b')\ndef f(context): ...",
            "f: Invalid entity id: the name 'a@b' must not hold '@': choose another entity_name",
        ),
        (
            "@entity_trigger\nclass K:\n    def __init__(self, a): ...\n    def f(self): ...",
            "K: a new entity is made without arguments, but this takes a",
        ),
        ("@entity_trigger\n@entity_trigger\nclass K: ...", "it has 2 triggers"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(
    problems_of: ProblemsOf, source: str, problem: str
) -> None:
    (line,) = problems_of(source)

    assert line.partition(":")[0].isdigit()
    assert problem in line
    assert "\n" not in line
    assert line.endswith(".")


def test_two_orchestrators_may_not_be_called_the_same(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(
        "@orchestration_trigger(orchestration='Run')\ndef a(context): ...\n"
        "@orchestration_trigger\ndef run(context): ...\n"
    )

    assert "another orchestrator, a at" in problem


def test_two_entities_may_not_be_called_the_same(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(
        "@entity_trigger(entity_name='Counter')\ndef a(context): ...\n"
        "@entity_trigger\nclass counter:\n    def get(self): ...\n"
    )

    assert "another entity, a at" in problem


def test_a_mistake_of_an_operation_stands_at_its_line(problems_of: ProblemsOf) -> None:
    problems = problems_of(
        """
@entity_trigger
class Store:
    def __init__(self, owner): ...
    def put(self, key, value): ...
"""
    )

    assert [problem.split(":")[0] for problem in problems] == ["3", "6"]
    assert "its method put takes 2 (key, value)" in problems[1]


def test_an_entity_is_a_function_or_a_class(index_of: IndexOf) -> None:
    index = index_of(
        """
from dataclasses import dataclass
app = FunctionApp()
@entity_trigger
async def counter(ctx): ...
@app.entity_trigger(context_name="world", entity_name="Bank")
class Account:
    balance: int = 0
    def send(self, world): ...
@dataclass(slots=True)
@app.entity_trigger
class Slotted:
    value: int = 0
    async def get(self): ...
class Better(Account): ...
thing = Account()
"""
    )

    counter, bank, slotted = (index.entity(name) for name in ("COUNTER", "bank", "Slotted"))
    assert counter is not None
    assert bank is not None
    assert slotted is not None
    assert counter.trigger == EntityTrigger(parameter="ctx")
    assert (counter.is_async, counter.entity_class) == (True, None)
    assert bank.trigger == EntityTrigger(entity_name="Bank")
    assert bank.entity_class is not None
    assert bank.entity_class.methods["send"].context == "world"
    assert index.entity(bank.function) is bank
    assert index.entity("Account") is bank
    assert index.entity(type("Better", cast("Any", (bank.function,)), {})) is None
    assert slotted.is_async
    assert "__slots__" in vars(slotted.function)
    assert set(index.entity_names) == {"counter", "Bank", "Slotted"}
    assert len(index.functions) == 3


def test_an_activity_and_an_orchestrator_may_have_one_alias(index_of: IndexOf) -> None:
    index = index_of(
        "@orchestration_trigger(orchestration='Run')\ndef a(context): ...\n"
        "@activity_trigger(activity='Run')\ndef b(): ...\n"
    )

    assert (index.orchestrator_names, index.activity_names) == (("Run",), ("Run",))


def test_a_route_may_be_served_once_for_each_method(problems_of: ProblemsOf) -> None:
    problems = problems_of(
        """
@route("orders/{id}", methods=["GET"])
def a(req): ...
@route("Orders/{key}", methods=["get", "post"])
def b(req): ...
@route("orders/{id}", methods=["DELETE"])
def c(req): ...
@route("orders/{id:int}", methods=["GET"])
def d(req): ...
@route("orders/{id}")
def e(req): ...
"""
    )

    assert [problem.split(": ")[1] for problem in problems] == ["b", "e"]
    assert "served already, by a at" in problems[0]


def test_the_routes_are_checked_by_whoever_serves_them(write_app: WriteApp) -> None:
    def refuse(route: str) -> None:
        raise ValueError(f"'{route}': no stars here.")

    with pytest.raises(IndexingError, match=r"f: the route cannot be read: '\*': no stars here: "):
        build_index([write_app(IMPORTS + "@route('*')\ndef f(req): ...\n")], refuse)


@pytest.mark.parametrize(
    ("source", "parameter"),
    [
        ("def f(client, other: HttpRequest = None, *, req): ...", "req"),
        ("def f(client: DurableClient, request: HttpRequest): ...", "request"),
        ("def f(client, order: 'Order'): ...", "order"),
        ("def f(client): ...", None),
        ("def f(*args, client): ...", "args"),
    ],
)
def test_the_request_goes_to_req_or_by_annotation_or_to_the_first(
    index_of: IndexOf, source: str, parameter: str | None
) -> None:
    assert http(index_of(f"@route\n@durable_client\n{source}\n")).parameter == parameter


@pytest.mark.parametrize(
    ("source", "parameter"),
    [
        ("def f(req, starter: DurableClient, client=1): ...", "starter"),
        ("def f(req, starter: 'DurableClient | None' = None): ...", "starter"),
        ("def f(req, starter: 'Optional[DurableClient]'): ...", "starter"),
        ("def f(req, starter: 'Missing.DurableClient'): ...", "starter"),
        ("def f(req, client): ...", "client"),
        ("def f(client, req): ...", "client"),
        ("def f(req, *, client): ...", "client"),
    ],
)
def test_the_client_goes_by_annotation_or_to_client(
    index_of: IndexOf, source: str, parameter: str
) -> None:
    function = only(index_of(f"@route\n@durable_client\n{source}\n"))

    assert [each.parameter for each in function.client_inputs] == [parameter]


@pytest.mark.parametrize(
    ("source", "parameter"),
    [
        ("def f(): ...", None),
        ("def f(a): ...", "a"),
        ("def f(a=1, b=2): ...", "a"),
        ("def f(a=1, *, b): ...", "b"),
        ("def f(a, b=2): ...", "a"),
        ("def f(*items): ...", "items"),
        ("def f(**more): ...", None),
    ],
)
def test_an_activity_takes_at_most_one_value(
    index_of: IndexOf, source: str, parameter: str | None
) -> None:
    assert only(index_of(f"@activity_trigger\n{source}\n")).trigger.parameter == parameter


def test_an_activity_may_use_a_client(index_of: IndexOf) -> None:
    function = only(index_of("@activity_trigger\n@durable_client\ndef f(client, x): ...\n"))

    assert function.trigger.parameter == "x"
    assert function.client_inputs[0].parameter == "client"


def test_a_named_parameter_may_be_one_of_the_keyword_arguments(index_of: IndexOf) -> None:
    function = only(index_of("@activity_trigger('x')\ndef f(**given):\n    return given\n"))

    assert function.call({"x": 3}) == {"x": 3}


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, /, client):\n    return a, client\n",
        "def f(client, a):\n    return a, client\n",
        "def f(*a, client):\n    return *a, client\n",
        "def f(a, *, client):\n    return a, client\n",
    ],
)
def test_a_function_is_called_by_the_names_of_its_parameters(
    index_of: IndexOf, source: str
) -> None:
    function = only(index_of(f"@activity_trigger\n@durable_client\n{source}"))

    assert function.call({"client": "C", "a": 1}) == (1, "C")


def test_orchestrators_come_in_three_shapes(index_of: IndexOf) -> None:
    index = index_of(
        """
@orchestration_trigger
async def coroutine(context): ...
@orchestration_trigger
def generator(context): yield
@orchestration_trigger
def plain(context): ...
"""
    )

    assert [each.is_async for each in index.functions] == [True, False, False]


def test_annotations_that_do_not_resolve_refuse_nothing(write_app: WriteApp) -> None:
    source = """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from func_bindings import activity_trigger
        if TYPE_CHECKING:
            from pandas import DataFrame

        @activity_trigger
        def summarise(frame: DataFrame, limit: int = 3) -> dict[str, Unknown]: ...

        @activity_trigger
        def count(items: list[int]) -> int: ...
    """
    summarise, count = build_index([write_app(source)]).functions

    assert (summarise.input_type, summarise.result_type) == (Any, Any)
    assert summarise.parameter_types["limit"] is int
    assert (count.input_type, count.result_type) == (list[int], int)
