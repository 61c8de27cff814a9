"""Keeps the order in which a client has sent operations to entities, whoever serves them.

What orchestrations and entities send is stamped, and sorted by who gets it, unless it is for later.
A client stamps nothing: as long as its operations go one way, they arrive in order. There are three
ways, and each could overtake another:

- *direct*: from memory into the next batch, as if there were no queue. It must not overtake what
  lies in the queue. So it is open only to a host that is alone (a client of several hosts may use
  them in turn), and only once a look into the queue that began after that has left nothing there.
- *the queue*: visible at once, in order of arrival.
- *hidden*: a host that died has taken messages which show up when their time is over, behind those
  that were sent later. So after a partition was taken from a host that may have died, what
  nobody sorts is held back until all has shown up, and is then handed out in order of its times.
  Where the partition was given back in order, or nothing lies in its queue, that is soon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from func_host.durable.backends.azure_storage.messages import Envelope
from func_host.durable.engine.entities import messages
from func_host.durable.history import EventRaised

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from func_host.clock import Clock
    from func_host.durable.backends.azure_storage.inbox import Keeper
    from func_host.durable.backends.azure_storage.queues import Received
    from func_host.durable.backends.azure_storage.tickets import Ticket


@dataclass(slots=True)
class _Partition:
    """What is known of one queue, by the machine's monotonic clock.

    Args:
        hidden_until: When all that a dead host has hidden is visible at the latest.
        used_at: When others than this host may last have put something.
        is_settled: Nothing is hidden by a dead host.
        is_clear: Nothing lies there that was put before `used_at`.
        held: What is held back.
    """

    hidden_until: float = float("inf")
    used_at: float = float("inf")
    is_settled: bool = False
    is_clear: bool = False
    held: dict[str, Received] = field(default_factory=dict[str, "Received"])


class ClientOrder:
    """What may go which way, by partition.

    Args:
        clock: The machine's.
        keeper: Keeps hidden what is held back.
        settling_s: After so long all that a dead host has hidden is visible.
        has_peers: Whether other hosts work on the hub.
    """

    def __init__(
        self, clock: Clock, keeper: Keeper, *, settling_s: float, has_peers: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._keeper = keeper
        self._settling_s = settling_s
        self._has_peers = has_peers
        self._partitions: dict[int, _Partition] = {}

    # What happens to a partition

    def begin(self, partition: int, *, is_given_back: bool) -> None:
        """Serve a partition from now on; `is_given_back` says that no dead host had it lately."""
        now = self._clock.monotonic()
        hidden_until = now if is_given_back else now + self._settling_s
        self._partitions[partition] = _Partition(hidden_until=hidden_until, used_at=now)

    def end(self, partition: int) -> list[Received]:
        """Serve it no more; give what was held back."""
        state = self._partitions.pop(partition, None)
        held = [] if state is None else list(state.held.values())
        for one in held:
            self._keeper.let_go(one.ticket)
        return held

    def found_empty(self, partition: int) -> None:
        """Note that nothing lies in the queue, be it hidden or not."""
        state = self._partitions.get(partition)
        if state is not None:
            state.is_settled = True

    def used(self, partition: int) -> None:
        """Note that something is put into the queue for everybody to see."""
        state = self._partitions.get(partition)
        if state is not None:
            state.used_at = self._clock.monotonic()
            state.is_clear = False

    def looked(self, partition: int, *, began: float, is_all: bool) -> list[Received]:
        """Note a look into the queue; give, in order, what need not be held back any more.

        `is_all` says that it has left nothing that was visible.
        """
        state = self._partitions.get(partition)
        if state is None:
            return []
        if self._has_peers():
            self.used(partition)
        elif is_all and began >= state.used_at:
            state.is_clear = True
        state.is_settled |= is_all and began >= state.hidden_until
        if not state.is_settled or not state.held:
            return []
        held, state.held = sorted(state.held.values(), key=_moment), {}
        for one in held:
            self._keeper.let_go(one.ticket)
        return held

    # What may be done

    def is_settled(self, partition: int) -> bool:
        """Tell whether nothing that a dead host has taken can show up any more."""
        state = self._partitions.get(partition)
        return state is not None and state.is_settled

    def is_direct(self, partition: int) -> bool:
        """Tell whether an operation may be delivered from memory."""
        state = self._partitions.get(partition)
        if state is None:
            return False
        if self._has_peers():
            self.used(partition)
        return state.is_settled and state.is_clear

    def settles_in_s(self, partition: int) -> float | None:
        """Tell when the next look may settle a partition; None where that is not waited for."""
        state = self._partitions.get(partition)
        if state is None or state.is_settled or not state.held:
            return None
        return max(0.0, state.hidden_until - self._clock.monotonic())

    # What is held back

    @property
    def held_count(self) -> int:
        """How much is held back."""
        return sum(len(state.held) for state in self._partitions.values())

    def holds_for(self, instance_id: str, partition: int) -> bool:
        """Tell whether something for an entity is held back."""
        state = self._partitions.get(partition)
        return state is not None and any(
            isinstance(one.envelope, Envelope) and one.envelope.target.instance_id == instance_id
            for one in state.held.values()
        )

    def hold_back(self, partition: int, received: Received) -> bool:
        """Keep a message for later where that is due; give whether it is."""
        state = self._partitions.get(partition)
        if state is None or state.is_settled or not _is_unsorted(received):
            return False
        state.held[received.ticket.queue_id] = received
        self._keeper.hold(received.ticket)
        return True

    def renew(self, ticket: Ticket) -> bool:
        """Take a newer ticket of what is held back already; give whether it is."""
        state = None if ticket.partition is None else self._partitions.get(ticket.partition)
        held = None if state is None else state.held.get(ticket.queue_id)
        if held is None:
            return False
        held.ticket.receipt, held.ticket.until = ticket.receipt, ticket.until
        self._keeper.hold(held.ticket)
        return True


def in_order(received: Received) -> tuple[float, datetime, int]:
    """Give where an operation stands among those of one look: the service tells whole seconds."""
    inserted = 0.0 if received.inserted is None else received.inserted.timestamp()
    _, moment, _, number = _moment(received)
    return (inserted, moment, number)


def _moment(received: Received) -> tuple[datetime, datetime, float, int]:
    """Give when an operation was due or sent, which is the order among those of a client."""
    envelope = received.envelope
    assert isinstance(envelope, Envelope)
    sent = envelope.event.timestamp
    inserted = 0.0 if received.inserted is None else received.inserted.timestamp()
    return (_due(received) or sent, sent, inserted, envelope.sequence_number)


def _request(received: Received) -> messages.Request | None:
    envelope = received.envelope
    event = envelope.event if isinstance(envelope, Envelope) else None
    if not isinstance(event, EventRaised) or not messages.is_request(event):
        return None
    try:
        return messages.read_request(event)
    except ValueError:  # whoever gets it says so
        return None


def _is_unsorted(received: Received) -> bool:
    """Tell whether nobody sorts it: operations of clients, and of all senders those for later."""
    request = _request(received)
    return request is not None and (request.parent is None or request.due is not None)


def _due(received: Received) -> datetime | None:
    request = _request(received)
    try:
        return None if request is None or request.due is None else messages.moment_of(request.due)
    except ValueError:
        return None
