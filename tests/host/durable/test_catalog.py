"""The functions of the app by name, as the durable part asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import func_bindings
from func_bindings.metadata import EntityTrigger, SourceLocation
from func_host.durable import catalog as module
from func_host.durable.catalog import AppCatalog
from func_host.indexing.entity_classes import read_entity_class
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from tests.host.durable.worker.world import index_of

if TYPE_CHECKING:
    from func_bindings import OrchestrationContext


def say_hello(value: str) -> str:
    return f"Hello {value}!"


def shop(context: OrchestrationContext) -> Any:
    return context


def stranger() -> None: ...


class Counter:
    def add(self, amount: int) -> int:
        return amount


@pytest.fixture
def entities() -> AppCatalog:
    def indexed(function: Any, alias: str | None, **more: Any) -> IndexedFunction:
        return IndexedFunction(
            name=function.__name__,
            function=function,
            trigger=EntityTrigger(entity_name=alias),
            client_inputs=(),
            location=SourceLocation(__file__, 1),
            app="app",
            app_dir=Path(),
            is_async=False,
            **more,
        )

    counter = indexed(Counter, "Counts", entity_class=read_entity_class(Counter)[0])
    return AppCatalog(FunctionIndex([counter, indexed(shop, None)]))


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


def test_entities_are_found_by_name_function_or_class(entities: AppCatalog) -> None:
    counter = entities.entity("COUNTS")

    assert counter is not None
    assert entities.entity(Counter) is counter
    assert entities.entity("shop") is entities.entity(shop)
    assert entities.entity("nobody") is None
    assert list(entities.entity_names) == ["Counts", "shop"]
    assert entities.entity_name(Counter) == "Counts"
    assert entities.entity_name("Anything") == "Anything"
    assert entities.activity("Counts") is None


@pytest.mark.parametrize("thing", [stranger, str, type("Better", (Counter,), {})])
def test_what_is_no_entity_is_refused_with_the_remedy(entities: AppCatalog, thing: Any) -> None:
    with pytest.raises(TypeError, match="not an entity of this app: decorate it with @entity_tr"):
        entities.entity_name(thing)


def test_the_result_type_of_an_operation_is_that_of_the_method(entities: AppCatalog) -> None:
    assert entities.entity_result_type("counts", "ADD") is int
    assert entities.entity_result_type("counts", "nothing") is Any
    assert entities.entity_result_type("shop", "add") is Any
    assert entities.entity_result_type("nobody", "add") is Any


def test_the_result_type_of_what_is_unknown_is_anything(catalog: AppCatalog) -> None:
    assert catalog.activity_result_type("nobody") is Any
    assert catalog.orchestrator_result_type("nobody") is Any


def test_frames_of_the_host_are_not_the_users(catalog: AppCatalog) -> None:
    assert catalog.is_user_file(__file__)
    assert not catalog.is_user_file(module.__file__)
    assert not catalog.is_user_file(func_bindings.__file__)
