"""Decorators note what they say and leave the function as it was."""

import functools
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import func_bindings as func
from func_bindings import (
    AuthLevel,
    HttpMethod,
    activity_trigger,
    durable_client,
    durable_client_input,
    entity_trigger,
    function_name,
    http_trigger,
    orchestration_trigger,
    route,
)
from func_bindings.metadata import (
    ActivityTrigger,
    DurableClientInput,
    EntityTrigger,
    FunctionMetadata,
    HttpTrigger,
    OrchestrationTrigger,
    Trigger,
    location_of,
    metadata_of,
)


def noted(function: object) -> FunctionMetadata:
    metadata = metadata_of(function)
    assert metadata is not None
    return metadata


def only_trigger(function: object) -> Trigger:
    (trigger,) = noted(function).triggers
    return trigger


def greet(name: str) -> str:
    """Greet."""
    return f"Hello {name}!"


def fresh() -> Callable[[str], str]:
    def greet(name: str) -> str:
        return f"Hello {name}!"

    return greet


@pytest.mark.parametrize(
    ("decorate", "trigger"),
    [
        (route, HttpTrigger()),
        (route(), HttpTrigger()),
        (route("a/{b}"), HttpTrigger(route="a/{b}")),
        (route(route=""), HttpTrigger(route="")),
        (http_trigger(trigger_arg_name="r"), HttpTrigger(parameter="r")),
        (route(methods=["get", "Post", "GET"]), HttpTrigger(methods=("GET", "POST"))),
        (route(methods="put"), HttpTrigger(methods=("PUT",))),
        (route(methods=(HttpMethod.DELETE,)), HttpTrigger(methods=("DELETE",))),
        (route(auth_level="Anonymous"), HttpTrigger(auth_level=AuthLevel.ANONYMOUS)),
        (route(auth_level=AuthLevel.ADMIN), HttpTrigger(auth_level=AuthLevel.ADMIN)),
        (orchestration_trigger, OrchestrationTrigger()),
        (orchestration_trigger(), OrchestrationTrigger()),
        (orchestration_trigger("ctx"), OrchestrationTrigger(parameter="ctx")),
        (
            orchestration_trigger(context_name="ctx", orchestration="Run"),
            OrchestrationTrigger(parameter="ctx", orchestration="Run"),
        ),
        (activity_trigger, ActivityTrigger()),
        (activity_trigger(), ActivityTrigger()),
        (activity_trigger("x", "Do"), ActivityTrigger(parameter="x", activity="Do")),
        (activity_trigger(input_name="x"), ActivityTrigger(parameter="x")),
        (entity_trigger, EntityTrigger()),
        (entity_trigger(), EntityTrigger()),
        (entity_trigger("c", "Counter"), EntityTrigger(parameter="c", entity_name="Counter")),
        (entity_trigger(context_name="c"), EntityTrigger(parameter="c")),
    ],
)
def test_a_trigger_is_noted_and_the_function_stays_itself(
    decorate: Callable[[Any], Any], trigger: Trigger
) -> None:
    function = fresh()
    signature = inspect.signature(function)

    decorated = decorate(function)

    assert decorated is function
    assert decorated("x") == "Hello x!"
    assert inspect.signature(decorated) == signature
    assert only_trigger(decorated) == trigger


@pytest.mark.parametrize(
    ("decorate", "client_input"),
    [
        (durable_client, DurableClientInput()),
        (durable_client(), DurableClientInput()),
        (durable_client_input(client_name="c"), DurableClientInput(parameter="c")),
        (
            durable_client_input("c", "Hub", "Storage"),
            DurableClientInput(parameter="c", task_hub="Hub", connection_name="Storage"),
        ),
    ],
)
def test_a_client_is_noted(
    decorate: Callable[[Any], Any], client_input: DurableClientInput
) -> None:
    assert noted(decorate(fresh())).client_inputs == (client_input,)


def test_decorators_may_be_stacked_in_any_order() -> None:
    decorators = [route("a"), durable_client, function_name("Given")]

    for order in itertools.permutations(decorators):
        function = fresh()
        for decorate in order:
            assert decorate(function) is function

        metadata = noted(function)
        assert metadata.triggers == (HttpTrigger(route="a"),)
        assert metadata.client_inputs == (DurableClientInput(),)
        assert metadata.function_name == "Given"


