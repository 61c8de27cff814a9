"""Says hello to three cities, one after the other: the smallest durable orchestration."""

from func_bindings import (
    DurableClient,
    HttpRequest,
    HttpResponse,
    OrchestrationContext,
    activity_trigger,
    durable_client,
    orchestration_trigger,
    route,
)


@activity_trigger
def say_hello(city: str) -> str:
    return f"Hello {city}!"


@orchestration_trigger
async def hello_cities(context: OrchestrationContext) -> list[str]:
    return [await context.call_activity(say_hello, city) for city in ("Tokyo", "Seattle", "London")]


@route("orchestrators/{name}", methods=["POST"])
@durable_client
async def start(request: HttpRequest, client: DurableClient) -> HttpResponse:
    order = request.get_json() if request.get_body() else None
    instance_id = await client.start_new(request.route_params["name"], client_input=order)
    return client.create_check_status_response(request, instance_id)
