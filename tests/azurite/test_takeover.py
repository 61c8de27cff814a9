"""Hubs that a killed worker of Microsoft's provider left behind are completed by our host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.keys import SENTINEL
from func_host.durable.backends.azure_storage.table_rows import read_row
from tests.azurite.golden_host import GoldenHost, running
from tests.azurite.recorded_hubs import HubContent, content_of, load, recorded_hub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.client import TaskHubClient

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]

CALLED = {
    "chain-activity-running": ["b:8000", "c:10"],
    "fan-out-half-done": [f"f{number}:8000" for number in range(10, 20)],
    "pending-start": ["a:10", "b:10"],
    "sub-orchestration-running": ["after", "b:8000", "c:10"],
    "suspended": ["second x2"],
    "timer-60s": ["second timer"],
    "waiting-for-event": ["second x1"],
}
"""What is called after the takeover: nothing whose result the history has."""


@pytest.mark.parametrize("name", CALLED)
async def test_a_hub_that_a_killed_worker_left_is_completed(
    name: str, connection: StorageConnection, names: TaskHubNames
) -> None:
    hub = recorded_hub(name, names)
    instance_id, expected = hub["start"]["instance_id"], hub["expected"]
    async with StorageClients(connection) as clients:
        await load(clients, hub)
        async with running(GoldenHost(connection, names)) as host:
            await then_do(host.client, hub)
            record = await host.end(instance_id)
        after = await content_of(clients, names)

    assert record.runtime_status.value == expected["runtime_status"]
    assert json.loads(record.output or "") == expected["output"]
    assert sorted(host.invoker.called) == CALLED[name]
    assert set(after.message_counts.values()) == {0}
    assert {row["RuntimeStatus"] for row in after.instances} == {"Completed"}
    assert_continued(hub, after)


async def then_do(client: TaskHubClient, hub: Mapping[str, Any]) -> None:
    """Do what lets a recorded hub finish."""
    for request in hub["then_do"]:
        match request.split():
            case ["raise", instance_id, event, data]:
                await client.raise_event(instance_id, event, data)
            case ["resume", instance_id]:
                await client.resume(instance_id)
            case other:
                raise AssertionError(other)


def assert_continued(hub: Mapping[str, Any], after: HubContent) -> None:
    """See that what was stored is there as it was, and that what followed goes on from there."""
    (recorded,) = [table["rows"] for table in hub["tables"] if "History" in table["name"]]
    now = {(row["PartitionKey"], row["RowKey"]): row for row in after.history}
    for body in recorded:
        before, row = read_row(body), now[body["PartitionKey"], body["RowKey"]]
        if body["RowKey"] == SENTINEL:
            assert row["ExecutionId"] == before["ExecutionId"]
            assert row["IsCheckpointComplete"] is True
            assert row["CheckpointCompletedTimestamp"] > before["CheckpointCompletedTimestamp"]  # type: ignore[operator]
        else:
            assert row == before
    executions = {row["PartitionKey"]: row["ExecutionId"] for row in after.instances}
    for instance_id, execution_id in executions.items():
        rows = [row for row in after.history if row["PartitionKey"] == instance_id]
        assert {row["ExecutionId"] for row in rows} == {execution_id}
        assert [row["RowKey"] for row in rows] == [
            *(f"{ordinal:016X}" for ordinal in range(len(rows) - 1)),
            SENTINEL,
        ]
