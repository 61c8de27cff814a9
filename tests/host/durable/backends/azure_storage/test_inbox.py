"""What a host holds of its queues."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from func_host.durable.backend import MessageId
from func_host.durable.backends.azure_storage.inbox import Claim, Inbox
from func_host.durable.backends.azure_storage.tickets import Ticket
from func_host.durable.history import EventRaised

EVENT = EventRaised(timestamp=datetime(2026, 1, 1, tzinfo=UTC), name="go")


class Keeper:
    """Knows what is held."""

    def __init__(self) -> None:
        self.held: dict[str, Ticket] = {}

    def hold(self, ticket: Ticket) -> None:
        self.held[ticket.queue_id] = ticket

    def let_go(self, ticket: Ticket) -> None:
        self.held.pop(ticket.queue_id, None)


def ticket(queue_id: str) -> Ticket:
    return Ticket(partition=0, queue_id=queue_id, receipt="old", until=1.0)


def add(inbox: Inbox, queue_id: str, *, at: int = 0) -> MessageId:
    arrival, _ = inbox.add("one", EVENT, None, ticket(queue_id), arrives_at=at, now=0)
    return arrival.message.id


def test_a_message_waits_until_it_is_due() -> None:
    keeper = Keeper()
    inbox = Inbox(keeper)
    later, now = add(inbox, "a", at=100), add(inbox, "b")

    assert [one.message.id for one in inbox.waiting("one", until=99, known=(), limit=9)] == [now]
    assert inbox.next_due(after=(-1, -1)) == 100
    assert [one.message.id for one in inbox.due(after=(-1, -1), until=100, limit=9)] == [later]
    assert set(keeper.held) == {"a", "b"}


def test_what_is_removed_is_held_no_more() -> None:
    keeper = Keeper()
    inbox = Inbox(keeper)
    later = add(inbox, "a", at=100)
    (removed,) = inbox.remove("one", (later, MessageId(99)))

    assert removed.ticket == ticket("a")
    assert inbox.next_due(after=(-1, -1)) is None
    assert not inbox.is_busy("one")
    assert not inbox.renew(ticket("a"))
    assert not keeper.held


def test_what_is_dropped_is_told_with_its_time() -> None:
    keeper = Keeper()
    inbox = Inbox(keeper)
    add(inbox, "a", at=100)
    add(inbox, "b")
    inbox.claim("one", Claim(ticket("c"), is_generic=True))
    inbox.set_open("one", is_open=True)
    dropped = inbox.drop("one")

    assert [(one.queue_id, due) for one, due in dropped.messages] == [("a", 100), ("b", 0)]
    assert dropped.claim == Claim(ticket("c"), is_generic=True)
    assert not keeper.held
    assert not inbox.instances()


def test_the_newest_ticket_counts() -> None:
    keeper = Keeper()
    inbox = Inbox(keeper)
    held = add(inbox, "a")
    inbox.claim("two", Claim(ticket("b"), is_generic=True))
    for queue_id in ("a", "b"):
        assert inbox.renew(replace(ticket(queue_id), receipt="new"))

    assert {one.receipt for one in inbox.tickets()} == {"new"}
    assert inbox.ticket_of(held) == replace(ticket("a"), receipt="new")
    claim = inbox.unclaim("two")
    assert claim is not None
    assert claim.is_generic
    assert not inbox.renew(ticket("b"))
