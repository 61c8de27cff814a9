# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What the type checkers infer of an app: this file is checked, never run.

A comment that ignores an error must be needed, so each one states what is refused.
"""

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

import func_bindings as func
from func_bindings import (
    CriticalSection,
    DurableClient,
    EntityContext,
    EntityId,
    EntityProxy,
    FunctionApp,
    HttpRequest,
    HttpResponse,
    OrchestrationContext,
    RetryOptions,
    Task,
    activity_trigger,
    durable_client,
    entity_trigger,
    function_name,
    orchestration_trigger,
    route,
)

app = FunctionApp(http_auth_level="anonymous")
blueprint = func.Blueprint()
app.register_functions(blueprint)


@dataclass
class Order:
    name: str


@activity_trigger
def bare(city: str) -> str:
    return city


@activity_trigger(input_name="city", activity="Called")
def called(city: str) -> int:
    return len(city)


@activity_trigger
async def asynchronous(order: Order) -> Order:
    return order


@activity_trigger()
async def asynchronous_called(order: Order) -> list[Order]:
    return [order]


@activity_trigger
def untyped_content(order: Order) -> dict[str, Any]:
    return {"name": order.name}


@app.function_name("Renamed")
@app.activity_trigger(input_name="order")
def of_app(order: Order) -> Order | None:
    return order


@blueprint.activity_trigger
def of_blueprint() -> None: ...


@orchestration_trigger
async def child(context: OrchestrationContext) -> Order:
    return context.get_input(Order)


@app.orchestration_trigger(context_name="context")
def generator_child(context: OrchestrationContext) -> Generator[Task[Any], Any, Order]:
    yield context.create_timer(timedelta(days=1))
    return Order("x")


@orchestration_trigger
def plain_child(context: OrchestrationContext) -> Order:
    return context.get_input(Order)


@function_name("start")
@route("start/{name}", methods=["POST"], auth_level="function")
@durable_client
async def start(request: HttpRequest, client: DurableClient) -> HttpResponse:
    assert_type(request.route_params["name"], str)
    instance_id = await client.start_new(child, client_input=request.get_json())
    assert_type(instance_id, str)
    return client.create_check_status_response(request, instance_id)


# A decorated function stays what it was, bare and called, free and of an app object.
assert_type(bare("x"), str)
assert_type(called("x"), int)
assert_type(of_app(Order("x")), Order | None)
assert_type(of_blueprint(), None)
calls: Callable[[Order], Coroutine[Any, Any, list[Order]]] = asynchronous_called
starts: Callable[[HttpRequest, DurableClient], Coroutine[Any, Any, HttpResponse]] = start


@entity_trigger
class Counter:
    value: int = 0

    def add(self, amount: int) -> int:
        return amount


@app.entity_trigger(entity_name="Named")
@dataclass
class OfApp:
    value: int = 0


@blueprint.entity_trigger(context_name="context")
def entity_function(context: EntityContext) -> None:
    assert_type(context.get_state(lambda: 0), int)
    assert_type(context.get_state(expected_type=Order), Order | None)
    assert_type(context.get_input(int), int)
    assert_type(context.get_input(), Any)
    context.signal_entity(EntityId("Counter", "a"), "add", 1, at=timedelta(1))
    assert_type(context.start_new(child), str)


assert_type(Counter().add(1), int)
assert_type(OfApp(3), OfApp)
bare(city="x")
bare(town="x")  # type: ignore[call-arg]
bare(3)  # type: ignore[arg-type]


@orchestration_trigger
async def calls_activities(context: OrchestrationContext) -> None:
    retry = RetryOptions(1000, 3)
    assert_type(await context.call_activity(bare, "x"), str)
    assert_type(await context.call_activity(called, "x", retry=retry), int)
    assert_type(await context.call_activity(asynchronous, Order("x")), Order)
    assert_type(await context.call_activity(asynchronous_called, Order("x")), list[Order])
    assert_type(await context.call_activity(of_app, Order("x")), Order | None)
    assert_type(await context.call_activity(untyped_content, Order("x")), dict[str, Any])
    assert_type(await context.call_activity("bare", "x"), Any)
    assert_type(await context.call_activity("bare", "x", str), str)
    assert_type(await context.call_activity("bare", expected_type=Order), Order)
    assert_type(await context.call_activity_with_retry(called, retry, "x"), int)
    assert_type(await context.call_activity_with_retry(asynchronous, retry, 1), Order)
    wrong: int = await context.call_activity(bare, "x")  # type: ignore[arg-type]
    del wrong


@orchestration_trigger
async def calls_children(context: OrchestrationContext) -> None:
    assert_type(await context.call_sub_orchestrator(child, Order("x")), Order)
    assert_type(await context.call_sub_orchestrator(generator_child), Order)
    assert_type(await context.call_sub_orchestrator("child"), Any)
    assert_type(await context.call_sub_orchestrator("child", expected_type=Order), Order)
    assert_type(await context.call_sub_orchestrator(plain_child), Order)
    retry = RetryOptions(1000, 3)
    assert_type(await context.call_sub_orchestrator(child, retry=retry), Order)
    assert_type(await context.call_sub_orchestrator_with_retry(generator_child, retry), Order)
    assert_type(await context.call_sub_orchestrator_with_retry("child", retry), Any)


@orchestration_trigger
async def composes(context: OrchestrationContext) -> None:
    tasks = [context.call_activity(bare, city) for city in ("a", "b")]
    assert_type(tasks, list[Task[str]])
    assert_type(await context.task_all(tasks), list[str])
    assert_type(await context.when_any(tasks), Task[str])
    assert_type(await (await context.task_any(tasks)), str)
    assert_type(await context.wait_for_external_event("Done"), Any)
    assert_type(await context.wait_for_external_event("Done", Order), Order)
    assert_type(await context.create_timer(timedelta(1)), None)
    assert_type(context.get_input(), Any)
    assert_type(context.get_input(Order), Order)
    tasks[0].no_such_attribute  # type: ignore[attr-defined]  # noqa: B018


@orchestration_trigger
async def calls_entities(context: OrchestrationContext) -> None:
    counter = EntityId("Counter", "a")
    assert_type(await context.call_entity(counter, "add", 1), Any)
    assert_type(await context.call_entity(counter, "get", None, Order), Order)
    assert_type(await context.call_entity(counter, "get", expected_type=Order), Order)
    assert_type(await context.signal_entity(counter, "add", 1, at=timedelta(1)), None)
    async with await context.lock(counter) as section:
        assert_type(section, CriticalSection)
    assert_type(context.locked_entities, tuple[EntityId, ...])
    assert_type(await context.entity("Named", "a").anything(1), Any)
    assert_type(context.entity(entity_function, "a"), EntityProxy[Any])


class Basket:
    def count(self) -> int:
        return 0

    async def put(self, order: Order) -> list[Order]:
        return [order]

    def told_first(self, context: EntityContext, amount: int) -> str:
        return f"{context.entity_key}{amount}"

    def told_last(self, amount: int, context: EntityContext) -> str:
        return f"{context.entity_key}{amount}"

    async def told(self, context: EntityContext) -> str:
        return context.entity_key


@orchestration_trigger
async def calls_proxies(context: OrchestrationContext) -> None:
    basket = context.entity(Basket, "a")
    assert_type(basket, EntityProxy[Basket])
    assert_type(await basket.put(Order("x")), Any)
    assert_type(await basket.call(Basket.count), int)
    assert_type(await basket.call(Basket.put, Order("x")), list[Order])
    assert_type(await basket.call(Basket.put, order=Order("x")), list[Order])
    assert_type(await basket.call(Basket.told), str)
    assert_type(await basket.call(Basket.told_first, 1), str)
    assert_type(await basket.call("count"), Any)
    assert_type(basket.signal(Basket.put, Order("x"), at=timedelta(1)), Task[None])
    assert_type(basket.signal(Basket.count), Task[None])
    assert_type(basket.signal(Basket.told), Task[None])
    assert_type(basket.signal(Basket.told_first, 1), Task[None])
    assert_type(basket.signal(Basket.told_last, 1), Task[None])
    assert_type(basket.signal("put", Order("x")), Task[None])
    basket.call(Basket.put, 1)  # type: ignore[call-overload]
    basket.signal(Basket.put, 1)  # type: ignore[arg-type]
    basket.signal(Counter.add, 1)  # type: ignore[arg-type]
