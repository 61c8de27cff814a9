"""Exceptions as data and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_bindings.errors import FailureDetails, TaskFailedError
from func_host.durable.codec import decode_history, encode_history
from func_host.durable.engine.failures import (
    CAUSES_MAX,
    MESSAGE_LENGTH_MAX,
    details_of,
    failure_from_details,
    failure_of,
    summary_of,
    task_failed,
)
from func_host.durable.history import Failure, TaskFailed
from tests.host.durable.engine.driving import T0

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class OutOfStock(Exception):  # noqa: N818 -- a user's choice
    pass


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 -- whatever it is
        return error
    raise AssertionError("nothing was raised")


def is_mine(filename: str) -> bool:
    return filename == __file__


def test_a_class_of_an_app_is_named_with_its_module() -> None:
    failure = failure_of(OutOfStock("no tea"), is_mine)

    assert failure.error_type == f"{__name__}.OutOfStock"
    assert details_of(failure).is_caused_by(OutOfStock)
    assert details_of(failure).is_caused_by(failure.error_type)


def test_the_package_that_the_host_puts_an_app_in_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(OutOfStock, "__module__", "func_apps.shop.errors")
    assert failure_of(OutOfStock(), is_mine).error_type == "errors.OutOfStock"

    monkeypatch.setattr(OutOfStock, "__module__", "func_apps.shop")
    assert failure_of(OutOfStock(), is_mine).error_type == "OutOfStock"


def test_the_chain_of_causes_is_kept_and_cut_where_it_never_ends() -> None:
    error = ValueError("round")
    error.__cause__ = error

    causes = list(details_of(failure_of(error, is_mine)).causes())

    assert len(causes) == CAUSES_MAX + 1


def test_a_context_is_a_cause_unless_it_was_suppressed() -> None:
    def implicit() -> None:
        try:
            int("x")
        except ValueError:
            raise KeyError("k")  # noqa: B904 -- the implicit context is under test

    def suppressed() -> None:
        try:
            int("x")
        except ValueError:
            raise KeyError("k") from None

    assert details_of(failure_of(raised(implicit), is_mine)).is_caused_by(ValueError)
    assert not details_of(failure_of(raised(suppressed), is_mine)).is_caused_by(ValueError)


def test_the_failure_of_a_task_is_the_cause_of_what_lets_it_pass() -> None:
    inner = FailureDetails(error_type="OSError", message="disk", inner_failure=None)

    failure = failure_of(TaskFailedError("activity failed", inner), is_mine)

    assert failure.inner_failure == failure_from_details(inner)


def test_long_texts_are_cut() -> None:
    failure = failure_of(ValueError("x" * (2 * MESSAGE_LENGTH_MAX)), is_mine)

    assert len(failure.error_message) == MESSAGE_LENGTH_MAX


def test_a_text_that_no_store_can_hold_is_written_another_way() -> None:
    """File names that are no UTF-8 come with half surrogates, and into messages of errors."""
    error = ValueError("cannot read no-such-\udcff")

    failure = failure_of(error, is_mine)
    event = TaskFailed(
        timestamp=T0, task_scheduled_id=0, reason=summary_of(error), failure_details=failure
    )

    assert decode_history(encode_history([event])) == [event]
    assert failure.error_message == "cannot read no-such-\\udcff"


def test_the_stack_trace_shows_the_frames_of_the_app_or_all_where_there_are_none() -> None:
    error = raised(lambda: int("x"))

    assert "test_failures.py" in (failure_of(error, is_mine).stack_trace or "")
    assert "test_failures.py" in (failure_of(error, lambda _: False).stack_trace or "")
    assert failure_of(ValueError("never raised"), is_mine).stack_trace is None


def test_an_error_without_text_is_called_by_its_class() -> None:
    assert summary_of(ValueError()) == "ValueError"
    assert summary_of(ValueError("bad")) == "ValueError: bad"


def test_what_history_holds_comes_back_as_it_was() -> None:
    failure = Failure(
        error_type="A",
        error_message="a",
        stack_trace="trace",
        inner_failure=Failure(error_type="B", error_message="b"),
        is_non_retriable=True,
    )

    assert failure_from_details(task_failed("why", None, failure).details) == failure
