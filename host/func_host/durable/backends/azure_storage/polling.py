"""How often an empty queue is looked into: less and less, as the provider does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from func_host.clock import IdSource

_FIRST_S: Final = 0.05
_AT_ONCE_AFTER_WORK: Final = 2
_DOUBLINGS_MAX: Final = 32


class PollingRhythm:
    """The pauses between looks into one queue.

    Args:
        ids: Where chance comes from.
    """

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._empty = _AT_ONCE_AFTER_WORK

    def after(self, count: int, *, longest_s: float) -> float:
        """Give the seconds to wait after a look that found so many messages; 0 for none.

        No pause is longer than `longest_s`, but for a fifth by chance.
        """
        self._empty = 0 if count else self._empty + 1
        step = self._empty - _AT_ONCE_AFTER_WORK - 1
        if step < 0:
            return 0.0
        pause_s = min(_FIRST_S * 2.0 ** min(step, _DOUBLINGS_MAX), longest_s)
        return pause_s * (0.8 + 0.4 * self._ids.jitter())

    def begin_anew(self) -> None:
        """Look again soon: something may come."""
        self._empty = _AT_ONCE_AFTER_WORK
