"""What a batch of operations leaves behind: by its commit, and by the plain interpreter."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from func_host.durable.history import EventRaised, ExecutionStarted
from tests.simulation.endings import NOT_FOUND, UNHEARD_TEXT, failure_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.durable.backend import Commit, OutgoingMessage
    from tests.simulation.entity_model import Effect


@dataclass(slots=True, eq=False)
class Sent:
    """A request that is durable and waits to be done: an operation, or a lock (without input).

    What stands in one line is done in order; what is delayed stands in none, and has a time.
    """

    key: str
    request: dict[str, Any]
    entity: str
    sender: str
    input: dict[str, Any]
    line: tuple[str, str, str]
    arrives_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ran:
    """Operations that ran and are about to be committed."""

    keys: Sequence[str]
    began_at: datetime
    ended_at: datetime


@dataclass(slots=True)
class Sayings:
    """What a batch answers, signals and starts."""

    answers: list[Any] = field(default_factory=list[Any])
    signals: list[Any] = field(default_factory=list[Any])
    starts: list[Any] = field(default_factory=list[Any])

    def add(self, sent: Sent, effect: Effect) -> None:
        """Add what the model says of one operation."""
        if not sent.request.get("signal", False):
            self.answers.append(_addressed(sent.request, _answer(sent, effect)))
        self.signals += [(told.entity, told.name, told.value) for told in effect.told]
        if effect.launched is not None:
            launched = effect.launched
            self.starts.append((launched.program, launched.instance_id, launched.value))

    def add_refused(self, request: dict[str, Any]) -> None:
        """Add the answer to a call of an entity that is not there."""
        answer = {"result": UNHEARD_TEXT, "exceptionType": NOT_FOUND}
        self.answers.append(_addressed(request, answer))


def _addressed(request: dict[str, Any], answer: dict[str, Any]) -> Any:
    return request["parent"], request["parentExecution"], request["id"], answer


def _answer(sent: Sent, effect: Effect) -> dict[str, Any]:
    if effect.failure is None:
        return {"result": json.dumps(effect.result, separators=(",", ":"))}
    reason = failure_reason(sent.entity, sent.request["op"], effect.failure)
    return {"result": reason, "exceptionType": "ValueError"}


@dataclass(slots=True)
class Outbox:
    """The messages of an entity's commit, read: requests go with what carries them."""

    said: Sayings = field(default_factory=Sayings)
    signals: list[tuple[OutgoingMessage, dict[str, Any]]] = field(default_factory=list[Any])
    forwarded: list[tuple[OutgoingMessage, dict[str, Any]]] = field(default_factory=list[Any])
    events: list[tuple[OutgoingMessage, dict[str, Any]]] = field(default_factory=list[Any])


def read_outbox(commit: Commit) -> Outbox:
    """Read what a commit sends: signals, locks that are passed on, and answers of any kind."""
    outbox = Outbox()
    for out in commit.outbox:
        event = out.event
        if isinstance(event, ExecutionStarted):
            start = event.name, out.instance_id, json.loads(event.input or "null")
            outbox.said.starts.append(start)
            continue
        assert isinstance(event, EventRaised)
        value = json.loads(event.input or "null")
        if value.get("lockset") is not None:
            outbox.forwarded.append((out, value))
        elif out.instance_id.startswith("@"):
            outbox.signals.append((out, value))
        else:
            outbox.events.append((out, value))
    return outbox


def is_in_time(out: OutgoingMessage, due: str | None, delay_s: float | None, ran: Ran) -> bool:
    """Tell whether a signal that a batch sends is to be done when its operation has said."""
    if due is None or delay_s is None:
        return due is None and delay_s is None and out.visible_at is None
    delay, moment = timedelta(seconds=delay_s), datetime.fromisoformat(due)
    return out.visible_at == moment and ran.began_at + delay <= moment <= ran.ended_at + delay
