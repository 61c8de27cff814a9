"""An entity as our own endpoints and commands show it: with its lock and who waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from func_bindings.durable.entities import CleanEntityStorageResult, EntityMetadata


def entity_view(entity: EntityMetadata, *, with_state: bool = True) -> dict[str, Any]:
    """Give an entity as JSON members; the state only where it was asked for."""
    view: dict[str, Any] = {
        "entityId": {"name": entity.entity_id.name, "key": entity.entity_id.key},
        "lastOperationTime": _text(entity.last_operation_time),
        "exists": entity.exists,
        "lockedBy": entity.locked_by,
        "lockedSince": _text(entity.locked_since),
        "waiters": [
            {"instanceId": waiter.instance_id, "operation": waiter.operation_name}
            for waiter in entity.waiters
        ],
        "parked": entity.parked,
    }
    if with_state:
        view["state"] = entity.state
    return view


def list_view(entities: Iterable[EntityMetadata], *, only_locked: bool) -> list[dict[str, Any]]:
    """Give entities without their states, maybe only those that are locked."""
    return [
        entity_view(one, with_state=False)
        for one in entities
        if not only_locked or one.locked_by is not None
    ]


def clean_view(result: CleanEntityStorageResult) -> dict[str, int]:
    """Give what a cleaning has done as JSON members."""
    return {
        "emptyEntitiesRemoved": result.empty_entities_removed,
        "orphanedLocksReleased": result.orphaned_locks_released,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
