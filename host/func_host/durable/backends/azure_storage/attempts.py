"""Counts how often the handling of a message has raised an error, or was put off, in this process.

The service's own count is no measure: it grows with every host that dies or loses a partition
while it holds a message, and such a message has nothing wrong with it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

ATTEMPTS_MAX: Final = 5
"""A message whose handling has raised this often is a dead letter."""

_COUNTED_MAX: Final = 10_000


class AttemptCounter:
    """Failed attempts by the id of the message; the one that failed longest ago is forgotten.

    Args:
        size: How many messages are counted at a time.
    """

    def __init__(self, size: int = _COUNTED_MAX) -> None:
        self._size = size
        self._failures: OrderedDict[str, int] = OrderedDict()

    def failed(self, message_id: str) -> int:
        """Count an attempt that raised; give how many there were."""
        count = self._failures.pop(message_id, 0) + 1
        self._failures[message_id] = count
        if len(self._failures) > self._size:
            self._failures.popitem(last=False)
        return count

    def succeeded(self, message_id: str) -> None:
        """Forget a message: it was handled, or is a dead letter."""
        self._failures.pop(message_id, None)
