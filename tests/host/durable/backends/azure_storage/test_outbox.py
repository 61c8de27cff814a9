"""What a step sends to entities has the same name where the step is done again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from func_host.durable.backend import OutgoingMessage
from func_host.durable.backends.azure_storage.outbox import _repeatable_id
from func_host.durable.backends.azure_storage.recent_messages import is_derived
from func_host.durable.engine.entities import messages
from func_host.durable.history import EventRaised

START = datetime(2026, 1, 1, tzinfo=UTC)


def signal(
    request_id: str, *, target: str = "@counter@c", due: datetime | None = None, later_s: float = 0
) -> OutgoingMessage:
    request = messages.operation(
        id=request_id, op="add", is_signal=True, parent="one", parent_execution="first", due=due
    )
    event = messages.request_event(request, START + timedelta(seconds=later_s))
    return OutgoingMessage(instance_id=target, event=event, visible_at=due)


def test_an_operation_is_named_by_its_request_whenever_it_is_sent() -> None:
    due = START + timedelta(seconds=9)

    first = _repeatable_id(signal("r-1", due=due))
    again = _repeatable_id(signal("r-1", due=due + timedelta(seconds=1), later_s=1))

    assert first is not None
    assert first == again
    assert is_derived(first)


def test_other_requests_and_other_entities_have_other_names() -> None:
    names = {
        _repeatable_id(signal("r-1")),
        _repeatable_id(signal("r-2")),
        _repeatable_id(signal("r-1", target="@counter@d")),
    }

    assert None not in names
    assert len(names) == 3


@pytest.mark.parametrize(
    ("target", "event"),
    [
        ("one", EventRaised(timestamp=START, name="op", input="{}")),
        ("@counter@c", EventRaised(timestamp=START, name="op", input="no request")),
        ("@counter@c", messages.release_event("one", "r", START)),
    ],
    ids=["of an orchestration", "broken", "release"],
)
def test_what_is_no_operation_of_an_entity_gets_a_new_name(target: str, event: EventRaised) -> None:
    assert _repeatable_id(OutgoingMessage(instance_id=target, event=event)) is None
