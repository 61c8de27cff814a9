"""The requests of a chain and nothing else: what the storage and its client leave to a host.

For each chain the same requests in the same order, with rows and messages of the same shape and
size, through the same clients; what they say is made beforehand, and nobody does any work.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.clock import SystemClock, SystemIds
from func_host.durable.backend import StatusChange
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.client_batch import Insert, Merge, Replace
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.history_rows import history_rows
from func_host.durable.backends.azure_storage.hub_resources import create_hub
from func_host.durable.backends.azure_storage.instance_rows import checkpoint_row, creation_row
from func_host.durable.backends.azure_storage.messages import Envelope, Party, encode_envelope
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.partitions import partition_of
from func_host.durable.backends.azure_storage.queue_text import TIME_TO_LIVE_S, to_queue_text
from func_host.durable.backends.azure_storage.stored_history import Sentinel, sentinel_row
from func_host.durable.history import (
    ExecutionCompleted,
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from func_host.durable.backends.azure_storage.table_rows import Row
    from func_host.durable.history import HistoryEvent

_PARTITIONS: Final = 4
_STEPS: Final = 5
_HIDDEN_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    """What is sent for one chain."""

    partition: int
    message: str
    created: Row
    transactions: Sequence[Sequence[Row]]
    fences: Sequence[Row]
    ended: Row


async def run_bare(connection_string: str, *, chains: int, in_flight: int, warm_up: int) -> float:
    """Make the requests of so many chains, so many at a time; give the chains per second."""
    connection = parse_connection_string(connection_string, setting="AzureWebJobsStorage")
    names = TaskHubNames(f"Bare{SystemIds().new_id()[:12]}")
    async with StorageClients(connection) as clients:
        await create_hub(clients, names, _PARTITIONS)
        everything = [_chain(names.hub, number) for number in range(warm_up + chains)]
        await _side_by_side(clients, names, iter(everything[:warm_up]), in_flight)
        began = time.perf_counter()
        await _side_by_side(clients, names, iter(everything[warm_up:]), in_flight)
        return chains / (time.perf_counter() - began)


async def _side_by_side(
    clients: StorageClients, names: TaskHubNames, chains: Iterator[_Chain], in_flight: int
) -> None:
    async def one_after_the_other() -> None:
        for chain in chains:
            await _send(clients, names, chain)

    async with anyio.create_task_group() as tasks:
        for _ in range(in_flight):
            tasks.start_soon(one_after_the_other)


async def _send(clients: StorageClients, names: TaskHubNames, chain: _Chain) -> None:
    """Make the requests of one chain."""
    queue = clients.queue(names.control_queue(chain.partition))
    instances, history = clients.table(names.instances_table), clients.table(names.history_table)
    start = await queue.send_message(
        chain.message, visibility_timeout=_HIDDEN_S, time_to_live=TIME_TO_LIVE_S
    )
    row_etag = await instances.write(Insert(chain.created))
    fence_etag = ""
    for rows, fence in zip(chain.transactions, chain.fences, strict=True):
        fencing = Merge(fence, fence_etag) if fence_etag else Insert(fence)
        etags = await history.transact([*map(Replace, rows), fencing])
        fence_etag = etags[-1]
    await instances.write(Merge(chain.ended, row_etag))
    await queue.delete_message(start.id, start.pop_receipt)


def _chain(hub: str, number: int) -> _Chain:
    """Make what is sent for a chain of five activities."""
    clock, ids = SystemClock(), SystemIds()
    now = clock.now()
    instance = OrchestrationInstance(f"{ids.new_id()}-{number}", ids.new_id())
    start = ExecutionStarted(
        timestamp=now,
        orchestration_instance=instance,
        name="bench_chain",
        input='{"count":5,"is_async":false}',
        generation=0,
    )
    target = Party(instance.instance_id, instance.execution_id)
    envelope = Envelope(event=start, target=target, activity_id=ids.new_id(), sequence_number=1)
    output = json.dumps([f"Hello {step}!" for step in range(_STEPS)])
    fences = [
        Sentinel(
            execution_id=instance.execution_id or "", checkpoint_completed=now, token=ids.new_id()
        )
        for _ in range(_STEPS)
    ]
    return _Chain(
        partition=partition_of(instance.instance_id, _PARTITIONS),
        message=to_queue_text(encode_envelope(envelope)),
        created=creation_row(start, hub=hub, now=now),
        transactions=_transactions(start, output),
        fences=[sentinel_row(instance.instance_id, fence) for fence in fences],
        ended=checkpoint_row(
            instance.instance_id,
            instance.execution_id or "",
            StatusChange(
                runtime_status=OrchestrationRuntimeStatus.Completed,
                last_updated_time=now,
                output=output,
            ),
            completed_time=now,
        ),
    )


def _transactions(start: ExecutionStarted, output: str) -> list[list[Row]]:
    """Give the rows of each transaction: an activity together with its result."""
    now, instance = start.timestamp, start.orchestration_instance
    written: list[list[Row]] = []
    ordinal = 0
    for step in range(_STEPS):
        events: list[HistoryEvent] = [
            TaskScheduled(timestamp=now, event_id=step, name="bench_hello", input=f'"{step}"'),
            OrchestratorCompleted(timestamp=now),
            OrchestratorStarted(timestamp=now),
            TaskCompleted(timestamp=now, task_scheduled_id=step, result=f'"Hello {step}!"'),
        ]
        if step == 0:
            events = [OrchestratorStarted(timestamp=now), start, *events]
        if step == _STEPS - 1:
            completed = ExecutionCompleted(
                timestamp=now,
                event_id=_STEPS,
                orchestration_status=OrchestrationRuntimeStatus.Completed,
                result=output,
            )
            events += [completed, OrchestratorCompleted(timestamp=now)]
        written.append(
            history_rows(
                events,
                instance_id=instance.instance_id,
                execution_id=instance.execution_id or "",
                first_ordinal=ordinal,
            )
        )
        ordinal += len(events)
    return written
