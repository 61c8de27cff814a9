"""A host that is stopped in the middle leaves a hub as Microsoft's provider would, and no more.

The states are those of the recorded hubs that a killed worker left, so that each has its like.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.clock import SystemClock
from func_host.durable import history
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.table_rows import moment_of, read_row
from tests.azurite.golden_host import PATIENCE_S, GoldenHost, pause, running
from tests.azurite.ours import OUR_COLUMNS, OUR_EVENTS, OUR_RESOURCES
from tests.azurite.recorded_hubs import HubContent, content_of, recorded_hub
from tests.azurite.test_takeover import then_do
from tests.azurite.wire import Held, Wire
from tests.host.durable.backends.azure_storage.golden import shape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.table_rows import Row
    from tests.azurite.emulator import Azurite

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]


@dataclass(frozen=True, slots=True)
class State:
    """How a hub comes into a state.

    Args:
        held: Inputs of the activities that are running then.
        called: What has been called by then, apart from those.
        is_reached: Waits for the state.
        called_after: What the next host calls.
        works: Whether anybody works on the hub before.
    """

    held: tuple[str, ...]
    called: int
    is_reached: Callable[[GoldenHost, str], Awaitable[None]]
    called_after: tuple[str, ...]
    works: bool = True


async def at_once(host: GoldenHost, instance_id: str) -> None:
    """Nothing more happens."""


async def holds(host: GoldenHost, instance_id: str) -> None:
    """All that is to be held runs."""
    await host.until(lambda: len(host.invoker.running) == len(host.invoker.held))


async def waits(host: GoldenHost, instance_id: str) -> None:
    """It waits, and its status row says so."""
    async with asyncio.timeout(PATIENCE_S):
        while (await custom_status(host, instance_id)) != '"waiting"':
            await pause()


async def custom_status(host: GoldenHost, instance_id: str) -> str | None:
    record = await host.client.record(instance_id)
    return None if record is None else record.custom_status


async def suspended(host: GoldenHost, instance_id: str) -> None:
    """It has been suspended, and has got its event."""
    await waits(host, instance_id)
    await host.client.suspend(instance_id, "paused")
    async with asyncio.timeout(PATIENCE_S):
        while not await is_suspended(host, instance_id):
            await pause()
        await host.client.raise_event(instance_id, "go", "x2")
        while not any(
            isinstance(event, history.EventRaised)
            for event in await host.client.history(instance_id)
        ):
            await pause()


async def is_suspended(host: GoldenHost, instance_id: str) -> bool:
    record = await host.client.record(instance_id)
    return record is not None and record.runtime_status is OrchestrationRuntimeStatus.Suspended


_F10_TO_19: Final = tuple(f"f{number}:8000" for number in range(10, 20))
STATES: Final = {
    "chain-activity-running": State(("b:8000",), 1, holds, ("b:8000", "c:10")),
    "fan-out-half-done": State(_F10_TO_19, 10, holds, _F10_TO_19),
    "pending-start": State((), 0, at_once, ("a:10", "b:10"), works=False),
    "sub-orchestration-running": State(("b:8000",), 2, holds, ("after", "b:8000", "c:10")),
    "suspended": State((), 1, suspended, ("second x2",)),
    "timer-60s": State((), 1, waits, ("second timer",)),
    "waiting-for-event": State((), 1, waits, ("second x1",)),
}


@pytest.mark.parametrize("name", STATES)
async def test_a_stopped_host_leaves_what_the_provider_would_and_no_more(
    name: str, azurite: Azurite, connection: StorageConnection, names: TaskHubNames
) -> None:
    state, hub = STATES[name], recorded_hub(name, names)
    start = hub["start"]
    async with StorageClients(connection) as clients, Wire(azurite.connection_string) as wire:
        through = parse_connection_string(wire.connection_string, setting="test")
        first = GoldenHost(through, names, held=state.held, works=state.works)
        async with running(first):
            await first.client.start_new(
                start["orchestrator"], start["instance_id"], given_to(name, start["input"])
            )
            await state.is_reached(first, start["instance_id"])
        left = await content_of(clients, names)
        assert_like(hub, left, names)
        assert_same_messages(hub, wire.messages.values(), left)
        async with running(GoldenHost(connection, names)) as second:
            await then_do(second.client, hub)
            record = await second.end(start["instance_id"])
        after = await content_of(clients, names)

    assert len(first.invoker.called) == state.called + len(state.held)
    assert sorted(second.invoker.called) == list(state.called_after)
    assert record.runtime_status.value == hub["expected"]["runtime_status"]
    assert json.loads(record.output or "") == hub["expected"]["output"]
    assert set(after.message_counts.values()) == {0}


def given_to(name: str, recorded: str) -> str:
    """Give the input: the timer's is shorter, the test waits for it."""
    return "timer:4" if name == "timer-60s" else recorded


