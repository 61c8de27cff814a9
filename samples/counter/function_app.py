"""Counts: the smallest entity, as a class and once more as a function."""

from dataclasses import dataclass

from func_bindings import (
    DurableClient,
    EntityContext,
    EntityId,
    HttpRequest,
    HttpResponse,
    durable_client,
    entity_trigger,
    route,
)


@entity_trigger
@dataclass
class Counter:
    value: int = 0

    def add(self, amount: int = 1) -> int:
        self.value += amount
        return self.value


@entity_trigger
def tally(context: EntityContext) -> None:
    match context.operation_name:
        case "add":
            value = context.get_state(int) + context.get_input(int)
            context.set_state(value)
            context.set_result(value)
        case "delete":
            context.destruct_on_exit()
        case unknown:
            raise ValueError(f"a tally has no operation '{unknown}': it has add and delete")


@route("counts/{entity:regex(^(counter|tally)$)}/{key}", methods=["POST"])
@durable_client
async def add_to_count(request: HttpRequest, client: DurableClient) -> HttpResponse:
    # Whoever got no answer asks again with the same key, and it is added once.
    await client.signal_entity(
        _entity_of(request),
        "add",
        request.get_json(),
        operation_id=request.headers.get("Idempotency-Key"),
    )
    return HttpResponse(status_code=202)


@route("counts/{entity:regex(^(counter|tally)$)}/{key}", methods=["GET"])
@durable_client
async def read_count(request: HttpRequest, client: DurableClient) -> object:
    found = await client.read_entity_state(_entity_of(request))
    return found.entity_state if found.entity_exists else HttpResponse(status_code=404)


def _entity_of(request: HttpRequest) -> EntityId:
    return EntityId(request.route_params["entity"], request.route_params["key"])
