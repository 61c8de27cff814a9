"""What our host writes for recorded entities has the recorded members, columns and types.

The scenarios run at once on one hub, and clients are of another process, as in `test_written_hub`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from func_bindings.durable.entities import EntityId
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.keys import SENTINEL
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.table_rows import read_row
from tests.azurite.golden_host import PATIENCE_S, GoldenHost, pause, running
from tests.azurite.hosts import new_hub_name
from tests.azurite.ours import OUR_BLOBS
from tests.azurite.recorded_hubs import HubContent, content_of
from tests.azurite.test_written_hub import (
    ACTIVITY_MESSAGES,
    Written,
    by_instance,
    ended,
    kind_of,
    message_outline,
    named,
    outline,
    same_order,
    target_of,
)
from tests.azurite.wire import Wire
from tests.golden.histories.rows import read_scenario
from tests.host.durable.backends.azure_storage.golden import scenario_names, whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from func_host.durable.backends.azure_storage.table_rows import Row
    from func_host.durable.client import TaskHubClient
    from tests.azurite.emulator import Azurite

    Drive = Callable[[TaskHubClient, EntityId], Awaitable[None]]

pytestmark = pytest.mark.azurite

OTHER_MESSAGES: Final = {
    "entity-scheduled": "the recorded entity got its own signal early, and sent it on seven times",
}
"""Scenarios of which the recording has messages that ours need not have."""

OURS: Final = "ours-large"
"""What is run beside the scenarios."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")
_SUFFIX: Final = re.compile(r"-[0-9A-F]{8}-|https?://[^/]+/[^/]+/[^/]+-largemessages/")
_AFTER_S: Final = 4
"""How much later the orchestration that was recorded has its operation done."""


# How the scenarios are driven


def signals(*operations: tuple[str, object]) -> Drive:
    """Signal operations, each after the one before has been accepted."""

    async def drive(client: TaskHubClient, entity: EntityId) -> None:
        for operation, given in operations:
            await client.signal_entity(entity, operation, given)

    return drive


def starts(orchestrator: str) -> Drive:
    """Start an orchestration that is called as the key of the entity is."""

    async def drive(client: TaskHubClient, entity: EntityId) -> None:
        await client.start_new(orchestrator, instance_id_of(entity))

    return drive


def then(*drives: Drive) -> Drive:
    """Do one after the other, each when nothing is to be done for the one before."""

    async def drive(client: TaskHubClient, entity: EntityId) -> None:
        for each in drives:
            await each(client, entity)
            await at_rest(client, entity)

    return drive


async def at_rest(client: TaskHubClient, entity: EntityId) -> None:
    """Wait until the entity is there, and the orchestration has ended, if there is one."""
    async with asyncio.timeout(PATIENCE_S):
        while not await client.stored_entity(entity):
            await pause(0.1)
    if await client.record(instance_id_of(entity)) is not None:
        await ended(client, instance_id_of(entity))


async def schedules(client: TaskHubClient, entity: EntityId) -> None:
    """Have an operation done later by a client, an orchestration, and the entity itself."""
    await client.signal_entity(entity, "add", 1, at=timedelta(seconds=_AFTER_S))
    await client.start_new("EntityScheduledFromOrchestration", instance_id_of(entity))
    await until_state(client, entity, 4)
    await client.signal_entity(entity, "later")


async def cleans(client: TaskHubClient, entity: EntityId) -> None:
    """Nothing is cleaned that has been there a moment ago."""
    await signals(("add", 1))(client, entity)
    await until_state(client, entity, 1)
    await client.signal_entity(entity, "delete")
    await until_state(client, entity, None)
    cleaned = await client.clean_entity_storage()

    assert (cleaned.empty_entities_removed, cleaned.orphaned_locks_released) == (0, 0)


async def answers_at_length(client: TaskHubClient) -> None:
    """Have an entity answer with much text, and do something else; that was not recorded."""
    entity = EntityId("counter", OURS)
    await then(starts("EntityCallBig"), signals(("add", 1)))(client, entity)
    await until_state(client, entity, 1)


