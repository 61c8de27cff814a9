"""Messages that were set aside, because handling them kept failing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that lies beside its queue, so that it does not hold up those behind it.

    `text` is the message as it lay in the queue, decoded where it can be read. A message too large
    for a queue shows the name of the blob that holds it.
    """

    id: str
    queue: str
    instance_id: str | None
    reason: str
    attempts: int
    since: datetime
    text: str | None = None