@pytest.mark.parametrize(
    "decorator", [route, orchestration_trigger, activity_trigger, entity_trigger]
)
def test_a_trigger_may_name_the_function_too(decorator: Callable[..., Any]) -> None:
    assert noted(decorator(name="Given")(fresh())).function_name == "Given"


def test_the_place_is_that_of_the_function() -> None:
    metadata = noted(activity_trigger(greet))

    assert metadata.location.file == __file__
    assert metadata.location.line == inspect.getsourcelines(greet)[1]
    assert str(metadata.location) == f"{__file__}:{metadata.location.line}"


def test_partials_and_objects_with_a_call_can_be_decorated() -> None:
    class Greeter:
        def __call__(self, name: str) -> str:
            return f"Hello {name}!"

    greeter = activity_trigger(Greeter())
    partial = activity_trigger(functools.partial(greet))

    assert greeter("x") == partial("x") == "Hello x!"
    assert only_trigger(greeter) == only_trigger(partial) == ActivityTrigger()
    assert location_of(greeter).file == location_of(partial).file == __file__


@pytest.mark.parametrize("thing", [int, "text", None, 3, len])
def test_what_is_no_function_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"decorate"):
        activity_trigger()(thing)


def test_a_class_is_refused_when_decorated_bare() -> None:
    with pytest.raises(TypeError, match="this is class Greeter: decorate a function"):

        @activity_trigger
        class Greeter:
            pass


def test_a_class_can_be_an_entity_and_stays_the_plain_class() -> None:
    @dataclass
    class Counter:
        value: int = 0

        def add(self, amount: int) -> int:
            self.value += amount
            return self.value

    for decorate in (entity_trigger, entity_trigger(entity_name="counts", name="Given")):
        decorated = decorate(Counter)

        assert decorated is Counter
        assert decorated().add(2) == 2

    assert noted(Counter).triggers == (EntityTrigger(), EntityTrigger(entity_name="counts"))
    assert noted(Counter).function_name == "Given"
    assert noted(Counter).location.file == __file__
    assert noted(Counter).location.line == inspect.getsourcelines(Counter)[1]


def test_a_subclass_and_an_object_of_an_entity_class_are_not_decorated() -> None:
    class Counter: ...

    entity_trigger(Counter)

    class Better(Counter): ...

    assert metadata_of(Better) is None
    assert metadata_of(Counter()) is None
    assert noted(entity_trigger(Better)).triggers == (EntityTrigger(),)


@pytest.mark.parametrize("decorate", [route, activity_trigger, orchestration_trigger])
def test_an_entity_class_takes_no_other_trigger(decorate: Callable[[Any], Any]) -> None:
    class Counter: ...

    with pytest.raises(TypeError, match="class Counter: decorate a function"):
        decorate(entity_trigger(Counter))


def test_an_entity_class_can_be_named_and_other_classes_cannot() -> None:
    class Counter: ...

    assert noted(function_name("Given")(entity_trigger(Counter))).function_name == "Given"
    with pytest.raises(TypeError, match="class dict: decorate a function"):
        function_name("Given")(dict)


def test_a_class_without_a_file_has_a_place_all_the_same() -> None:
    scope: dict[str, Any] = {"__name__": "nowhere"}
    exec("class Counter: ...", scope)  # noqa: S102 -- a class that no file holds

    assert noted(entity_trigger(scope["Counter"])).location.file == "?"
    with pytest.raises(TypeError, match="takes no attributes"):
        entity_trigger(int)


def test_function_name_needs_a_name() -> None:
    with pytest.raises(TypeError, match=r"write @function_name\('hello'\)"):
        function_name(greet)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_an_auth_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="one of ANONYMOUS, FUNCTION, ADMIN"):
        route(auth_level="nobody")


def test_a_wrapper_made_with_wraps_carries_what_was_said() -> None:
    function = activity_trigger(fresh())

    @functools.wraps(function)
    def wrapper(name: str) -> str:
        return function(name)

    assert metadata_of(wrapper) == metadata_of(function)


def test_nothing_is_known_of_plain_functions_and_odd_objects() -> None:
    class Odd:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

    assert metadata_of(fresh()) is None
    assert metadata_of(Odd()) is None
    assert metadata_of(Odd) is None
    assert metadata_of(3) is None


def test_azures_spelling_works() -> None:
    assert func.FunctionApp is not func.Blueprint
    assert func.AuthLevel.ANONYMOUS is AuthLevel.ANONYMOUS
    assert func.HttpResponse("x").get_body() == b"x"
