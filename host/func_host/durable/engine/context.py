"""The context that an orchestrator gets: values in, steps out, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from func_bindings.durable.context import OrchestrationContext
from func_bindings.durable.tasks import Task, TimerTask
from func_host.durable.engine import identity
from func_host.invocation.values import dump_json, load_json

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from uuid import UUID

    from func_bindings.durable.retry import RetryOptions
    from func_host.durable.engine.replay import OrchestratorRun
    from func_host.durable.history import ExecutionStarted


class ReplayContext(OrchestrationContext):
    """The context of one run; each method turns its arguments into a step of the run."""

    def __init__(self, run: OrchestratorRun) -> None:
        """Stand for a run that has been started."""
        self._run = run
        self._uuids = 0
        self._logger: logging.LoggerAdapter[logging.Logger] | None = None

    @property
    def _started(self) -> ExecutionStarted:
        assert self._run.started is not None
        return self._run.started

    @property
    def instance_id(self) -> str:
        return self._started.orchestration_instance.instance_id

    @property
    def parent_instance_id(self) -> str | None:
        parent = self._started.parent_instance
        return None if parent is None else parent.orchestration_instance.instance_id

    @property
    def name(self) -> str:
        return self._started.name

    @property
    def version(self) -> str:
        return self._started.version

    @property
    def current_utc_datetime(self) -> datetime:
        assert self._run.now is not None
        return self._run.now

    @property
    def is_replaying(self) -> bool:
        return self._run.is_replaying

    @property
    def custom_status(self) -> Any:
        text = self._run.custom_status
        return None if text is None else load_json(text)

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        if self._logger is None:
            self._logger = self._run.options.replay_safe(self._run.name, self._is_silent)
        return self._logger

    def create_replay_safe_logger(
        self, logger: logging.Logger
    ) -> logging.LoggerAdapter[logging.Logger]:
        return self._run.options.replay_safe(logger, self._is_silent)

    def get_input(self, expected_type: Any = None) -> Any:
        text = self._started.input
        if text is None:
            return None
        return load_json(text, Any if expected_type is None else expected_type)

    def call_activity(
        self,
        name: str | Callable[..., Any],
        input_: object = None,
        expected_type: type[Any] | None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[Any]:
        catalog = self._run.options.catalog
        activity = catalog.activity_name(name)
        result_type = expected_type or catalog.activity_result_type(activity)
        return self._run.call_activity(activity, dump_json(input_), result_type, retry)

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
        catalog = self._run.options.catalog
        orchestrator = catalog.orchestrator_name(name)
        if instance_id is not None:
            self._check_child_id(instance_id)
        return self._run.call_sub_orchestrator(
            orchestrator,
            dump_json(input_),
            expected_type or catalog.orchestrator_result_type(orchestrator),
            retry,
            make_instance_id=lambda step: instance_id or self._child_id(step),
            version=version,
        )

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        run = self._run
        task = TimerTask(lambda task: run.cancel_timer(timer, task))
        timer = run.start_timer(self._moment(fire_at), lambda: task.complete(None))
        return task

    def wait_for_external_event(
        self, name: str, expected_type: type[Any] | None = None
    ) -> Task[Any]:
        return self._run.wait_for_event(name, Any if expected_type is None else expected_type)

    def continue_as_new(self, input_: object = None) -> None:
        self._run.continue_as_new_input = dump_json(input_)
        self._run.will_continue_as_new = True

    @property
    def will_continue_as_new(self) -> bool:
        return self._run.will_continue_as_new

    def set_custom_status(self, status: object) -> None:
        text = None if status is None else dump_json(status)
        if not self._run.is_detached:
            self._run.custom_status = text
            self._run.custom_status_is_set = True

    def new_uuid(self) -> str:
        self._uuids += 1
        return identity.new_uuid(self.instance_id, self.current_utc_datetime, self._uuids - 1)

    def new_guid(self) -> UUID:
        self._uuids += 1
        return identity.new_guid(self.instance_id, self.current_utc_datetime, self._uuids - 1)

    def _is_silent(self) -> bool:
        return self._run.is_replaying or self._run.is_detached

    def _child_id(self, step: int) -> str:
        return identity.child_instance_id(self._started.orchestration_instance.execution_id, step)

    def _check_child_id(self, child_id: str) -> None:
        if child_id in {self.instance_id, self.parent_instance_id}:
            raise ValueError(
                f"The id '{child_id}' of a sub-orchestration must be another than that of the "
                "orchestration that starts it, and of its parent."
            )
        identity.check_instance_id(child_id)

    def _moment(self, fire_at: datetime | timedelta) -> datetime:
        if isinstance(fire_at, timedelta):
            return self.current_utc_datetime + fire_at
        if not isinstance(fire_at, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] -- user code need not be typed
            raise TypeError(
                f"create_timer takes a datetime or a timedelta, not {type(fire_at).__name__}: "
                "pass context.current_utc_datetime + timedelta(…)."
            )
        return fire_at.replace(tzinfo=UTC) if fire_at.tzinfo is None else fire_at.astimezone(UTC)
