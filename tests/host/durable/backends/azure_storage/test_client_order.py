"""Operations of clients stay in order: none is overtaken from memory or by what a dead host hid."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from func_host.durable.backends.azure_storage.client_order import ClientOrder, in_order
from func_host.durable.backends.azure_storage.messages import Envelope, Party
from func_host.durable.backends.azure_storage.queues import Received
from func_host.durable.backends.azure_storage.tickets import Ticket
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from func_host.durable.engine.entities import messages
from func_host.durable.history import EventRaised
from func_host.testing.clock import START, SimulatedClock

if TYPE_CHECKING:
    from datetime import datetime

    from func_host.durable.backends.azure_storage.messages import QueueEvent

pytestmark = pytest.mark.anyio

SETTLING_S = 65.0


class FakeKeeper:
    """Knows what is kept hidden."""

    def __init__(self) -> None:
        self.held: dict[str, Ticket] = {}

    def hold(self, ticket: Ticket) -> None:
        self.held[ticket.queue_id] = ticket

    def let_go(self, ticket: Ticket) -> None:
        self.held.pop(ticket.queue_id, None)


class World:
    """A host that serves partition 0, and tells of looks into its queue."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.keeper = FakeKeeper()
        self.has_peers = False
        self.order = ClientOrder(
            self.clock, self.keeper, settling_s=SETTLING_S, has_peers=lambda: self.has_peers
        )

    def look(self, *, is_all: bool = True) -> list[str]:
        """Look into the queue in no time; give which messages are handed out, in order."""
        began = self.clock.monotonic()
        return ids(self.order.looked(0, began=began, is_all=is_all))

    def hold_back(self, *received: Received) -> None:
        for one in received:
            assert self.order.hold_back(0, one)


@pytest.fixture
def world() -> World:
    return World()


def ids(received: list[Received]) -> list[str]:
    return [one.ticket.queue_id for one in received]


def of_client(sent_s: float = 0, *, due_s: float | None = None) -> EventRaised:
    """Give an operation that a client has sent so many seconds after the start."""
    due = None if due_s is None else moment(due_s)
    request = messages.operation(id="r", op="add", is_signal=True, due=due)
    return messages.request_event(request, moment(sent_s))


def of_orchestration(*, due_s: float | None = None) -> EventRaised:
    request = messages.operation(
        id="r",
        op="add",
        is_signal=due_s is not None,
        parent="one",
        parent_execution="first",
        due=None if due_s is None else moment(due_s),
        stamp=1,
    )
    return messages.request_event(request, START)


