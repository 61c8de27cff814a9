"""The right to a message of a queue.

A message that is put or taken comes with a ticket. Whoever has the ticket may keep the message
from others, until somebody else takes it: then the ticket is void. A ticket is renewed by the
thread that keeps leases, while the main loop may use it: hence it is one object, which changes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Ticket:
    """The right to a message.

    Args:
        partition: Of the control queue; None for the work-item queue.
        queue_id: Id of the message in its queue.
        receipt: What the queue asks for; another one after each renewal.
        until: When the message becomes visible, on the machine's monotonic clock.
        due: When the message is to be delivered, on the same clock: before that it hides by itself.
        is_renewing: A renewal is on its way: the receipt is about to change.
        key: What its sender called the message: a queue may hold it twice, where an answer was
            lost.
    """

    partition: int | None
    queue_id: str
    receipt: str
    until: float
    due: float = 0.0
    is_renewing: bool = False
    key: str = ""

    @property
    def identity(self) -> str:
        """What tells the message from all others: its copies have the same."""
        return self.key or self.queue_id
