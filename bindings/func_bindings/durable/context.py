"""What an orchestrator may ask for."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, overload

from func_bindings.durable.entity_calls import EntityCalls
from func_bindings.durable.tasks import Task, TimerTask, WhenAllTask, WhenAnyTask

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from func_bindings.durable.retry import RetryOptions

T = TypeVar("T")


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


# What an orchestrator that is a plain function may return. That generators are not among it is what
# lets mypy tell a generator's result: it gives up where two overloads fit.
PlainT = TypeVar(
    "PlainT", bound="str | float | Sequence[Any] | Mapping[Any, Any] | _Dataclass | None"
)


class OrchestrationContext(EntityCalls):
    """The world as an orchestrator sees it; everything it gives is the same on every replay.

    Names and orders of arguments are those of Azure's `DurableOrchestrationContext`.
    """

    @property
    @abstractmethod
    def instance_id(self) -> str:
        """Id of this instance."""

    @property
    @abstractmethod
    def parent_instance_id(self) -> str | None:
        """Id of the instance that started this one as a sub-orchestration, else None."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the orchestrator, as the caller spelt it."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Version that the instance was started with; empty where none was given."""

    @property
    @abstractmethod
    def current_utc_datetime(self) -> datetime:
        """Time of the latest event, aware UTC; never goes backwards and never a clock read."""

    @property
    @abstractmethod
    def is_replaying(self) -> bool:
        """True while the orchestrator runs over what its history already says."""

    @property
    @abstractmethod
    def custom_status(self) -> Any:
        """The custom status last set in this execution."""

    @property
    @abstractmethod
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger named after the orchestrator that is silent while replaying."""

    @abstractmethod
    def create_replay_safe_logger(
        self, logger: logging.Logger
    ) -> logging.LoggerAdapter[logging.Logger]:
        """Wrap a logger so that it is silent while replaying."""

    @overload
    def get_input(self, expected_type: type[T]) -> T: ...
    @overload
    def get_input(self, expected_type: None = None) -> Any: ...
    @abstractmethod
    def get_input(self, expected_type: type[T] | None = None) -> T | Any:
        """Give the instance's input, decoded to the type where one is given; None without input.

        Raises:
            SerializationError: The input does not fit the type.
        """

    @overload
    def call_activity(
        self,
        name: Callable[..., Coroutine[Any, Any, T]],
        input_: object = None,
        expected_type: None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[T]: ...
    @overload
    def call_activity(
        self,
        name: Callable[..., T],
        input_: object = None,
        expected_type: None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[T]: ...
    @overload
    def call_activity(
        self,
        name: str,
        input_: object,
        expected_type: type[T],
        *,
        retry: RetryOptions | None = None,
    ) -> Task[T]: ...
    @overload
    def call_activity(
        self,
        name: str,
        input_: object = None,
        *,
        expected_type: type[T],
        retry: RetryOptions | None = None,
    ) -> Task[T]: ...
    @overload
    def call_activity(
        self,
        name: str,
        input_: object = None,
        expected_type: None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[Any]: ...
    @abstractmethod
    def call_activity(
        self,
        name: str | Callable[..., Any],
        input_: object = None,
        expected_type: type[Any] | None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[Any]:
        """Schedule an activity, given as the decorated function or its name.

        Awaiting the task raises TaskFailedError where the activity (or its last attempt) failed,
        and where there is no activity of that name.

        Raises:
            SerializationError: The input cannot be written as JSON; the message names its path.
        """

    @overload
    def call_activity_with_retry(
        self,
        name: Callable[..., Coroutine[Any, Any, T]],
        retry_options: RetryOptions,
        input_: object = None,
        expected_type: None = None,
    ) -> Task[T]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: Callable[..., T],
        retry_options: RetryOptions,
        input_: object = None,
        expected_type: None = None,
    ) -> Task[T]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        *,
        expected_type: type[T],
    ) -> Task[T]: ...
    @overload
    def call_activity_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        expected_type: None = None,
    ) -> Task[Any]: ...
    def call_activity_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryOptions,
        input_: object = None,
        expected_type: type[Any] | None = None,
    ) -> Task[Any]:
        """Schedule an activity that is tried again when it fails: `call_activity(retry=…)`."""
        call: Callable[..., Task[Any]] = self.call_activity
        return call(name, input_, expected_type, retry=retry_options)

    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[..., Coroutine[Any, Any, T]],
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[..., Generator[Any, Any, T]],
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: Callable[..., PlainT],
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[PlainT]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: str,
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        *,
        expected_type: type[T],
        retry: RetryOptions | None = None,
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator(
        self,
        name: str,
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[Any]: ...
    @abstractmethod
    def call_sub_orchestrator(
        self,
        name: str | Callable[..., Any],
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type[Any] | None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[Any]:
        """Start another orchestrator as a child; its id is derived from this run when not given.

        Awaiting the task gives the child's output, or raises TaskFailedError where it failed, was
        terminated, or its name or id cannot be used.

        Raises:
            SerializationError: The input cannot be written as JSON; the message names its path.
        """

    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[..., Coroutine[Any, Any, T]],
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[..., Generator[Any, Any, T]],
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callable[..., PlainT],
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
    ) -> Task[PlainT]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        *,
        expected_type: type[T],
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
    ) -> Task[Any]: ...
    def call_sub_orchestrator_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: RetryOptions,
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type[Any] | None = None,
    ) -> Task[Any]:
        """Start a child that is started again when it fails: `call_sub_orchestrator(retry=…)`."""
        call: Callable[..., Task[Any]] = self.call_sub_orchestrator
        return call(name, input_, instance_id, version, expected_type, retry=retry_options)

    @abstractmethod
    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """Schedule a durable timer of any length: a point in time, or a span from now.

        A time without zone is UTC. The timer never fires early.
        """

    @overload
    def wait_for_external_event(self, name: str, expected_type: type[T]) -> Task[T]: ...
    @overload
    def wait_for_external_event(self, name: str, expected_type: None = None) -> Task[Any]: ...
    @abstractmethod
    def wait_for_external_event(
        self, name: str, expected_type: type[Any] | None = None
    ) -> Task[Any]:
        """Wait for an event that a client raises; names compare without case.

        Events that came before the wait are kept; several waits for one name are served in order.
        """

    def task_all(self, tasks: Iterable[Task[T]]) -> Task[list[T]]:
        """Wait for all: their results in order, or the first failure at once; `[]` for none."""
        return WhenAllTask(_tasks(tasks, "task_all"))

    def task_any(self, tasks: Iterable[Task[T]]) -> Task[Task[T]]:
        """Wait for one: gives the task that ended first; the others go on."""
        return WhenAnyTask(_tasks(tasks, "task_any"))

    def when_all(self, tasks: Iterable[Task[T]]) -> Task[list[T]]:
        """Same as `task_all`."""
        return self.task_all(tasks)

    def when_any(self, tasks: Iterable[Task[T]]) -> Task[Task[T]]:
        """Same as `task_any`."""
        return self.task_any(tasks)

    @abstractmethod
    def continue_as_new(self, input_: object = None) -> None:
        """Start over with this input and an empty history once the function returns.

        Events that nobody has read yet are kept for the new execution.
        """

    @property
    @abstractmethod
    def will_continue_as_new(self) -> bool:
        """True after `continue_as_new`."""

    @abstractmethod
    def set_custom_status(self, status: object) -> None:
        """Show this value in the status of the instance; None takes it back.

        Raises:
            SerializationError: The value cannot be written as JSON.
        """

    @abstractmethod
    def new_uuid(self) -> str:
        """Make a UUID that is the same on every replay."""

    @abstractmethod
    def new_guid(self) -> UUID:
        """Make a UUID that is the same on every replay, as an object."""


def _tasks(tasks: Iterable[Task[T]], method: str) -> list[Task[T]]:
    children = list(tasks)
    for position, child in enumerate(children):
        if not isinstance(child, Task):  # pyright: ignore[reportUnnecessaryIsInstance] -- user code need not be typed
            message = (
                f"{method} takes tasks of the context, but item {position} is "
                f"{type(child).__name__}: pass what context.call_activity(…) returns, unawaited."
            )
            raise TypeError(message)
    return children
