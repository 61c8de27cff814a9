"""Waits for a file to arrive and to stop growing: timers, and a fresh start after every look."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

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


@dataclass(frozen=True)
class Watch:
    """What to watch, and what was seen so far: the input of one look, and of the next."""

    path: str
    interval_s: float = 30.0
    looks_left: int = 1_000
    last_size: int | None = None


@activity_trigger
def size_of(path: str) -> int | None:
    file = Path(path)
    return file.stat().st_size if file.is_file() else None


@orchestration_trigger
async def monitor(context: OrchestrationContext) -> str | None:
    watch = context.get_input(Watch)
    size = await context.call_activity(size_of, watch.path)

    if size is not None and size == watch.last_size:
        return f"{watch.path} has arrived: {size} bytes"
    if watch.looks_left <= 1:
        return f"{watch.path} has not arrived"

    context.set_custom_status({"looks_left": watch.looks_left - 1, "last_size": size})
    await context.create_timer(timedelta(seconds=watch.interval_s))
    # Each look has a history of its own, so that watching for a year costs no more than for a day.
    context.continue_as_new(replace(watch, looks_left=watch.looks_left - 1, last_size=size))
    return None


@route("monitors/{id}", methods=["POST"])
@durable_client
async def start_monitor(request: HttpRequest, client: DurableClient) -> HttpResponse:
    instance_id = await client.start_new(monitor, request.route_params["id"], request.get_json())
    return client.create_check_status_response(request, instance_id)


@route("monitors/{id}", methods=["DELETE"])
@durable_client
async def stop_monitor(request: HttpRequest, client: DurableClient) -> HttpResponse:
    await client.terminate(request.route_params["id"], "stopped by a request")
    return HttpResponse(status_code=202)
