"""Which message stays as the claim on an instance."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import Commit, Fence, Message, MessageId, StatusChange
from func_host.durable.backends.azure_storage.claims import ClaimPlan, ClaimStep, plan_claim
from func_host.durable.backends.azure_storage.inbox import Claim
from func_host.durable.backends.azure_storage.tickets import Ticket
from func_host.durable.history import (
    EventRaised,
    ExecutionStarted,
    GenericEvent,
    MessageEvent,
    OrchestrationInstance,
    TimerFired,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TICKET = Ticket(partition=0, queue_id="q", receipt="r", until=0.0)
SPECIFIC = Claim(TICKET, is_generic=False)
GENERIC = Claim(TICKET, is_generic=True)
EVENT = EventRaised(timestamp=NOW, name="go")
TIMER = TimerFired(timestamp=NOW, timer_id=1, fire_at=NOW)
WAKE_UP = GenericEvent(timestamp=NOW)


def start_of(execution_id: str) -> ExecutionStarted:
    return ExecutionStarted(
        timestamp=NOW, orchestration_instance=OrchestrationInstance("one", execution_id), name="f"
    )


def step(
    *,
    open_activities: int = 1,
    started: ExecutionStarted | None = None,
    status: OrchestrationRuntimeStatus = OrchestrationRuntimeStatus.Running,
) -> Commit:
    return Commit(
        instance_id="one",
        fence=Fence("first", 0),
        events=(),
        status=StatusChange(runtime_status=status, last_updated_time=NOW),
        started=started,
        open_activities=open_activities,
    )


def message(event: MessageEvent, number: int = 1, execution_id: str | None = "first") -> Message:
    return Message(MessageId(number), event, execution_id)


def claim_of(commit: Commit, claim: Claim | None, consumed: list[Message]) -> ClaimStep:
    return plan_claim(commit, claim, consumed, is_open=commit.open_activities > 0)


def test_without_activities_in_flight_there_is_no_claim() -> None:
    released = ClaimStep(ClaimPlan.RELEASE)
    assert claim_of(step(open_activities=0), SPECIFIC, [message(TIMER)]) == released
    ended = step(status=OrchestrationRuntimeStatus.Terminated)
    assert claim_of(ended, SPECIFIC, []) == released


def test_a_claim_stays() -> None:
    assert claim_of(step(), SPECIFIC, [message(TIMER)]) == ClaimStep(ClaimPlan.KEEP)


@pytest.mark.parametrize("event", [start_of("first"), TIMER, WAKE_UP])
def test_what_may_come_again_is_kept(event: MessageEvent) -> None:
    messages = [message(EVENT, 1, None), message(event, 2)]
    assert claim_of(step(), None, messages) == ClaimStep(ClaimPlan.ADOPT, MessageId(2))


def test_an_event_is_rewritten() -> None:
    assert claim_of(step(), None, [message(EVENT, 5, None)]) == ClaimStep(
        ClaimPlan.REWRITE, MessageId(5)
    )


def test_a_start_is_the_claim_of_its_own_run() -> None:
    commit = step(started=start_of("first"))
    assert claim_of(commit, None, [message(start_of("first"))]).plan is ClaimPlan.ADOPT


def test_a_claim_that_names_a_run_dies_with_it() -> None:
    commit = step(started=start_of("second"))
    assert claim_of(commit, SPECIFIC, [message(TIMER)]) == ClaimStep(ClaimPlan.PUT)
    assert claim_of(commit, None, [message(start_of("first"))]) == ClaimStep(ClaimPlan.PUT)
    assert claim_of(commit, GENERIC, []) == ClaimStep(ClaimPlan.KEEP)


def test_without_a_message_one_is_put() -> None:
    assert claim_of(step(), None, []) == ClaimStep(ClaimPlan.PUT)
