"""A recorder of what clients, orchestrations and entities send to it, each in an order of its own.

Every fourth note of a sender is sent for later: those are due in another order than they are sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from func_bindings import (
    DurableClient,
    EntityContext,
    EntityId,
    HttpRequest,
    HttpResponse,
    OrchestrationContext,
    activity_trigger,
    durable_client,
    entity_trigger,
    orchestration_trigger,
    route,
)

DELAYS_S = (1.5, 0.5, 2.0, 1.0)


@dataclass
class Plan:
    """So many notes of one sender to one recorder; an execution sends so many of them."""

    sender: str
    recorder: str
    count: int
    each: int = 15
    begin: int = 0


def due_of(number: int, now: datetime) -> datetime | None:
    """Say when a note is due; None at once."""
    if number % 4 != 3:
        return None
    return now + timedelta(seconds=DELAYS_S[number // 4 % len(DELAYS_S)])


def note_of(sender: str, number: int, due: datetime | None) -> dict[str, Any]:
    """Give a note as it is sent."""
    return {"sender": sender, "number": number, "due": None if due is None else due.timestamp()}


@entity_trigger
@dataclass
class Recorder:
    """Keeps what it is sent in the order in which it is done."""

    notes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def record(self, note: dict[str, Any], context: EntityContext) -> None:
        """Note it, and when."""
        self.notes.append({**note, "at": context.current_utc_datetime.timestamp()})


@entity_trigger
@dataclass
class Relay:
    """Sends its notes, some with each operation, and asks itself for the next."""

    sent: int = 0

    def send(self, plan: dict[str, Any], context: EntityContext) -> None:
        """Send five, and go on until all are sent."""
        todo = Plan(**plan)
        for number in range(self.sent, min(self.sent + 5, todo.count)):
            due = due_of(number, context.current_utc_datetime)
            recorder = EntityId("Recorder", todo.recorder)
            context.signal_entity(recorder, "record", note_of(todo.sender, number, due), at=due)
            self.sent = number + 1
        if self.sent < todo.count:
            context.signal_entity(context.entity_id, "send", plan)


@activity_trigger
def rest(number: int) -> int:
    """Let an orchestration be stored between its signals."""
    return number


@orchestration_trigger
async def send_notes(context: OrchestrationContext) -> None:
    """Send notes, three with each step."""
    plan = Plan(**context.get_input())
    end = min(plan.begin + plan.each, plan.count)
    for number in range(plan.begin, end):
        due = due_of(number, context.current_utc_datetime)
        recorder = EntityId("Recorder", plan.recorder)
        context.signal_entity(recorder, "record", note_of(plan.sender, number, due), at=due)
        if number % 3 == 2:
            await context.call_activity(rest, number)
    if end < plan.count:
        context.continue_as_new(replace(plan, begin=end))


@route("notes/{recorder}", methods=["POST"])
@durable_client
async def note(request: HttpRequest, client: DurableClient) -> HttpResponse:
    """Send a note of a client, maybe for later."""
    sent = request.get_json()
    await client.signal_entity(
        EntityId("Recorder", request.route_params["recorder"]),
        "record",
        sent,
        at=None if sent["due"] is None else datetime.fromtimestamp(sent["due"], UTC),
        operation_id=request.headers.get("Idempotency-Key"),
    )
    return HttpResponse(status_code=202)