async def until_state(client: TaskHubClient, entity: EntityId, state: object) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await client.read_entity_state(entity)
            if (found.entity_state if found.entity_exists else None) == state:
                return
            await pause(0.1)


def instance_id_of(entity: EntityId) -> str:
    return entity.key


SCENARIOS: Final[Mapping[str, Drive]] = {
    "entity-signal": signals(("add", 1), ("add", 2)),
    "entity-batch": signals(*(("add", number) for number in range(1, 6))),
    "entity-call": starts("EntityCall"),
    "entity-clean": cleans,
    "entity-delete": signals(("add", 1), ("delete", None)),
    "entity-large": then(signals(("setbig", 70_000)), starts("EntityCallBig")),
    "entity-lock": starts("EntityLock"),
    "entity-scheduled": schedules,
    "entity-starts-orchestration": signals(("start", "golden-entity-starts-orchestration-started")),
    "entity-throws": then(signals(("add", 1), ("fail", None)), starts("EntityCallThrows")),
    "entity-to-entity": signals(("forward", "golden-entity-to-entity-target")),
}


@pytest.fixture(scope="module")
def written(azurite: Azurite) -> Written:
    """Run all scenarios at once."""
    return asyncio.run(run_all(azurite))


async def run_all(azurite: Azurite) -> Written:
    names = TaskHubNames(new_hub_name())
    async with Wire(azurite.connection_string) as wire:
        connection = parse_connection_string(wire.connection_string, setting="test")
        client = GoldenHost(connection, names, works=False)
        async with (
            running(GoldenHost(connection, names)),
            running(client),
            StorageClients(parse_connection_string(azurite.connection_string, setting="")) as own,
        ):
            await asyncio.gather(
                answers_at_length(client.client),
                *(
                    drive(client.client, EntityId("counter", f"golden-{name}"))
                    for name, drive in SCENARIOS.items()
                ),
            )
            content = await content_at_rest(own, names)
    return Written(content, wire.puts, wire.writes)


async def content_at_rest(clients: StorageClients, names: TaskHubNames) -> HubContent:
    """Wait until all has come to what was recorded, and nothing lies in a queue."""
    wanted = statuses([row for name in SCENARIOS for row in read_scenario(name)["final_instances"]])
    found: Mapping[str, object] = {}
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                content = await content_of(clients, names)
                found = statuses(content.instances)
                if found == wanted and not any(content.message_counts.values()):
                    return content
                await pause(0.1)
    except TimeoutError:
        assert found == wanted
        raise


