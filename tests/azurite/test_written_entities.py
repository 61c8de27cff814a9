"""What our host writes for recorded entities has the recorded members, columns and types."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest

from func_bindings.durable.entities import EntityId
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.table_rows import read_row
from tests.azurite.golden_host import PATIENCE_S, GoldenHost, pause, running
from tests.azurite.hosts import new_hub_name
from tests.azurite.recorded_hubs import content_of
from tests.azurite.test_written_hub import (
    ACTIVITY_MESSAGES,
    by_instance,
    kind_of,
    message_outline,
    outline,
    same_order,
    target_of,
)
from tests.azurite.wire import Wire
from tests.golden.histories.rows import read_scenario
from tests.host.durable.backends.azure_storage.golden import whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from func_host.durable.backends.azure_storage.table_rows import Row
    from tests.azurite.emulator import Azurite

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]

Signals = list[tuple[str, object]]
SIGNALS: Final[Mapping[str, Signals]] = {
    "entity-signal": [("add", 1), ("add", 2)],
    "entity-batch": [("add", number) for number in range(1, 6)],
    "entity-delete": [("add", 1), ("delete", None)],
    "entity-to-entity": [("forward", "golden-entity-to-entity-target")],
    "entity-starts-orchestration": [("start", "golden-entity-starts-orchestration-started")],
}
"""What a client signals to the counter of a scenario."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")


@pytest.mark.parametrize("name", SIGNALS)
async def test_an_entity_is_written_as_it_was_recorded(name: str, azurite: Azurite) -> None:
    """Rows at the end, and messages."""
    recorded = read_scenario(name)
    names = TaskHubNames(new_hub_name())
    async with Wire(azurite.connection_string) as wire:
        connection = parse_connection_string(wire.connection_string, setting="test")
        client = GoldenHost(connection, names, works=False)
        async with running(GoldenHost(connection, names)), running(client):
            entity = EntityId.parse(recorded["instance_ids"][0])
            for operation, given in SIGNALS[name]:
                await client.client.signal_entity(entity, operation, given)
            async with asyncio.timeout(PATIENCE_S), StorageClients(connection) as clients:
                while True:
                    await pause(0.1)
                    content = await content_of(clients, names)
                    if statuses(content.instances) == statuses(recorded["final_instances"]):
                        break
            async with asyncio.timeout(PATIENCE_S), StorageClients(connection) as clients:
                while any(content.message_counts.values()):
                    content = await content_of(clients, names)

    final = [read_row(whole(row)) for row in recorded["final_history"]]
    assert by_instance(map(timeless, content.history)) == by_instance(map(timeless, final))
    final = [read_row(whole(row)) for row in recorded["final_instances"]]
    assert same_order(outline(timeless(row)) for row in content.instances) == same_order(
        outline(timeless(row)) for row in final
    )
    theirs = Counter(said(whole(each["envelope"])) for each in recorded["messages"])
    ours = Counter(said(one.envelope) for one in wire.puts if target_of(one.envelope))
    assert not list(ours - theirs), list(theirs - ours)
    assert {kind for kind, *_ in theirs - ours} <= ACTIVITY_MESSAGES
    assert {kind_of(one.envelope) for one in wire.puts} <= {"EventRaised", "ExecutionStarted"}


def statuses(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Give what the status rows say, but for ids and times."""
    return {
        row["PartitionKey"]: (row["RuntimeStatus"], _TIME.sub("(time)", row.get("Input", "")))
        for row in rows
    }


def timeless(row: Row) -> Row:
    """Put a word in the place of the times in an entity."""
    text = row.get("Input")
    return {**row, "Input": _TIME.sub("(time)", text)} if isinstance(text, str) else row


def said(envelope: Mapping[str, Any]) -> tuple[str, str, str]:
    """Give what must be alike of a message, whatever its times."""
    event = envelope["TaskMessage"]["Event"]
    text = event.get("Input")
    event = {**event, "Input": None if text is None else _TIME.sub("(time)", text)}
    return message_outline({**envelope, "TaskMessage": {**envelope["TaskMessage"], "Event": event}})
