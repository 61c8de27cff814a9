"""Asks a person and takes silence for an answer too: an external event against a timeout."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from func_bindings import (
    DurableClient,
    FunctionApp,
    HttpRequest,
    HttpResponse,
    OrchestrationContext,
)

app = FunctionApp()


@dataclass(frozen=True)
class ApprovalRequest:
    """What somebody wants, and how long the manager has to answer."""

    requester: str
    subject: str
    timeout_s: float = 72 * 3600


@dataclass(frozen=True)
class Decision:
    """The manager's answer: the data of the event `Decision`."""

    approved: bool
    comment: str = ""


@app.activity_trigger(input_name="request")
def ask_manager(request: ApprovalRequest) -> str:
    # A real one would send a mail that links to the URL below.
    return f"{request.requester} asks for: {request.subject}"


@app.activity_trigger(input_name="outcome")
def tell_requester(outcome: str) -> str:
    return f"Your request was {outcome}."


@app.orchestration_trigger(context_name="context")
def approval(context: OrchestrationContext) -> Generator[Any, Any, str]:
    request = context.get_input(ApprovalRequest)
    question = yield context.call_activity(ask_manager, request)
    context.set_custom_status(question)

    decision = context.wait_for_external_event("Decision", Decision)
    deadline = context.create_timer(timedelta(seconds=request.timeout_s))
    winner = yield context.task_any([decision, deadline])
    if winner is decision:
        deadline.cancel()
        outcome = "approved" if decision.result.approved else "rejected"
    else:
        outcome = "escalated, because nobody answered in time"

    return (yield context.call_activity(tell_requester, outcome))


@app.route(route="approvals/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_approval(request: HttpRequest, client: DurableClient) -> HttpResponse:
    instance_id = await client.start_new(approval, request.route_params["id"], request.get_json())
    return client.create_check_status_response(request, instance_id)


@app.route(route="approvals/{id}/decision", methods=["POST"])
@app.durable_client_input(client_name="client")
async def decide(request: HttpRequest, client: DurableClient) -> HttpResponse:
    instance_id = request.route_params["id"]
    await client.raise_event(instance_id, "Decision", request.get_json())
    return await client.wait_for_completion_or_create_check_status_response(request, instance_id)
