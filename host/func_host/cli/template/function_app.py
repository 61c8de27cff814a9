"""An orchestration of three steps, and the HTTP function that starts it."""

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
    """Do one step of work: runs at least once, and not again once its result is stored."""
    return f"Hello {city}!"


@orchestration_trigger
async def hello_cities(context: OrchestrationContext) -> list[str]:
    """Decide what comes next: survives a crash at any point."""
    return [await context.call_activity(say_hello, city) for city in ("Tokyo", "Seattle", "London")]


@route("hello", methods=["POST"])
@durable_client
async def start_hello(request: HttpRequest, client: DurableClient) -> HttpResponse:
    """Start the orchestration and answer with the URLs to watch it."""
    instance_id = await client.start_new(hello_cities)
    return client.create_check_status_response(request, instance_id)