# Tables and containers


def assert_like(hub: Mapping[str, Any], left: HubContent, names: TaskHubNames) -> None:
    """See that no resource, row or column is there that the recorded hub lacks."""
    tables = {table["name"]: [read_row(row) for row in table["rows"]] for table in hub["tables"]}
    containers = {
        container["name"]: {blob["name"] for blob in container["blobs"]}
        for container in hub["containers"]
    }
    assert {table for table in left.tables if not is_ours(table)} <= tables.keys()
    assert {name for name in left.blobs if not is_ours(name)} <= containers.keys()
    for container, blobs in left.blobs.items():
        if not is_ours(container):
            assert blobs <= containers[container]
    assert outlines(left.instances) == outlines(tables[names.instances_table])
    assert episodes_aside(left.history) == episodes_aside(tables[names.history_table])


def is_ours(resource: str) -> bool:
    return resource.endswith(OUR_RESOURCES)


def outlines(rows: Iterable[Row]) -> Counter[Any]:
    """Count rows by what they are of, their columns with types, and what they say of the state."""
    said = ("PartitionKey", "EventType", "EventId", "TaskScheduledId", "RuntimeStatus", "Result")
    return Counter(
        (
            tuple((name, row.get(name)) for name in (*said, "CustomStatus", "Name", "Output")),
            frozenset(
                (name, type(value).__name__)
                for name, value in row.items()
                if name not in OUR_COLUMNS
            ),
        )
        for row in rows
        if row.get("EventType") not in OUR_EVENTS
    )


def episodes_aside(rows: Iterable[Row]) -> Counter[Any]:
    """Count rows, but for the marks of episodes: how results are grouped into them is chance."""
    marks = {"OrchestratorStarted", "OrchestratorCompleted"}
    return outlines(row for row in rows if row.get("EventType") not in marks)


# Messages


def assert_same_messages(hub: Mapping[str, Any], ours: Iterable[Held], left: HubContent) -> None:
    """See that the queues hold messages of the same kinds with the same members, and none else."""
    messages = [one for one in ours if kind_of(one.envelope) not in OUR_EVENTS]
    assert sum(left.message_counts.values()) == len(list(ours))
    recorded = [
        (queue["name"], json.loads(message["text"]))
        for queue in hub["queues"]
        for message in queue["messages"]
    ]
    assert Counter(outline(one.queue, one.envelope) for one in messages) == Counter(
        outline(queue, envelope) for queue, envelope in recorded
    )
    now = SystemClock()
    for one in messages:
        event = read_row(one.envelope["TaskMessage"]["Event"])
        due = moment_of(event, "FireAt")
        delay_s = 0 if due is None else (due - now.now()).total_seconds()
        assert one.visible_at - now.monotonic() <= max(0, delay_s) + 1.5


def kind_of(envelope: Mapping[str, Any]) -> str:
    name = envelope["TaskMessage"]["Event"]["$type"].rpartition(".")[2]
    return str(name.removesuffix("Event"))


def outline(queue: str, envelope: Mapping[str, Any]) -> Any:
    event = envelope["TaskMessage"]["Event"]
    target = envelope["TaskMessage"]["OrchestrationInstance"]["InstanceId"]
    said = [event.get(name) for name in ("EventId", "TimerId", "Name", "Input")]
    return queue, target, json.dumps(said), json.dumps(shape(envelope))
