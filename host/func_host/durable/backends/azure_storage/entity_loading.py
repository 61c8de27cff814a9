"""Reads an entity: its history is what it is, and the status row follows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.entity_memory import (
    OUTBOX,
    OUTBOX_BLOB,
    OUTBOX_EXECUTION,
    EntityMemory,
    read_memory,
)
from func_host.durable.backends.azure_storage.table_rows import text_of
from func_host.durable.engine.entities.scheduler import EntityScheduler, read_state
from func_host.durable.history import ExecutionStarted

if TYPE_CHECKING:
    from func_host.durable.backend import InstanceRecord
    from func_host.durable.backends.azure_storage.blobs import LargeValues
    from func_host.durable.backends.azure_storage.history_store import LoadedHistory
    from func_host.durable.backends.azure_storage.stored_history import StoredHistory


async def load_memory(loaded: LoadedHistory, blobs: LargeValues) -> EntityMemory:
    """Give what the fence tells beside the history; an outbox of another batch is void."""
    row, fence = loaded.fence_row, loaded.stored.sentinel
    outbox = None
    if fence is not None and text_of(row, OUTBOX_EXECUTION) == fence.execution_id:
        blob = text_of(row, OUTBOX_BLOB)
        outbox = (await blobs.get(blob)).decode() if blob else text_of(row, OUTBOX)
    return read_memory(row, outbox=outbox, blobs=loaded.blobs)


def entity_record(stored: StoredHistory, record: InstanceRecord) -> InstanceRecord:
    """Give the status of an entity: that of its row, unless the row is of a batch before.

    A batch writes the history, then the row, and an entity that is purged loses them in this order.
    """
    fence = stored.sentinel
    start = next((one for one in stored.events if isinstance(one, ExecutionStarted)), None)
    if fence is None or start is None or fence.execution_id == record.execution_id:
        return record
    return replace(
        rules.new_record(start),
        runtime_status=OrchestrationRuntimeStatus.Running,
        last_updated_time=fence.checkpoint_completed or start.timestamp,
        custom_status=_status_of(start.input),
    )


def _status_of(text: str | None) -> str | None:
    try:
        return EntityScheduler(read_state(text), window=0).status_text()
    except ValueError:  # whoever loads it says so
        return None
