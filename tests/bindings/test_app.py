"""App objects collect the functions that are decorated through them."""

import functools
from typing import Any

import pytest

from func_bindings import AuthLevel, Blueprint, FunctionApp, durable_client
from func_bindings.metadata import (
    ActivityTrigger,
    DurableClientInput,
    EntityTrigger,
    FunctionMetadata,
    HttpTrigger,
    OrchestrationTrigger,
    metadata_of,
)


def said_of(function: object) -> FunctionMetadata:
    metadata = metadata_of(function)
    assert metadata is not None
    return metadata


@pytest.mark.parametrize("app", [FunctionApp(), Blueprint()])
def test_the_decorators_are_methods_bare_and_called(app: Blueprint) -> None:
    @app.route
    def a(req: object) -> None: ...

    @app.route(route="b", methods=["GET"], auth_level="admin")
    @app.durable_client_input(client_name="client")
    def b(req: object, client: object) -> None: ...

    @app.function_name("C")
    @app.http_trigger(trigger_arg_name="req")
    @app.durable_client
    def c(req: object, client: object) -> None: ...

    @app.orchestration_trigger
    def d(context: object) -> None: ...

    @app.orchestration_trigger(context_name="context", orchestration="E")
    def e(context: object) -> None: ...

    @app.activity_trigger
    def f(x: object) -> None: ...

    @app.activity_trigger(input_name="x", activity="G", name="g2")
    def g(x: object) -> None: ...

    @app.entity_trigger
    class H: ...

    @app.entity_trigger(context_name="context", entity_name="I")
    def i(context: object) -> None: ...

    assert list(app.functions) == [a, b, c, d, e, f, g, H, i]
    noted = [said_of(each) for each in app.functions]
    assert [each.triggers for each in noted] == [
        (HttpTrigger(),),
        (HttpTrigger(route="b", methods=("GET",), auth_level=AuthLevel.ADMIN),),
        (HttpTrigger(parameter="req"),),
        (OrchestrationTrigger(),),
        (OrchestrationTrigger(parameter="context", orchestration="E"),),
        (ActivityTrigger(),),
        (ActivityTrigger(parameter="x", activity="G"),),
        (EntityTrigger(),),
        (EntityTrigger(parameter="context", entity_name="I"),),
    ]
    names = [each.function_name for each in noted]
    assert names == [None, None, "C", None, None, None, "g2", None, None]
    assert all(each.owner is app for each in noted)


def test_both_styles_mix_in_any_order() -> None:
    app = FunctionApp()

    @durable_client
    @app.route
    def a(req: object, client: object) -> None: ...

    @app.route
    @durable_client
    def b(req: object, client: object) -> None: ...

    for function in app.functions:
        metadata = said_of(function)
        assert metadata.client_inputs == (DurableClientInput(),)
        assert metadata.triggers == (HttpTrigger(),)
    assert app.functions == (a, b)


def test_the_functions_of_blueprints_come_after_the_apps_own() -> None:
    app, blueprint, other = FunctionApp(), Blueprint(), Blueprint()
    app.register_functions(blueprint)
    app.register_blueprint(other)
    app.register_functions(blueprint)

    @blueprint.activity_trigger
    def late() -> None: ...

    @app.activity_trigger
    def own() -> None: ...

    @other.activity_trigger
    def another() -> None: ...

    assert app.functions == (own, late, another)
    assert app.blueprints == (blueprint, other)


@pytest.mark.parametrize("thing", [FunctionApp(), "blueprint", None])
def test_only_blueprints_can_be_registered(thing: Any) -> None:
    with pytest.raises(TypeError, match="register_functions takes a Blueprint, not "):
        FunctionApp().register_functions(thing)


@pytest.mark.parametrize("level", ["anonymous", "ANONYMOUS", "Anonymous", AuthLevel.ANONYMOUS])
def test_the_auth_level_is_given_as_enum_or_text_in_any_case(level: AuthLevel | str) -> None:
    assert FunctionApp(http_auth_level=level).auth_level is AuthLevel.ANONYMOUS


def test_the_auth_level_is_function_unless_given() -> None:
    assert FunctionApp().auth_level is AuthLevel.FUNCTION


def test_a_wrapper_between_the_decorators_takes_the_place_of_what_it_wraps() -> None:
    app = FunctionApp()

    @app.activity_trigger
    def inner(x: int) -> int:
        return x

    @app.function_name("Outer")
    @functools.wraps(inner)
    def outer(x: int) -> int:
        return inner(x) * 2

    assert app.functions == (outer,)


def test_a_decorator_that_is_not_served_says_what_is() -> None:
    app: Any = FunctionApp()

    with pytest.raises(AttributeError, match=r"'timer_trigger': this version .* serves route, "):
        app.timer_trigger(schedule="0 * * * * *")
    with pytest.raises(AttributeError, match=r"has no attribute 'rout'$"):
        _ = app.rout
