"""The instances table: the status row of each instance, read and written."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import BackendUnavailableError, StatusChange
from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.client_batch import Delete, Insert, Merge, Replace
from func_host.durable.backends.azure_storage.filters import (
    INSTANCE_COLUMNS,
    instance_filter,
    instances_filter,
)
from func_host.durable.backends.azure_storage.instance_rows import (
    InstanceRow,
    checkpoint_row,
    creation_row,
    input_of_blob,
    read_instance_row,
)
from func_host.durable.backends.azure_storage.keys import escape_key, unescape_key
from func_host.durable.backends.azure_storage.large import (
    blob_of_url,
    history_blob_name,
    is_large,
    offload,
)
from func_host.durable.backends.azure_storage.table_rows import (
    PARTITION_KEY,
    ROW_KEY,
    Row,
    read_row,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from func_host.clock import IdSource
    from func_host.durable.backend import InstanceQuery, InstanceRecord
    from func_host.durable.backends.azure_storage.blobs import LargeValues
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.client_tables import Table
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.history import ExecutionStarted

NO_INPUT: Final = " "
"""Stands for an input that is no more: a merge cannot take a column away."""

_READ_TRIES: Final = 5
_TEXTS: Final = ("Input", "Output", "CustomStatus")


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A status row with the ETag to write it under."""

    row: InstanceRow
    etag: str

    @property
    def record(self) -> InstanceRecord:
        """What it says."""
        return self.row.record