def moment(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def received(
    queue_id: str,
    event: QueueEvent | None = None,
    *,
    inserted_s: float | None = 0,
    number: int = 0,
    partition: int | None = 0,
) -> Received:
    """Give a message to the entity `@counter@c` as it was taken from a queue."""
    envelope = Envelope(
        event=of_client() if event is None else event,
        target=Party("@counter@c"),
        activity_id=queue_id,
        sequence_number=number,
    )
    return Received(
        ticket=Ticket(partition=partition, queue_id=queue_id, receipt="1", until=30),
        envelope=envelope,
        text="text",
        inserted=None if inserted_s is None else moment(inserted_s),
        dequeue_count=1,
    )


# What is settled


def test_a_partition_that_was_given_back_is_settled_by_one_look_that_leaves_nothing(
    world: World,
) -> None:
    world.order.begin(0, is_given_back=True)
    assert not world.order.is_settled(0)

    world.look(is_all=False)
    assert not world.order.is_settled(0)

    world.look()
    assert world.order.is_settled(0)


async def test_what_a_dead_host_has_hidden_is_waited_for(world: World) -> None:
    world.order.begin(0, is_given_back=False)
    world.look()
    await world.clock.advance(SETTLING_S - 1)
    world.look()
    assert not world.order.is_settled(0)

    await world.clock.advance(1)
    world.look()
    assert world.order.is_settled(0)


async def test_a_look_that_began_before_all_was_visible_settles_nothing(world: World) -> None:
    world.order.begin(0, is_given_back=False)
    began = world.clock.monotonic()
    await world.clock.advance(SETTLING_S)
    world.order.looked(0, began=began, is_all=True)

    assert not world.order.is_settled(0)


def test_a_queue_in_which_nothing_lies_is_settled_at_once(world: World) -> None:
    world.order.begin(0, is_given_back=False)
    world.order.found_empty(0)

    assert world.order.is_settled(0)


def test_a_partition_that_is_served_again_is_settled_anew(world: World) -> None:
    world.order.begin(0, is_given_back=True)
    world.look()
    world.order.end(0)
    assert not world.order.is_settled(0)

    world.order.begin(0, is_given_back=False)
    assert not world.order.is_settled(0)


# What may go from memory


def test_nothing_goes_directly_before_a_look_has_left_nothing(world: World) -> None:
    """That nothing is hidden is not enough: something may lie there for everybody to see."""
    world.order.begin(0, is_given_back=True)
    world.order.found_empty(0)
    assert not world.order.is_direct(0)

    world.look()
    assert world.order.is_direct(0)


async def test_what_was_put_is_not_overtaken_until_a_later_look_has_taken_it(world: World) -> None:
    world.order.begin(0, is_given_back=True)
    world.look()
    began = world.clock.monotonic()
    await world.clock.advance(1)
    world.order.used(0)
    assert not world.order.is_direct(0)

    world.order.looked(0, began=began, is_all=True)
    assert not world.order.is_direct(0)
    world.look(is_all=False)
    assert not world.order.is_direct(0)
    world.look()
    assert world.order.is_direct(0)


async def test_nothing_goes_directly_while_a_dead_host_may_have_hidden_something(
    world: World,
) -> None:
    world.order.begin(0, is_given_back=False)
    world.look()
    assert not world.order.is_direct(0)

    await world.clock.advance(SETTLING_S)
    world.look()
    assert world.order.is_direct(0)


async def test_a_host_with_peers_puts_all_into_the_queue(world: World) -> None:
    world.order.begin(0, is_given_back=True)
    world.look()
    world.has_peers = True

    assert not world.order.is_direct(0)
    world.look()
    assert world.order.is_settled(0)
    assert not world.order.is_direct(0)


async def test_a_host_whose_peers_have_gone_takes_what_they_have_put_first(world: World) -> None:
    world.order.begin(0, is_given_back=True)
    world.has_peers = True
    world.look()
    began = world.clock.monotonic()
    await world.clock.advance(1)
    assert not world.order.is_direct(0)  # the last moment at which there was a peer
    world.has_peers = False

    world.order.looked(0, began=began, is_all=True)
    assert not world.order.is_direct(0)
    world.look()
    assert world.order.is_direct(0)


def test_nothing_is_known_of_a_partition_that_others_serve(world: World) -> None:
    world.order.found_empty(0)
    world.order.used(0)

    assert world.look() == []
    assert not world.order.is_settled(0)
    assert not world.order.is_direct(0)
    assert world.order.settles_in_s(0) is None
    assert not world.order.holds_for("@counter@c", 0)
    assert not world.order.hold_back(0, received("a"))
    assert world.order.end(0) == []


def test_partitions_do_not_concern_each_other(world: World) -> None:
    world.order.begin(0, is_given_back=True)
    world.order.begin(1, is_given_back=True)
    world.look()
    world.order.used(1)

    assert [world.order.is_direct(one) for one in (0, 1)] == [True, False]


# What is held back


async def test_operations_of_clients_are_held_until_all_has_shown_up(world: World) -> None:
    world.order.begin(0, is_given_back=False)
    world.hold_back(received("b", of_client(2)))
    assert world.keeper.held.keys() == {"b"}
    assert world.look() == []

    await world.clock.advance(SETTLING_S)
    world.hold_back(received("a", of_client(1)))
    assert world.look(is_all=False) == []
    assert world.look() == ["a", "b"]
    assert not world.keeper.held
    assert world.order.held_count == 0
    assert world.look() == []


async def test_what_is_held_back_goes_by_when_it_was_due_or_sent(world: World) -> None:
    """Then by when it came into the queue, and among those of one second by its number."""
    world.order.begin(0, is_given_back=True)
    world.hold_back(
        received("late", of_client(9)),
        received("due", of_client(0, due_s=5)),
        received("third", of_client(4), inserted_s=7, number=1),
        received("second", of_client(4), inserted_s=6, number=2),
        received("first", of_client(4), inserted_s=6, number=1),
        received("unknown", of_client(4), inserted_s=None, number=3),
        received("early", of_client(1), inserted_s=8),
    )

    assert world.look() == ["early", "unknown", "first", "second", "third", "due", "late"]


async def test_nothing_is_held_back_once_it_is_settled(world: World) -> None:
    world.order.begin(0, is_given_back=True)
    world.look()

    assert not world.order.hold_back(0, received("a"))
    assert not world.keeper.held


@pytest.mark.parametrize(
    "event",
    [
        of_orchestration(),
        messages.release_event("one", "r", START),
        EventRaised(timestamp=START, name="op", input="no request"),
        EventRaised(timestamp=START, name="op"),
    ],
    ids=["stamped", "release", "broken", "empty"],
)
def test_only_operations_of_clients_are_held_back(world: World, event: EventRaised) -> None:
    world.order.begin(0, is_given_back=False)

    assert not world.order.hold_back(0, received("a", event))


def test_what_cannot_be_read_is_not_held_back(world: World) -> None:
    world.order.begin(0, is_given_back=False)
    unreadable = replace(received("a"), envelope=UnreadableError("no message"))

    assert not world.order.hold_back(0, unreadable)


def test_what_an_orchestration_sends_for_later_is_held_back_and_handed_out_when_it_was_due(
    world: World,
) -> None:
    """Nobody sorts it by stamps."""
    world.order.begin(0, is_given_back=False)
    world.hold_back(
        received("b", of_orchestration(due_s=2)), received("a", of_orchestration(due_s=1))
    )
    world.order.found_empty(0)

    assert world.look() == ["a", "b"]


def test_an_operation_with_a_broken_time_is_held_by_when_it_was_sent(world: World) -> None:
    request = messages.operation(id="r", op="add", is_signal=True, due=START)
    good = messages.request_event(request, moment(3))
    text = (good.input or "").replace(request.due or "", "soon")
    broken = msgspec.structs.replace(good, input=text)
    world.order.begin(0, is_given_back=True)
    world.hold_back(received("b", broken), received("c", of_client(4)), received("a", of_client(2)))

    assert world.look() == ["a", "b", "c"]


def test_it_is_known_for_whom_something_is_held(world: World) -> None:
    world.order.begin(0, is_given_back=False)
    world.hold_back(received("a"), received("b"))

    assert world.order.held_count == 2
    assert world.order.holds_for("@counter@c", 0)
    assert not world.order.holds_for("@counter@d", 0)
    assert not world.order.holds_for("@counter@c", 1)


async def test_a_partition_is_looked_at_when_what_it_holds_is_settled(world: World) -> None:
    """Where it holds nothing, or is settled, nobody need come for that."""
    world.order.begin(0, is_given_back=False)
    assert world.order.settles_in_s(0) is None

    world.hold_back(received("a"))
    assert world.order.settles_in_s(0) == SETTLING_S
    await world.clock.advance(60)
    assert world.order.settles_in_s(0) == SETTLING_S - 60
    await world.clock.advance(60)
    assert world.order.settles_in_s(0) == 0

    world.look()
    assert world.order.settles_in_s(0) is None


async def test_what_is_held_and_comes_again_has_a_newer_ticket(world: World) -> None:
    """Its keeper was late: the message was visible for a moment."""
    world.order.begin(0, is_given_back=True)
    held = received("a")
    world.hold_back(held)
    newer = Ticket(partition=0, queue_id="a", receipt="2", until=90)

    assert world.order.renew(newer)
    assert (held.ticket.receipt, held.ticket.until) == ("2", 90)
    assert world.keeper.held["a"] is held.ticket
    assert world.look() == ["a"]


@pytest.mark.parametrize(
    ("queue_id", "partition"), [("b", 0), ("a", 1), ("a", None)], ids=["other", "else", "activity"]
)
def test_only_what_is_held_is_renewed(world: World, queue_id: str, partition: int | None) -> None:
    world.order.begin(0, is_given_back=True)
    world.hold_back(received("a"))

    assert not world.order.renew(received(queue_id, partition=partition).ticket)


def test_what_is_held_is_given_back_with_the_partition(world: World) -> None:
    world.order.begin(0, is_given_back=False)
    world.hold_back(received("b"), received("a"))

    assert sorted(ids(world.order.end(0))) == ["a", "b"]
    assert not world.keeper.held
    assert world.order.held_count == 0
    assert not world.order.hold_back(0, received("c"))


# The order of one look


def test_messages_of_one_look_go_by_when_they_came_then_by_when_they_were_sent() -> None:
    """The service tells whole seconds only."""
    looked = [
        received("last", of_client(0), inserted_s=2),
        received("third", of_client(1.4), inserted_s=1, number=1),
        received("second", of_client(1.2), inserted_s=1, number=2),
        received("first", of_client(1.2), inserted_s=1, number=1),
        received("unknown", of_client(3), inserted_s=None),
    ]

    assert ids(sorted(looked, key=in_order)) == ["unknown", "first", "second", "third", "last"]
