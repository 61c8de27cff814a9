"""The context that an operation gets: what it asks for is noted, and nothing leaves it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from func_bindings.durable.entities import EntityContext, EntityId
from func_bindings.errors import FunctionNotFoundError
from func_host.durable.engine import identity
from func_host.durable.operations.values import (
    SentSignal,
    StartedOrchestration,
    unknown_entity,
    unknown_orchestrator,
)
from func_host.invocation.values import dump_json, load_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from func_host.durable.operations.state import EntityState
    from func_host.durable.operations.values import Operation, Scene


class OperationContext(EntityContext):
    """The context of one operation."""

    def __init__(self, scene: Scene, operation: Operation, state: EntityState) -> None:
        """Begin an operation on a state."""
        self.state = state
        self.result: str | None = None
        self.is_destructed = False
        self.signals: list[SentSignal] = []
        self.starts: list[StartedOrchestration] = []
        self._scene = scene
        self._operation = operation
        self._now = scene.clock.now()

    @property
    def entity_id(self) -> EntityId:
        return self._scene.entity

    @property
    def operation_name(self) -> str:
        return self._operation.name

    @property
    def is_newly_constructed(self) -> bool:
        return self.state.text is None

    @property
    def current_utc_datetime(self) -> datetime:
        return self._now

    @property
    def logger(self) -> logging.Logger:
        return logging.getLogger(self._scene.function.call_name)

    def get_state(  # pyright: ignore[reportIncompatibleMethodOverride] -- it takes what every overload takes
        self, initializer: Callable[[], Any] | None = None, expected_type: Any = None
    ) -> Any:
        if initializer is not None and not callable(initializer):
            raise TypeError(
                f"get_state takes a function that makes the first state, not {initializer!r}: "
                f"pass lambda: {initializer!r}."
            )
        return self.state.get(initializer, expected_type)

    def set_state(self, state: object) -> None:
        self.state.set(state)

    def get_input(self, expected_type: Any = None) -> Any:
        text = self._operation.input
        if text is None or text == "null":
            return None
        return load_json(text, Any if expected_type is None else expected_type)

    def set_result(self, result: object) -> None:
        self.result = dump_json(result)

    def destruct_on_exit(self) -> None:
        self.is_destructed = True
        self.state.delete()

    def signal_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        *,
        at: datetime | timedelta | None = None,
    ) -> None:
        if not isinstance(entity, EntityId):  # pyright: ignore[reportUnnecessaryIsInstance] -- user code need not be typed
            raise TypeError(
                f"signal_entity takes an EntityId, not {entity!r}: pass EntityId('name', 'key')."
            )
        catalog = self._scene.catalog
        if catalog.entity(entity.name) is None:
            raise FunctionNotFoundError(unknown_entity(entity.name, catalog.entity_names))
        identity.check_storable(str(entity), operation_name)
        text = None if operation_input is None else dump_json(operation_input)
        self.signals.append(SentSignal(entity, operation_name, text, self._moment(at)))

    def _moment(self, at: datetime | timedelta | None) -> datetime | None:
        match at:
            case None:
                return None
            case timedelta():
                return self._now + at
            case datetime(tzinfo=None):
                return at.replace(tzinfo=UTC)
            case datetime():
                return at.astimezone(UTC)
            case _:
                raise TypeError(
                    f"signal_entity takes a datetime or a timedelta as at, not {at!r}: "
                    "pass context.current_utc_datetime + timedelta(…)."
                )

    def start_new(
        self,
        name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: object = None,
        version: str | None = None,
    ) -> str:
        catalog = self._scene.catalog
        orchestrator = catalog.orchestrator_name(name)
        if catalog.orchestrator(orchestrator) is None:
            known = catalog.orchestrator_names
            raise FunctionNotFoundError(unknown_orchestrator(orchestrator, known))
        if instance_id:
            identity.check_instance_id(instance_id)
        identity.check_storable(orchestrator, version, instance_id)
        text = None if client_input is None else dump_json(client_input)
        started_id = instance_id or self._scene.ids.new_id()
        self.starts.append(StartedOrchestration(orchestrator, started_id, text, version))
        return started_id


class ObjectContext(OperationContext):
    """The context of an operation of a class, whose fields are the state."""

    def get_state(
        self, initializer: Callable[[], Any] | None = None, expected_type: Any = None
    ) -> Any:
        del initializer, expected_type
        raise TypeError(
            "The fields of the object are the state of the entity: read self.… instead of calling "
            "get_state."
        )

    def set_state(self, state: object) -> None:
        del state
        raise TypeError(
            "The fields of the object are the state of the entity: assign to self.… instead of "
            "calling set_state."
        )
