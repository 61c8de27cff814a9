"""The errors that user code may see, and the data a failure is carried in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from func_bindings.durable.status import OrchestrationRuntimeStatus


class FunctionsError(Exception):
    """Base of every error that func-host raises into user code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureDetails:
    """Why a function failed: type, message, stack trace and the chain of causes.

    Args:
        error_type: Qualified name of the exception class (`ValueError`, `shop.errors.OutOfStock`).
        message: Text of the exception.
        stack_trace: Formatted traceback of user code, or None where there is none.
        inner_failure: What it was raised from.
        is_non_retriable: True where a retry policy must not try again.
    """

    error_type: str
    message: str
    stack_trace: str | None = None
    inner_failure: FailureDetails | None = None
    is_non_retriable: bool = False

    def causes(self) -> Iterator[FailureDetails]:
        """This failure, then what it was raised from, outermost first."""
        failure: FailureDetails | None = self
        while failure is not None:
            yield failure
            failure = failure.inner_failure

    def is_caused_by(self, error: type[BaseException] | str) -> bool:
        """Tell whether this failure or one of its causes is of the given exception type.

        A name may be given with its module, with the end of it or without; subclasses are not
        known across a process boundary, so the type must be the one raised.
        """
        name = error if isinstance(error, str) else error.__qualname__
        return any(
            cause.error_type == name or cause.error_type.endswith(f".{name}")
            for cause in self.causes()
        )


class TaskFailedError(FunctionsError):
    """An activity, a sub-orchestration or an entity call failed; `details` says why."""

    def __init__(self, message: str, details: FailureDetails) -> None:
        """Keep the failure that the task ended with."""
        super().__init__(message)
        self.details = details


class TaskNotCompletedError(FunctionsError):
    """The task has no result yet: await (or yield) it first."""


class TaskCancelledError(FunctionsError):
    """The timer was cancelled before it fired."""


class LockingRulesViolationError(FunctionsError):
    """Inside `context.lock` only the locked entities may be called, one call each at a time.

    Nothing may be locked in addition, no sub-orchestration started, and no locked entity signalled.
    """


class SerializationError(FunctionsError, ValueError):
    """A value cannot be written as JSON, or JSON does not fit the annotated type.

    The message names the place inside the value: `$.items[3].frame: DataFrame`.
    """


class NonDeterminismError(FunctionsError):
    """The orchestrator asked for another step than its history says."""


class FunctionTimeoutError(FunctionsError, TimeoutError):
    """The function ran longer than `functionTimeout` in host.json allows."""


class InstanceNotFoundError(FunctionsError, LookupError):
    """There is no orchestration instance with this id."""

    def __init__(self, instance_id: str) -> None:
        """Name the id that was looked for."""
        super().__init__(f"No instance with ID '{instance_id}' was found.")
        self.instance_id = instance_id


class InstanceConflictError(FunctionsError):
    """The instance is in a state that does not allow the operation."""

    def __init__(self, instance_id: str, status: OrchestrationRuntimeStatus, message: str) -> None:
        """Name the instance and the state it is in."""
        super().__init__(message)
        self.instance_id = instance_id
        self.status = status


class InstanceAlreadyExistsError(InstanceConflictError):
    """An instance with this id exists and has not ended."""

    def __init__(self, instance_id: str, status: OrchestrationRuntimeStatus) -> None:
        """Name the instance and the state it is in, in the words of the extension."""
        message = f"An Orchestration instance with the status {status.value} already exists."
        super().__init__(instance_id, status, message)


class InstanceCompletedError(InstanceConflictError):
    """The instance has ended, so nothing can be sent to it any more."""

    def __init__(self, instance_id: str, status: OrchestrationRuntimeStatus) -> None:
        """Name the instance and how it ended."""
        message = f"The instance '{instance_id}' has ended: it is {status.value}."
        super().__init__(instance_id, status, message)


class FunctionNotFoundError(FunctionsError, LookupError):
    """No function of this name and kind is known; the message lists those that are."""
