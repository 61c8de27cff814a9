"""Exceptions as data and back: what crosses the border between a function and a history."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from func_bindings.errors import FailureDetails, TaskFailedError
from func_host.durable.history import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

APP_PACKAGES = "func_apps."
"""What the host puts before the name of an app's package; see `indexing`."""

CAUSES_MAX = 16
"""How long a chain of causes may get before it is cut."""

MESSAGE_LENGTH_MAX = 64 * 1024
"""Characters of an exception's text, or of its stack trace, that are kept."""


def failure_of(error: BaseException, is_user_frame: Callable[[str], bool]) -> Failure:
    """Turn an exception and its causes into data.

    The stack trace keeps the frames of files that `is_user_frame` accepts, and all of them where
    there are none.
    """
    return _failure_of(error, is_user_frame, CAUSES_MAX)


def _failure_of(
    error: BaseException, is_user_frame: Callable[[str], bool], causes_left: int
) -> Failure:
    cause = error.__cause__
    if cause is None and not error.__suppress_context__:
        cause = error.__context__
    inner = None
    if cause is not None and causes_left > 0:
        inner = _failure_of(cause, is_user_frame, causes_left - 1)
    elif isinstance(error, TaskFailedError):
        inner = failure_from_details(error.details)
    return Failure(
        error_type=type_name(error),
        error_message=message_of(error)[:MESSAGE_LENGTH_MAX],
        stack_trace=_stack_trace(error, is_user_frame),
        inner_failure=inner,
    )


def type_name(error: BaseException) -> str:
    """Name an exception class as a reader of the code knows it.

    Built-in ones come without module, those of an app without the package that the host puts it in.
    """
    kind = type(error)
    module = kind.__module__
    if module.startswith(APP_PACKAGES):
        module = module.removeprefix(APP_PACKAGES).partition(".")[2]
    elif module == "builtins":
        module = ""
    return f"{module}.{kind.__qualname__}" if module else kind.__qualname__


def message_of(error: BaseException) -> str:
    """Give the text of an exception, its class's name where it has none or cannot say it."""
    try:
        return _storable(str(error)) or type(error).__name__
    except Exception:  # noqa: BLE001 -- a user's __str__ may raise anything
        return type(error).__name__


def _storable(text: str) -> str:
    """Give a text that UTF-8 has a form for: halves of surrogate pairs are spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def summary_of(error: BaseException) -> str:
    """Give `Type: text`, as Microsoft's Python worker reports an exception."""
    message = message_of(error)
    name = type(error).__name__
    return name if message == name else f"{name}: {message}"


def _stack_trace(error: BaseException, is_user_frame: Callable[[str], bool]) -> str | None:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return None
    shown = [frame for frame in frames if is_user_frame(frame.filename)] or list(frames)
    return _storable("".join(traceback.format_list(shown)))[-MESSAGE_LENGTH_MAX:]


def failure_from_details(details: FailureDetails) -> Failure:
    """Turn what user code saw into what history holds."""
    inner = details.inner_failure
    return Failure(
        error_type=details.error_type,
        error_message=details.message,
        stack_trace=details.stack_trace,
        inner_failure=None if inner is None else failure_from_details(inner),
        is_non_retriable=details.is_non_retriable,
    )


def details_of(failure: Failure) -> FailureDetails:
    """Turn what history holds into what user code sees."""
    inner = failure.inner_failure
    return FailureDetails(
        error_type=failure.error_type,
        message=failure.error_message,
        stack_trace=failure.stack_trace,
        inner_failure=None if inner is None else details_of(inner),
        is_non_retriable=failure.is_non_retriable,
    )


def task_failed(reason: str, details: str | None, failure: Failure | None) -> TaskFailedError:
    """Make the exception that user code catches from the event that recorded the failure.

    Histories of Microsoft's provider have no failure details, only the two texts.
    """
    if failure is None:
        return TaskFailedError(
            reason, FailureDetails(error_type="", message=reason, stack_trace=details)
        )
    return TaskFailedError(reason, details_of(failure))
