"""Our host takes the recorded scenarios over at every one of their checkpoints.

Each hub is as a worker would have left it that died right after its n-th transaction: the history
is written, the status row is not, and the message that led to it is still there. All scenarios that
have so many checkpoints lie in one hub. What clients sent later is put into the queues at once.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.client_batch import Insert, Merge, Replace
from func_host.durable.backends.azure_storage.hub_resources import create_hub
from func_host.durable.backends.azure_storage.keys import SENTINEL, escape_key
from func_host.durable.backends.azure_storage.table_rows import read_row
from tests.azurite.golden_host import GoldenHost, running
from tests.azurite.recorded_hubs import content_of
from tests.golden.histories.rows import read_scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]

SCENARIOS: Final = (
    "activity-fails",
    "activity-fails-caught",
    "chain",
    "continue-as-new-activity",
    "continue-as-new-plain",
    "custom-status",
    "event",
    "event-timeout",
    "fan-out",
    "input",
    "no-activity",
    "orchestrator-throws",
    "retry-exhausted",
    "sub-orchestration",
    "sub-orchestration-fails",
    "sub-orchestration-retry",
    "sub-orchestration-terminated",
    "suspend-resume",
    "terminate",
    "timer",
)
"""Those whose functions are the same here, and whose recordings hold all they wrote.

A race against a timer is left out: by now the timer is long due.
"""

MOST: Final = max(len(read_scenario(name)["history"]) for name in SCENARIOS)
_DELETED: Final = re.compile(r"\s*(\d+) \| delete message \| (\S+) \| (\w+)")


@dataclass(frozen=True, slots=True)
class Cut:
    """A scenario as it was after one of its transactions.

    Args:
        scenario: What was recorded.
        seq: The transaction.
    """

    scenario: Mapping[str, Any]
    seq: int

    def messages(self) -> list[Mapping[str, Any]]:
        """Give what lies in the queues, and what clients sent later."""
        deleted: Counter[tuple[str, str]] = Counter()
        for line in self.scenario["requests"]:
            match = _DELETED.match(line)
            if match and int(match[1]) <= self.seq:
                deleted[match[2], match[3]] += 1
        left: list[Mapping[str, Any]] = []
        for message in self.scenario["messages"]:
            kind = message["queue"], message["event"]
            if message["seq"] > self.seq and message["envelope"]["Sender"]["InstanceId"]:
                continue
            if deleted[kind]:
                deleted[kind] -= 1
            else:
                left.append(message)
        return left

    def writes(self) -> Iterator[tuple[str, Insert | Merge | Replace]]:
        """Give the writes of rows, each with its table."""
        for request in self._before("history"):
            for operation in request["operations"]:
                keys = {
                    "PartitionKey": escape_key(request["instance"]),
                    "RowKey": operation["row_key"],
                }
                row = read_row({**operation["row"], **keys})
                yield "History", (Merge if keys["RowKey"] == SENTINEL else Replace)(row)
        for write in self._before("instances"):
            keys = {"PartitionKey": escape_key(write["instance"]), "RowKey": ""}
            yield "Instances", Merge(read_row({**write["row"], **keys}))

    def calls(self) -> tuple[int, int]:
        """Give how many calls of activities are left at least, and at most.

        Where a worker dies before it has deleted the message of an activity, that runs again.
        """
        final = Counter(row.get("EventType") for row in self.scenario["final_history"])
        events = [
            operation["row"].get("EventType")
            for request in self._before("history")
            for operation in request["operations"]
        ]
        runs = [message for message in self.scenario["messages"] if is_run(message)]
        answers = [message for message in self.scenario["messages"] if is_answer(message)]
        answered = sum(message["seq"] <= self.seq for message in answers)
        assert final["TaskScheduled"] <= len(runs)
        assert events
        least = len(runs) - answered
        return least, least + sum(is_run(message) for message in self.messages())

    def _before(self, kind: str) -> list[Mapping[str, Any]]:
        return [each for each in self.scenario[kind] if each["seq"] <= self.seq]


def is_run(message: Mapping[str, Any]) -> bool:
    return bool(message["event"] == "TaskScheduledEvent")


def is_answer(message: Mapping[str, Any]) -> bool:
    return bool(message["event"] in {"TaskCompletedEvent", "TaskFailedEvent"})


def cuts(place: int) -> list[Cut]:
    """Give the scenarios that have so many transactions, as they were then."""
    found: list[Cut] = []
    for name in SCENARIOS:
        scenario = read_scenario(name)
        if place < len(scenario["history"]):
            found.append(Cut(scenario, scenario["history"][place]["seq"]))
    return found


@pytest.mark.parametrize("place", range(MOST))
async def test_scenarios_are_completed_from_any_checkpoint(
    place: int, connection: StorageConnection, names: TaskHubNames
) -> None:
    hub = cuts(place)
    expected = {row["PartitionKey"]: row for cut in hub for row in cut.scenario["final_instances"]}
    async with StorageClients(connection) as clients:
        await create_hub(clients, names, 4)
        for cut in hub:
            await load(clients, names, cut)
        async with running(GoldenHost(connection, names)) as host:
            await asyncio.gather(*(there_and_ended(host, each) for each in expected))
        after = await content_of(clients, names)

    ended = {str(row["PartitionKey"]): row for row in after.instances}
    assert ended.keys() == expected.keys()
    for instance_id, row in expected.items():
        assert ended[instance_id]["RuntimeStatus"] == row["RuntimeStatus"], instance_id
        if row["RuntimeStatus"] == "Completed" and "caught" not in row.get("Output", ""):
            assert ended[instance_id].get("Output", "null") == row.get("Output", "null")
    least, most = map(sum, zip(*(cut.calls() for cut in hub), strict=True))
    assert least <= len(host.invoker.called) <= most
    assert sum(after.message_counts.values()) == 0


async def there_and_ended(host: GoldenHost, instance_id: str) -> None:
    """Wait until an instance has ended; a child may not be there yet."""

    async def is_there() -> bool:
        return await host.client.record(instance_id) is not None

    await host.until_soon(is_there)
    await host.end(instance_id)


async def load(clients: StorageClients, names: TaskHubNames, cut: Cut) -> None:
    """Put a scenario into a hub."""
    for table, write in cut.writes():
        await clients.table(f"{names.hub}{table}").write(write)
    for message in cut.messages():
        queue = message["queue"].replace("goldenhub", names.hub.lower())
        await clients.queue(queue).send_message(message["text"], time_to_live=-1)
