"""The messages that this host holds: taken or put invisible, and not consumed yet.

They stay in their queues, where their tickets keep them from others; whatever is held is kept
hidden by a keeper. The dispatcher reads them here. A claim is a message that has been consumed and
is kept all the same: while an instance has activities in flight it is what brings the instance back
after a crash.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from func_host.durable.backend import Message, MessageId
from func_host.durable.backends.dispatch import Arrival

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from func_host.durable.backends.azure_storage.tickets import Ticket
    from func_host.durable.history import MessageEvent


@dataclass(frozen=True, slots=True)
class Claim:
    """A consumed message that is kept; a generic one is good for whatever run is current."""

    ticket: Ticket
    is_generic: bool


@dataclass(frozen=True, slots=True)
class Removed:
    """A message that is held no more; it has no ticket where no queue ever had it."""

    message: Message
    ticket: Ticket | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was held of an instance: its claim, and its messages with when they arrive."""

    claim: Claim | None
    messages: Sequence[tuple[Ticket, int]]


class Keeper(Protocol):
    """Who keeps hidden what is held."""

    def hold(self, ticket: Ticket) -> None:
        """Keep a message hidden from now on."""
        ...

    def let_go(self, ticket: Ticket) -> None:
        """Keep it no more."""
        ...


@dataclass(slots=True)
class _Box:
    arrivals: dict[MessageId, Arrival] = field(default_factory=dict[MessageId, Arrival])


