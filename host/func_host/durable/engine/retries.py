"""When a failed call is tried again: the rules of DTFx's `RetryInterceptor`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from func_bindings.durable.retry import RetryOptions

DELAY_MAX = timedelta(days=365 * 100)
"""Where exponential growth is cut, so that no policy can leave the calendar."""


@dataclass(slots=True)
class RetryState:
    """A retried call: its policy, how often it was tried, and how to try it again."""

    options: RetryOptions
    first_attempt_at: datetime
    schedule: Callable[[], None]
    attempts: int = 1

    def next_delay(self, now: datetime, *, is_retriable: bool) -> timedelta | None:
        """Give the wait after a failure; None to give up at once.

        After the last attempt the wait is zero, not None: DTFx creates one more timer there, and
        histories must have it.
        """
        options = self.options
        if not is_retriable or self._is_over(now):
            return None
        if self.attempts >= options.max_number_of_attempts:
            return timedelta(0)
        try:
            delay_ms = options.first_retry_interval_in_milliseconds * (
                options.backoff_coefficient ** (self.attempts - 1)
            )
        except OverflowError:
            delay_ms = inf
        longest_ms = options.max_retry_interval_in_milliseconds
        return _milliseconds(delay_ms if longest_ms is None else min(delay_ms, longest_ms))

    def _is_over(self, now: datetime) -> bool:
        timeout_ms = self.options.retry_timeout_in_milliseconds
        return timeout_ms is not None and now - self.first_attempt_at >= _milliseconds(timeout_ms)


def _milliseconds(milliseconds: float) -> timedelta:
    try:
        return min(timedelta(milliseconds=milliseconds), DELAY_MAX)
    except OverflowError:
        return DELAY_MAX