class InstanceStore:
    """The status rows of a hub."""

    def __init__(
        self, clients: StorageClients, names: TaskHubNames, blobs: LargeValues, ids: IdSource
    ) -> None:
        self._clients = clients
        self._hub = names.hub
        self._name = names.instances_table
        self._blobs = blobs
        self._ids = ids

    async def get(self, instance_id: str, *, fetch_input: bool = True) -> StoredRow | None:
        """Read a row, with the texts that lie in blobs."""
        select = None if fetch_input else [str(column) for column in INSTANCE_COLUMNS]
        for _ in range(_READ_TRIES):
            query = self._table.query_entities(instance_filter(instance_id), select=select)
            entity = await anext(aiter(query), None)
            if entity is None:
                return None
            with suppress(ResourceNotFoundError):  # an entity whose state has changed meanwhile
                return await self._read(entity)
        raise BackendUnavailableError(f"The values of '{instance_id}' lie in blobs that are gone.")

    async def insert(
        self, start: ExecutionStarted, now: datetime, *, message_blob: str | None
    ) -> str | None:
        """Create a row; give its ETag, or None where there is one already."""
        row = await self._creation_row(start, now, message_blob)
        try:
            return await self._table.write(Insert(row))
        except ResourceExistsError:
            return None

    async def insert_child(self, start: ExecutionStarted) -> str | None:
        """Create the row of a child, with the columns that its first checkpoint will write."""
        instance = start.orchestration_instance
        status = StatusChange(
            runtime_status=OrchestrationRuntimeStatus.Pending, last_updated_time=start.timestamp
        )
        row = checkpoint_row(instance.instance_id, instance.execution_id, status, start=start)
        try:
            return await self._table.write(Insert(await self._with_blobs(row)))
        except ResourceExistsError:
            return None

    async def replace(
        self, start: ExecutionStarted, now: datetime, *, message_blob: str | None, etag: str
    ) -> str | None:
        """Put a new row in place of one; None where that one has changed."""
        row = await self._creation_row(start, now, message_blob)
        return await self._update(Replace(row, etag))

    async def merge(self, row: Row, etag: str | None) -> str | None:
        """Write columns of a row; None where it has changed, or is gone.

        Without an ETag the row is made where there is none.
        """
        merge = Merge(await self._with_blobs(row), etag)
        return await (self._table.write(merge) if etag is None else self._update(merge))

    async def delete(self, instance_id: str, etag: str | None = None) -> None:
        """Delete a row; with an ETag only where it has not changed."""
        key: Row = {PARTITION_KEY: escape_key(instance_id), ROW_KEY: ""}
        try:
            await self._table.write(Delete(key, etag))
        except (ResourceModifiedError, ResourceNotFoundError):
            return

    async def find(
        self, query: InstanceQuery, *, after: str, limit: int
    ) -> AsyncIterator[InstanceRecord]:
        """Give the rows that match, in the order of the table, beyond an instance."""
        condition = instances_filter(query)
        if after:
            key = escape_key(after).replace("'", "''")
            condition += f"{' and ' if condition else ''}(PartitionKey gt '{key}')"
        select = None if query.fetch_input else [str(column) for column in INSTANCE_COLUMNS]
        rows = self._table.query_entities(condition, select=select, results_per_page=limit)
        async for entity in rows:
            record = await self._record(entity, fetch_input=query.fetch_input)
            if record is None:
                continue
            if rules.matches(query, record):  # Azurite compares moments by the millisecond
                yield record

    async def _record(
        self, entity: Mapping[str, Any], *, fetch_input: bool
    ) -> InstanceRecord | None:
        """Read a row of many; where its blobs are gone by now the row is another one, too."""
        try:
            return (await self._read(entity)).record
        except ResourceNotFoundError:
            instance_id = unescape_key(entity[PARTITION_KEY])
            stored = await self.get(instance_id, fetch_input=fetch_input)
            return None if stored is None else stored.record

    async def statuses(self) -> AsyncIterator[tuple[str, str]]:
        """Give the id and the status of every instance."""
        columns = [PARTITION_KEY, ROW_KEY, "RuntimeStatus"]
        async for entity in self._table.query_entities("", select=columns):
            yield unescape_key(entity[PARTITION_KEY]), entity.get("RuntimeStatus") or "Running"

    @property
    def _table(self) -> Table:
        return self._clients.table(self._name)

    async def _creation_row(
        self, start: ExecutionStarted, now: datetime, message_blob: str | None
    ) -> Row:
        row = creation_row(start, hub=self._hub, now=now)
        if message_blob is not None and start.input is not None:
            row["Input"] = self._blobs.url(message_blob)
        row, blobs = offload(row, self._draw_suffix)
        for blob in blobs:
            await self._blobs.put(blob.name, blob.text)
        return row

    async def _update(self, operation: Replace | Merge) -> str | None:
        try:
            return await self._table.write(operation)
        except (ResourceModifiedError, ResourceNotFoundError):
            return None

    async def _with_blobs(self, row: Row) -> Row:
        """Put large texts into blobs; the column says where."""
        moved = dict(row)
        for column in _TEXTS:
            text = text_of(row, column)
            if text is not None and is_large(text):
                name = history_blob_name({**row, ROW_KEY: ""}, column, self._draw_suffix())
                await self._blobs.put(name, text)
                moved[column] = self._blobs.url(name)
        return moved

    async def _read(self, entity: Mapping[str, Any]) -> StoredRow:
        row = read_row(entity)
        container = self._blobs.container_name
        read = read_instance_row(row, container=container)
        record = read.record
        if read.input_blob is not None:
            text = input_of_blob(read.input_blob, await self._blobs.get(read.input_blob))
            record = replace(record, input=text)
        if read.output_blob is not None:
            record = replace(record, output=(await self._blobs.get(read.output_blob)).decode())
        custom = blob_of_url(
            record.custom_status, container=container, partition_key=str(row[PARTITION_KEY])
        )
        if custom is not None:
            record = replace(record, custom_status=(await self._blobs.get(custom)).decode())
        if record.input == NO_INPUT:
            record = replace(record, input=None)
        metadata = cast("Mapping[str, Any]", getattr(entity, "metadata", {}))
        return StoredRow(replace(read, record=record), str(metadata["etag"]))

    def _draw_suffix(self) -> str:
        return self._ids.new_id()[:8].upper()