class Inbox:
    """What is held, by instance; a `MessageSource` for the dispatcher."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._boxes: dict[str, _Box] = {}
        self._tickets: dict[MessageId, Ticket] = {}
        self._by_queue_id: dict[str, MessageId] = {}
        self._identities: dict[MessageId, str] = {}
        self._by_identity: dict[str, MessageId] = {}
        self._delayed: list[tuple[int, MessageId, str]] = []
        self._claims: dict[str, Claim] = {}
        self._claimed_by: dict[str, str] = {}
        self._open: set[str] = set()
        self._last_id = 0

    # Messages

    def add(
        self,
        instance_id: str,
        event: MessageEvent,
        execution_id: str | None,
        ticket: Ticket | None,
        *,
        arrives_at: int,
        now: int,
        identity: str | None = None,
    ) -> tuple[Arrival, bool]:
        """Hold a message; give it as it arrives, and whether that is later than now.

        One without a ticket comes with its identity.
        """
        self._last_id += 1
        message = Message(MessageId(self._last_id), event, execution_id)
        arrival = Arrival(max(arrives_at, now), instance_id, message)
        self._boxes.setdefault(instance_id, _Box()).arrivals[message.id] = arrival
        if identity is not None:
            self._identify(message.id, identity)
        if ticket is not None:
            self.attach(message.id, ticket)
        is_delayed = arrives_at > now
        if is_delayed:
            insort(self._delayed, (arrives_at, message.id, instance_id))
        return arrival, is_delayed

    def attach(self, message_id: MessageId, ticket: Ticket) -> None:
        """Say with which ticket a message is held."""
        self._tickets[message_id] = ticket
        self._by_queue_id[ticket.queue_id] = message_id
        if message_id not in self._identities:
            self._identify(message_id, ticket.identity)
        self._keeper.hold(ticket)

    def _identify(self, message_id: MessageId, identity: str) -> None:
        self._identities[message_id] = identity
        self._by_identity[identity] = message_id

    def identity_of(self, message_id: MessageId) -> str | None:
        """Give what tells a message from all others."""
        return self._identities.get(message_id)

    def copy_of(self, ticket: Ticket) -> MessageId | None:
        """Give the message that is held and that this one is another copy of."""
        return self._by_identity.get(ticket.identity)

    def named(self, identity: str) -> MessageId | None:
        """Give the message that is held and goes by this name."""
        return self._by_identity.get(identity)

    def is_held(self, instance_id: str, message_id: MessageId) -> bool:
        """Tell whether a message is still unconsumed."""
        box = self._boxes.get(instance_id)
        return box is not None and message_id in box.arrivals

    def held_count(self) -> int:
        """Count the messages that are held."""
        return len(self._tickets)

    def of(self, instance_id: str) -> Sequence[Message]:
        """Give the messages that are held for an instance."""
        box = self._boxes.get(instance_id)
        return () if box is None else [arrival.message for arrival in box.arrivals.values()]

    def ticket_of(self, message_id: MessageId) -> Ticket | None:
        """Give the ticket of a message."""
        return self._tickets.get(message_id)

    def remove(self, instance_id: str, message_ids: Iterable[MessageId]) -> list[Removed]:
        """Hold these messages no more."""
        box = self._boxes.get(instance_id)
        removed: list[Removed] = []
        if box is None:
            return removed
        for message_id in message_ids:
            arrival = box.arrivals.pop(message_id, None)
            if arrival is None:
                continue
            self._forget_delay(arrival)
            self._by_identity.pop(self._identities.pop(message_id, ""), None)
            ticket = self._tickets.pop(message_id, None)
            if ticket is not None:
                self._by_queue_id.pop(ticket.queue_id, None)
                self._keeper.let_go(ticket)
            removed.append(Removed(arrival.message, ticket))
        if not box.arrivals:
            del self._boxes[instance_id]
        return removed

    def renew(self, ticket: Ticket) -> bool:
        """Take a newer ticket of what is held already; give whether it is."""
        held = self._held(ticket.queue_id)
        if held is None:
            return False
        held.receipt, held.until = ticket.receipt, ticket.until
        self._keeper.hold(held)
        return True

    def _held(self, queue_id: str) -> Ticket | None:
        message_id = self._by_queue_id.get(queue_id)
        if message_id is not None:
            return self._tickets[message_id]
        instance_id = self._claimed_by.get(queue_id)
        return None if instance_id is None else self._claims[instance_id].ticket

    # Claims

    def claim_of(self, instance_id: str) -> Claim | None:
        """Give the claim on an instance."""
        return self._claims.get(instance_id)

    def claim(self, instance_id: str, claim: Claim) -> None:
        """Hold a claim; another one is let go of."""
        self.unclaim(instance_id)
        self._claims[instance_id] = claim
        self._claimed_by[claim.ticket.queue_id] = instance_id
        self._keeper.hold(claim.ticket)

    def unclaim(self, instance_id: str) -> Claim | None:
        """Hold the claim no more."""
        claim = self._claims.pop(instance_id, None)
        if claim is not None:
            self._claimed_by.pop(claim.ticket.queue_id, None)
            self._keeper.let_go(claim.ticket)
        return claim

    def set_open(self, instance_id: str, *, is_open: bool) -> None:
        """Note whether an instance has activities in flight."""
        (self._open.add if is_open else self._open.discard)(instance_id)

    def is_busy(self, instance_id: str) -> bool:
        """Tell whether anything is held of an instance."""
        return (
            instance_id in self._boxes or instance_id in self._claims or instance_id in self._open
        )

    def instances(self) -> set[str]:
        """Give the instances of which anything is held."""
        return {*self._boxes, *self._claims, *self._open}

    def tickets(self) -> Iterator[Ticket]:
        """Give all tickets."""
        yield from self._tickets.values()
        for claim in self._claims.values():
            yield claim.ticket

    def drop(self, instance_id: str) -> Dropped:
        """Hold nothing of an instance any more; give what was held."""
        box = self._boxes.get(instance_id, _Box())
        dues = {one: arrival.arrives_at for one, arrival in box.arrivals.items()}
        removed = self.remove(instance_id, list(dues))
        self._open.discard(instance_id)
        return Dropped(
            claim=self.unclaim(instance_id),
            messages=[
                (one.ticket, dues[one.message.id]) for one in removed if one.ticket is not None
            ],
        )

    # What the dispatcher asks

    def waiting(
        self, instance_id: str, *, until: int, known: Collection[MessageId], limit: int
    ) -> Sequence[Arrival]:
        """Give messages of an instance visible at `until`, in order, less those known."""
        box = self._boxes.get(instance_id)
        if box is None:
            return ()
        visible = [
            arrival
            for message_id, arrival in box.arrivals.items()
            if message_id not in known
            and (arrival.arrives_at <= until or not self._is_delayed(arrival))
        ]
        return sorted(visible, key=lambda arrival: arrival.position)[:limit]

    def due(self, *, after: tuple[int, int], until: int, limit: int) -> Sequence[Arrival]:
        """Give delayed messages of all instances with a position in this range, in order."""
        first = bisect_right(self._delayed, after, key=lambda entry: entry[:2])
        entries = [entry for entry in self._delayed[first : first + limit] if entry[0] <= until]
        return [self._boxes[instance].arrivals[one] for _, one, instance in entries]

    def next_due(self, *, after: tuple[int, int]) -> int | None:
        """Tell when the first delayed message beyond this position becomes visible."""
        index = bisect_right(self._delayed, after, key=lambda entry: entry[:2])
        return self._delayed[index][0] if index < len(self._delayed) else None

    def has_open_activities(self, instance_id: str) -> bool:
        """Tell whether the instance has not ended and has activities in flight."""
        return instance_id in self._open

    async def recoverable(self, *, after: str, limit: int) -> Sequence[str]:
        """Give ids beyond this one, in order, that have undelayed messages or open activities."""
        found = {
            instance_id
            for instance_id, box in self._boxes.items()
            if any(not self._is_delayed(arrival) for arrival in box.arrivals.values())
        }
        return [one for one in sorted(found | self._open) if one > after][:limit]

    def _is_delayed(self, arrival: Arrival) -> bool:
        entry = (arrival.arrives_at, arrival.message.id, arrival.instance_id)
        index = bisect_left(self._delayed, entry)
        return self._delayed[index : index + 1] == [entry]

    def _forget_delay(self, arrival: Arrival) -> None:
        entry = (arrival.arrives_at, arrival.message.id, arrival.instance_id)
        index = bisect_left(self._delayed, entry)
        if self._delayed[index : index + 1] == [entry]:
            del self._delayed[index]
