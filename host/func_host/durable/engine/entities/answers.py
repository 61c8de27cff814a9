"""How an operation that failed is told to the orchestrator that called it.

Ours and newer workers of DTFx say it with failure details. The extension writes the name of the
exception's class and, as the result, the exception itself as .NET serializes it, or its text where
the entity is not of .NET.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from func_host.durable.engine import failures
from func_host.durable.history import Failure

if TYPE_CHECKING:
    from func_bindings.errors import TaskFailedError
    from func_host.durable.engine.entities.messages import Response


class _Exception(msgspec.Struct, frozen=True, rename="pascal"):
    """An exception as .NET serializes it."""

    class_name: str
    message: str | None = None
    inner_exception: _Exception | None = None
    stack_trace_string: str | None = None


_read_exception = msgspec.json.Decoder(_Exception).decode


def error_of(response: Response) -> TaskFailedError:
    """Make the exception that user code catches from an answer that tells of a failure."""
    failure = response.failure_details or _failure_of(response)
    is_serialized = response.failure_details is None
    reason = failure.error_message if is_serialized else response.result or failure.error_message
    return failures.task_failed(reason, None, failure)


def _failure_of(response: Response) -> Failure:
    error_type = (response.exception_type or "").partition(",")[0]
    text = response.result or error_type
    try:
        error = _read_exception(text)
    except (ValueError, RecursionError):
        return Failure(error_type=error_type, error_message=text)
    return _failure_of_exception(error, failures.CAUSES_MAX)


def _failure_of_exception(error: _Exception, causes_left: int) -> Failure:
    inner = error.inner_exception
    return Failure(
        error_type=error.class_name,
        error_message=error.message or error.class_name,
        stack_trace=error.stack_trace_string,
        inner_failure=(
            _failure_of_exception(inner, causes_left - 1) if inner and causes_left else None
        ),
    )
