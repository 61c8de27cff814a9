"""The context that an orchestrator gets: values in, steps out, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from func_bindings.durable.context import OrchestrationContext
from func_bindings.durable.entities import EntityId
from func_bindings.durable.proxies import EntityProxy
from func_bindings.durable.tasks import Task, TimerTask
from func_host.durable.actions import CreateSubOrchestration
from func_host.durable.engine import identity
from func_host.durable.engine.entities.calls import SentToEntities
from func_host.invocation.values import dump_json, load_json

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from uuid import UUID

    from func_bindings.durable.locks import CriticalSection
    from func_bindings.durable.retry import RetryOptions
    from func_host.durable.engine.options import RunOptions
    from func_host.durable.engine.steps import Steps
    from func_host.durable.history import ExecutionStarted


class ReplayContext(OrchestrationContext):
    """The context of one execution; each method turns its arguments into a step."""

    def __init__(self, started: ExecutionStarted, steps: Steps, options: RunOptions) -> None:
        """Stand for the execution that this event started."""
        self.next_input: str | None = None
        self._started = started
        self._steps = steps
        self._options = options
        self.sent = SentToEntities(started.orchestration_instance, steps)
        self._uuids = 0
        self._will_continue_as_new = False
        self._custom_status: str | None = None
        self._logger: logging.LoggerAdapter[logging.Logger] | None = None

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
        return self._steps.now

    @property
    def is_replaying(self) -> bool:
        return self._steps.is_replaying

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        if self._logger is None:
            self._logger = self._options.replay_safe(self._started.name, self._is_silent)
        return self._logger

    def create_replay_safe_logger(
        self, logger: logging.Logger
    ) -> logging.LoggerAdapter[logging.Logger]:
        return self._options.replay_safe(logger, self._is_silent)

    def _is_silent(self) -> bool:
        return self._steps.is_replaying or self._steps.is_detached

    def get_input(self, expected_type: Any = None) -> Any:
        text = self._started.input
        if text is None or text.strip() == "null":
            return None
        return load_json(text, Any if expected_type is None else expected_type)

    def call_activity(  # pyright: ignore[reportIncompatibleMethodOverride] -- it takes what every overload takes
        self,
        name: str | Callable[..., Any],
        input_: object = None,
        expected_type: type[Any] | None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[Any]:
        catalog = self._options.catalog
        activity = catalog.activity_name(name)
        identity.check_storable(activity)
        read = _reader(expected_type, catalog.activity_result_type(activity))
        return self._steps.call_activity(activity, dump_json(input_), read, retry)

    def call_sub_orchestrator(  # pyright: ignore[reportIncompatibleMethodOverride] -- it takes what every overload takes
        self,
        name: str | Callable[..., Any],
        input_: object = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type[Any] | None = None,
        *,
        retry: RetryOptions | None = None,
    ) -> Task[Any]:
        self.sent.check_child()
        catalog = self._options.catalog
        child = catalog.orchestrator_name(name)
        identity.check_storable(child, version, instance_id)
        text = dump_json(input_)
        if instance_id is not None:
            self._check_child_id(instance_id)

        def make_action(step: int) -> CreateSubOrchestration:
            child_id = instance_id or identity.child_instance_id(self._execution_id, step)
            return CreateSubOrchestration(step, child, child_id, text, version)

        read = _reader(expected_type, catalog.orchestrator_result_type(child))
        return self._steps.call_sub_orchestrator(make_action, read, retry)

    @property
    def _execution_id(self) -> str:
        return self._started.orchestration_instance.execution_id

    def _check_child_id(self, child_id: str) -> None:
        if child_id in {self.instance_id, self.parent_instance_id}:
            raise ValueError(
                f"The id '{child_id}' of a sub-orchestration must be another than that of the "
                "orchestration that starts it, and of its parent."
            )
        identity.check_instance_id(child_id)

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        task = TimerTask(lambda task: self._steps.cancel_timer(timer, task))
        moment = self._moment(fire_at, "create_timer")
        timer = self._steps.start_timer(moment, lambda: task.complete(None))
        return task

    def _moment(self, moment: datetime | timedelta, method: str) -> datetime:
        if isinstance(moment, timedelta):
            return self.current_utc_datetime + moment
        if not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] -- user code need not be typed
            raise TypeError(
                f"{method} takes a datetime or a timedelta, not {type(moment).__name__}: "
                "pass context.current_utc_datetime + timedelta(…)."
            )
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    def wait_for_external_event(
        self, name: str, expected_type: type[Any] | None = None
    ) -> Task[Any]:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] -- user code need not be typed
            raise TypeError(
                f"wait_for_external_event takes the name of an event, not {type(name).__name__}."
            )
        return self._steps.wait_for_event(name, _reader(expected_type, Any))

    def call_entity(  # pyright: ignore[reportIncompatibleMethodOverride] -- it takes what every overload takes
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        expected_type: type[Any] | None = None,
    ) -> Task[Any]:
        _check_operation(entity, operation_name, "call_entity")
        annotated_type = self._options.catalog.entity_result_type(entity.name, operation_name)
        read = _reader(expected_type, annotated_type)
        return self.sent.call(entity, operation_name, _input_text(operation_input), read)

    def signal_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        *,
        at: datetime | timedelta | None = None,
    ) -> Task[None]:
        _check_operation(entity, operation_name, "signal_entity")
        due = None if at is None else self._moment(at, "signal_entity(at=…)")
        return self.sent.signal(entity, operation_name, _input_text(operation_input), due)

    def lock(self, *entities: EntityId) -> Task[CriticalSection]:
        if not entities:
            raise ValueError("lock needs at least one entity: context.lock(EntityId(…), …).")
        for entity in entities:
            _check_entity(entity, "lock")
        return self.sent.lock(entities)

    @property
    def is_locked(self) -> bool:
        return bool(self.sent.held)

    @property
    def locked_entities(self) -> tuple[EntityId, ...]:
        return self.sent.held

    def entity(self, entity: type[Any] | str | Callable[..., Any], key: str) -> EntityProxy[Any]:
        entity_id = EntityId(self._options.catalog.entity_name(entity), key)
        return EntityProxy(entity_id, self, entity if isinstance(entity, type) else None)

    def continue_as_new(self, input_: object = None) -> None:
        self.next_input = dump_json(input_)
        self._will_continue_as_new = True

    @property
    def will_continue_as_new(self) -> bool:
        return self._will_continue_as_new

    def set_custom_status(self, status: object) -> None:
        text = None if status is None else dump_json(status)
        if not self._steps.is_detached:
            self._custom_status = text

    @property
    def custom_status(self) -> Any:
        return None if self._custom_status is None else load_json(self._custom_status)

    @property
    def custom_status_text(self) -> str | None:
        """The custom status last set, as JSON text."""
        return self._custom_status

    def new_uuid(self) -> str:
        self._uuids += 1
        return identity.new_uuid(self.instance_id, self.current_utc_datetime, self._uuids - 1)

    def new_guid(self) -> UUID:
        self._uuids += 1
        return identity.new_guid(self.instance_id, self.current_utc_datetime, self._uuids - 1)


def _check_operation(entity: EntityId, operation_name: str, method: str) -> None:
    _check_entity(entity, method)
    if not isinstance(operation_name, str):  # pyright: ignore[reportUnnecessaryIsInstance] -- user code need not be typed
        raise TypeError(
            f"{method} takes the name of an operation, not {type(operation_name).__name__}: call a "
            "method of a class with context.entity(…).call(…)."
        )
    identity.check_storable(operation_name)


def _check_entity(entity: EntityId, method: str) -> None:
    if not isinstance(entity, EntityId):  # pyright: ignore[reportUnnecessaryIsInstance] -- user code need not be typed
        raise TypeError(
            f"{method} takes an EntityId, not {type(entity).__name__}: pass EntityId(name, key), "
            "or the entity_id of a proxy."
        )
    identity.check_storable(str(entity))


def _input_text(value: object) -> str | None:
    return None if value is None else dump_json(value)


def _reader(expected_type: type[Any] | None, annotated_type: Any) -> Callable[[str], Any]:
    """Give what reads a result: strictly as the type asked for, else as annotated where it fits.

    An annotation is no promise that user code keeps, so what does not fit it comes as plain JSON.
    """
    if expected_type is not None:
        return lambda text: load_json(text, expected_type)
    if annotated_type is Any:
        return load_json

    def read(text: str) -> Any:
        try:
            return load_json(text, annotated_type)
        except Exception:  # noqa: BLE001 -- a user's class may refuse its fields with anything
            return load_json(text)

    return read