def statuses(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Give what the status rows say, but for ids and times."""
    return {
        row["PartitionKey"]: (row["RuntimeStatus"], comparable(row.get("Input", "")))
        for row in rows
        if not row["PartitionKey"].endswith(OURS)
    }


def comparable(text: str) -> str:
    """Put words in the place of times, ids, names of blobs, and of exceptions.

    The recorded exceptions are those of .NET; answers that tell of ours have one member more, which
    newer workers write.
    """
    if '"exceptionType"' in text:
        return json.dumps(sorted(json.loads(text).keys() - {"failureDetails"}))
    return str(named(_SUFFIX.sub("(some)", _TIME.sub("(time)", text))))


def ids_of(name: str) -> set[str]:
    return set(read_scenario(name)["instance_ids"])


def of(name: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["PartitionKey"] in ids_of(name)]


def test_every_recorded_entity_is_run() -> None:
    assert {name for name in scenario_names() if name.startswith("entity-")} == SCENARIOS.keys()


# Rows


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_rows_of_entities_are_the_recorded_ones(name: str, written: Written) -> None:
    recorded = read_scenario(name)
    theirs = [timeless(read_row(whole(row))) for row in recorded["final_history"]]
    ours = [timeless(row) for row in of(name, written.content.history)]

    assert by_instance(ours) == by_instance(theirs)

    theirs = [timeless(read_row(whole(row))) for row in recorded["final_instances"]]
    ours = [timeless(row) for row in of(name, written.content.instances)]

    assert same_order(map(outline, ours)) == same_order(map(outline, theirs))


def timeless(row: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: row[name] for name in ("Name", "Input") if isinstance(row.get(name), str)}
    return {**row, **{name: comparable(str(text)) for name, text in texts.items()}}


def test_the_rows_of_entities_are_written_with_the_recorded_verbs(written: Written) -> None:
    """How many batches there are is chance; ours inserts rows that cannot be there."""
    entities = {one for name in SCENARIOS for one in ids_of(name) if one.startswith("@")}
    theirs = {
        (operation["row_key"] == SENTINEL, operation["verb"], operation.get("if_match") is None)
        for name in SCENARIOS
        for request in read_scenario(name)["history"]
        if request["instance"] in entities
        for operation in request["operations"]
        if operation.get("verb", "delete") != "delete"
    }
    ours = {
        (write.row["RowKey"] == SENTINEL, write.verb, write.if_match is None)
        for write in written.writes
        if write.table.endswith("History") and write.row["PartitionKey"] in entities
    }

    assert ours <= theirs | {(False, "insert", True)}


# Messages


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_messages_of_entities_have_the_recorded_members(name: str, written: Written) -> None:
    theirs = Counter(said(whole(each["envelope"])) for each in read_scenario(name)["messages"])
    ours = Counter(
        said(one.envelope) for one in written.puts if target_of(one.envelope) in ids_of(name)
    )

    assert not list(ours - theirs), list(theirs - ours)
    if name in OTHER_MESSAGES:
        assert not theirs.keys() - ours.keys()
    else:
        assert {kind for kind, *_ in theirs - ours} <= ACTIVITY_MESSAGES


def test_only_events_and_starts_are_put(written: Written) -> None:
    assert {kind_of(one.envelope) for one in written.puts} <= {"EventRaised", "ExecutionStarted"}


def said(envelope: Mapping[str, Any]) -> tuple[str, str, str]:
    """Give what must be alike of a message, whatever its times."""
    message = envelope["TaskMessage"]
    if message is None:
        blob = str(named(envelope["CompressedBlobName"]))
        return message_outline({**envelope, "CompressedBlobName": blob})
    event = message["Event"]
    return message_outline({**envelope, "TaskMessage": {**message, "Event": timeless(event)}})


# Large states


def test_the_blobs_of_a_large_state_are_the_recorded_ones(written: Written) -> None:
    """That of the state before is deleted."""
    recorded = read_scenario("entity-large")["blobs"]
    theirs = [
        one["name"]
        for one in recorded
        if not any(request["request"] == "DELETE" for request in one["requests"])
    ]
    found = [blob for blob in blobs_of(written) if blob.partition("/")[0] in ids_of("entity-large")]
    ours = [blob for blob in found if not any(part in blob for part in OUR_BLOBS)]

    assert Counter(map(comparable, ours)) == Counter(map(comparable, theirs))
    assert len(found) == len(ours) + 1, "the outbox of the last batch, which answered at length"


def blobs_of(written: Written) -> frozenset[str]:
    (found,) = [blobs for at, blobs in written.content.blobs.items() if "large" in at]
    return found


def test_a_batch_deletes_what_the_one_before_had_to_send(written: Written) -> None:
    assert {blob.partition("/")[0] for blob in blobs_of(written) if OURS in blob} == {OURS}


def test_a_status_row_leads_to_the_large_state(written: Written) -> None:
    entity = "@counter@golden-entity-large"
    (status,) = [one for one in written.content.instances if one["PartitionKey"] == entity]
    history = [one for one in written.content.history if one["PartitionKey"] == entity]
    (start,) = [one for one in history if one.get("EventType") == "ExecutionStarted"]

    assert str(status["Input"]).endswith(f"-largemessages/{start['InputBlobName']}")
    assert start["Input"] == ""
