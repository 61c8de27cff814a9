"""How often and when a failed call is tried again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """Retry policy of an activity or sub-orchestration call.

    The delay before attempt n + 1 is `first_retry_interval_in_milliseconds` times
    `backoff_coefficient` to the power n - 1, at most `max_retry_interval_in_milliseconds`. No
    attempt starts later than `retry_timeout_in_milliseconds` after the first. The attempts include
    the first, as in Durable Functions.

    Raises:
        ValueError: An interval or a coefficient is out of its range.
    """

    first_retry_interval_in_milliseconds: float
    max_number_of_attempts: int
    backoff_coefficient: float = 1.0
    max_retry_interval_in_milliseconds: float | None = None
    retry_timeout_in_milliseconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse a policy that could not work."""
        if not self.first_retry_interval_in_milliseconds > 0:  # so that NaN is refused, too
            message = "first_retry_interval_in_milliseconds must be greater than 0."
            raise ValueError(message)
        if self.max_number_of_attempts < 1:
            message = "max_number_of_attempts must be at least 1: it counts the first attempt too."
            raise ValueError(message)
        if not self.backoff_coefficient >= 1:
            message = "backoff_coefficient must be at least 1."
            raise ValueError(message)
        for name in ("max_retry_interval_in_milliseconds", "retry_timeout_in_milliseconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                message = f"{name} must be greater than 0, or None for no limit."
                raise ValueError(message)
