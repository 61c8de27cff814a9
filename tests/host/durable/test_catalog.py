"""The functions of the app by name, as the durable part asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import func_bindings
from func_host.durable import catalog as module
from func_host.durable.catalog import AppCatalog
from tests.host.durable.worker.world import index_of

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext


def say_hello(value: str) -> str:
    return f"Hello {value}!"


def shop(context: OrchestrationContext) -> Any:
    return context


def stranger() -> None: ...


@pytest.fixture
def catalog() -> AppCatalog:
    return AppCatalog(index_of([shop], [say_hello]))


def test_functions_are_found_without_case(catalog: AppCatalog) -> None:
    activity = catalog.activity("SAY_hello")

    assert activity is not None
    assert activity.name == "say_hello"
    assert catalog.activity("shop") is None
    assert catalog.orchestrator("say_hello") is None


def test_an_orchestrator_is_called_with_its_context_whatever_its_parameter_is_called(
    catalog: AppCatalog,
) -> None:
    orchestrator = catalog.orchestrator("Shop")

    assert orchestrator is not None
    assert orchestrator("the context") == "the context"


def test_names_are_listed_for_messages(catalog: AppCatalog) -> None:
    assert list(catalog.activity_names) == ["say_hello"]
    assert list(catalog.orchestrator_names) == ["shop"]


def test_a_function_gives_its_name_and_a_name_stays_as_it_is(catalog: AppCatalog) -> None:
    assert catalog.activity_name(say_hello) == "say_hello"
    assert catalog.activity_name("Anything") == "Anything"
    assert catalog.orchestrator_name(shop) == "shop"
    assert catalog.orchestrator_name("Anything") == "Anything"


@pytest.mark.parametrize("function", [stranger, shop, print, None, 3])
def test_what_is_no_activity_is_refused_with_the_remedy(catalog: AppCatalog, function: Any) -> None:
    with pytest.raises(TypeError, match="not an activity of this app: decorate it with"):
        catalog.activity_name(function)


@pytest.mark.parametrize("function", [stranger, say_hello])
def test_what_is_no_orchestrator_is_refused_with_the_remedy(
    catalog: AppCatalog, function: Any
) -> None:
    with pytest.raises(TypeError, match="@orchestration_trigger"):
        catalog.orchestrator_name(function)


def test_the_result_type_of_what_is_unknown_is_anything(catalog: AppCatalog) -> None:
    assert catalog.activity_result_type("nobody") is Any
    assert catalog.orchestrator_result_type("nobody") is Any


def test_frames_of_the_host_are_not_the_users(catalog: AppCatalog) -> None:
    assert catalog.is_user_file(__file__)
    assert not catalog.is_user_file(module.__file__)
    assert not catalog.is_user_file(func_bindings.__file__)
