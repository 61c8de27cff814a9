"""The right to a message of a queue.

A message that is put or taken comes with a ticket. Whoever has the ticket may keep the message
from others, until somebody else takes it: then the ticket is void.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The right to a message: `until` is when it becomes visible, on the monotonic clock."""

    partition: int
    queue_id: str
    receipt: str
    until: float
