"""Retry policies, statuses and errors."""

import pytest

from func_bindings import (
    FailureDetails,
    InstanceAlreadyExistsError,
    InstanceCompletedError,
    InstanceNotFoundError,
    OrchestrationRuntimeStatus,
    RetryOptions,
)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((0, 1), "first_retry_interval_in_milliseconds must be greater than 0"),
        ((1, 0), "at least 1: it counts the first attempt too"),
        ((1, 1, 0.5), "backoff_coefficient must be at least 1"),
        ((1, 1, 1, 0), "max_retry_interval_in_milliseconds must be greater than 0"),
        ((1, 1, 1, None, -1), "retry_timeout_in_milliseconds must be greater than 0"),
    ],
)
def test_a_policy_that_could_not_work_is_refused(arguments: tuple[int, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RetryOptions(*arguments)


def test_a_policy_is_a_value() -> None:
    assert RetryOptions(1000, 3) == RetryOptions(
        first_retry_interval_in_milliseconds=1000, max_number_of_attempts=3
    )


def test_an_instance_has_ended_in_four_ways() -> None:
    ended = {status.value for status in OrchestrationRuntimeStatus if status.is_terminal}

    assert ended == {"Completed", "Failed", "Canceled", "Terminated"}


def test_a_failure_knows_what_it_was_caused_by() -> None:
    cause = FailureDetails(error_type="shop.errors.OutOfStock", message="none left")
    failure = FailureDetails(error_type="ValueError", message="no", inner_failure=cause)

    assert list(failure.causes()) == [failure, cause]
    assert failure.is_caused_by(ValueError)
    assert failure.is_caused_by("OutOfStock")
    assert failure.is_caused_by("errors.OutOfStock")
    assert failure.is_caused_by("shop.errors.OutOfStock")
    assert not failure.is_caused_by("Stock")
    assert not failure.is_caused_by(KeyError)
    assert not cause.is_caused_by(ValueError)


def test_errors_about_instances_name_them() -> None:
    running = OrchestrationRuntimeStatus.Running

    assert str(InstanceNotFoundError("x")) == "No instance with ID 'x' was found."
    assert InstanceAlreadyExistsError("x", running).instance_id == "x"
    assert "status Running already exists" in str(InstanceAlreadyExistsError("x", running))
    assert "'x' has ended" in str(InstanceCompletedError("x", running))
