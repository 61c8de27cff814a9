"""Functions by kind and by name."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from func_bindings.metadata import ActivityTrigger, OrchestrationTrigger, SourceLocation, Trigger
from func_host.indexing import FunctionIndex, IndexedFunction


def indexed(function: Callable[..., Any], trigger: Trigger, name: str = "") -> IndexedFunction:
    return IndexedFunction(
        name=name or function.__name__,
        function=function,
        trigger=trigger,
        client_inputs=(),
        location=SourceLocation("function_app.py", 1),
        app="shop",
        app_dir=Path("shop"),
        is_async=False,
    )


def pay() -> None: ...


def ship() -> None: ...


def test_the_alias_wins_then_the_name_then_pythons_name() -> None:
    renamed = indexed(ship, ActivityTrigger(), "pay_later")
    aliased = indexed(pay, ActivityTrigger(activity="Charge"), "settle")
    index = FunctionIndex([renamed, aliased])

    assert index.activity("charge") is aliased
    assert index.activity("SETTLE") is aliased
    assert index.activity("pay") is aliased
    assert index.activity("ship") is renamed
    assert index.activity("Pay_Later") is renamed
    assert index.activity_names == ("pay_later", "Charge")


def test_a_python_name_gives_way_to_a_given_one() -> None:
    first = indexed(pay, ActivityTrigger(), "one")
    second = indexed(ship, ActivityTrigger(activity="pay"), "two")

    assert FunctionIndex([first, second]).activity("pay") is second


def test_a_python_name_of_two_functions_finds_neither() -> None:
    functions = [indexed(pay, ActivityTrigger(), name) for name in ("one", "two")]

    assert FunctionIndex(functions).activity("pay") is None


def test_a_function_is_found_by_itself_and_by_what_it_wraps() -> None:
    @wraps(pay)
    def wrapper() -> None:
        pay()

    found = indexed(wrapper, ActivityTrigger(), "paying")
    index = FunctionIndex([found])

    assert index.activity(wrapper) is found
    assert index.activity(pay) is found
    assert index.activity(ship) is None


def test_kinds_do_not_mix() -> None:
    index = FunctionIndex(
        [indexed(pay, ActivityTrigger()), indexed(ship, OrchestrationTrigger(parameter="context"))]
    )

    assert index.orchestrator("pay") is None
    assert index.orchestrator(pay) is None
    assert index.activity("ship") is None
    assert index.orchestrator_names == ("ship",)
