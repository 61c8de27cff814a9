"""What our host writes for a recorded scenario has the recorded members, columns and types.

The scenarios run at once on one hub. Clients are of another process, so that each of their calls
puts a message, as those of the recordings did. Activities run in the host: the messages of the
recordings that only carry them and their results are not put.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from func_bindings.errors import InstanceAlreadyExistsError, InstanceNotFoundError
from func_host.clock import SystemClock, SystemIds
from func_host.durable import history
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.keys import SENTINEL
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.table_rows import read_row
from tests.azurite.golden_host import PATIENCE_S, GoldenHost, pause, running
from tests.azurite.hosts import new_hub_name
from tests.azurite.ours import OUR_COLUMNS, OUR_EVENTS, OUR_RESOURCES, OUR_VALUES
from tests.azurite.recorded_hubs import HubContent, content_of
from tests.azurite.wire import Put, RowWrite, Wire
from tests.golden.histories.orchestrators import attempts
from tests.golden.histories.rows import read_scenario
from tests.host.durable.backends.azure_storage.golden import scenario_names, shape, whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from func_host.durable.backends.azure_storage.table_rows import Row
    from func_host.durable.client import TaskHubClient
    from tests.azurite.emulator import Azurite

    Drive = Callable[[TaskHubClient, str], Awaitable[None]]

pytestmark = pytest.mark.azurite

LEFT_OUT: Final = {
    "entity-": "`test_written_entities` runs them",
    "http": "the built-in HTTP call is not there yet",
    "restart": "restarting is not there yet",
    "rewind": "rewinding is not there yet",
    "handmade-": "written by hand, to be read only",
    "ids-": "ids make keys and names: the tests of keys and of large values compare them",
    "fire-and-forget": "there is no such call here: a child that nobody waits for is a child",
    "terminate-pending": "recorded as ignored; ours ends the instance, as newer versions do",
}
"""Scenarios that are not run here, by how their names begin, and why."""

ACTIVITY_MESSAGES: Final = frozenset({"TaskScheduled", "TaskCompleted", "TaskFailed"})
OTHER_MESSAGES: Final = {
    "continue-as-new": "its first run waited for a timer, and an event was sent again",
    "event-unknown-instance": "an event was put without a check",
    "start-dedupe": "each of ours is put before it is known whether the id is free",
}
"""Scenarios of which the recording has messages that ours cannot have, or the other way round."""

MARKS: Final = frozenset({"OrchestratorStarted", "OrchestratorCompleted"})
_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SAID: Final = (
    "EventType",
    "EventId",
    "IsPlayed",
    "Name",
    "Version",
    "Input",
    "TaskScheduledId",
    "TimerId",
    "InstanceId",
    "OrchestrationStatus",
    "Generation",
    "Tags",
    "RuntimeStatus",
    "CustomStatus",
    "IsCheckpointComplete",
)


# How the scenarios are driven


async def nothing_more(client: TaskHubClient, instance_id: str) -> None:
    """It ends by itself."""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():
            await pause(0.1)


async def settled(client: TaskHubClient, instance_id: str, length: int = 1) -> None:
    """Wait until the history has come to some length."""

    async def is_long() -> bool:
        try:
            return len(await client.history(instance_id)) >= length
        except InstanceNotFoundError:
            return False

    await until(is_long)


async def events(client: TaskHubClient, instance_id: str) -> None:
    await settled(client, instance_id)
    await client.raise_event(instance_id, "A", "early")
    await settled(client, instance_id, 10)
    await client.raise_event(instance_id, "B", {"x": 1, "y": ["a", None]})


async def approves(client: TaskHubClient, instance_id: str) -> None:
    await settled(client, instance_id)
    await client.raise_event(instance_id, "Approve", "Ann")


async def ends_test(client: TaskHubClient, instance_id: str) -> None:
    await settled(client, instance_id)
    await client.terminate(instance_id, "end of test")


async def terminates(client: TaskHubClient, instance_id: str) -> None:
    await settled(client, instance_id)
    await client.terminate(instance_id, 'no longer "needed"')


async def terminates_child(client: TaskHubClient, instance_id: str) -> None:
    await settled(client, f"{instance_id}-child")
    await client.terminate(f"{instance_id}-child", "child no longer needed")


async def suspends(client: TaskHubClient, instance_id: str) -> None:
    await settled(client, instance_id, 3)
    await client.suspend(instance_id, "pause")
    await settled(client, instance_id, 6)
    await client.raise_event(instance_id, "Go", "while suspended")
    await settled(client, instance_id, 9)
    await client.resume(instance_id, "go on")


async def goes_on(client: TaskHubClient, instance_id: str) -> None:
    for number in (1, 2, 3):

        async def is_in_round(number: int = number) -> bool:
            record = await client.record(instance_id)
            has_history = bool(await client.history(instance_id))
            return record is not None and record.input == str(number) and has_history

        await until(is_in_round)
        await client.raise_event(instance_id, "Go", f"e{number}")


async def raises_much(client: TaskHubClient, instance_id: str) -> None:
    await settled(client, instance_id)
    await client.raise_event(instance_id, "Big", "z" * 102_400)


async def starts_again(client: TaskHubClient, instance_id: str) -> None:
    await ended(client, instance_id)
    await client.start_new("EchoActivity", instance_id, "second")


async def purges(client: TaskHubClient, instance_id: str) -> None:
    await ended(client, instance_id)
    await client.purge_instance_history(instance_id)


async def purges_prefix(client: TaskHubClient, instance_id: str) -> None:
    await client.start_new("Large", f"{instance_id}0", "x" * 40_000)
    await ended(client, f"{instance_id}0")
    await purges(client, instance_id)


async def is_refused(client: TaskHubClient, instance_id: str) -> None:
    with pytest.raises(InstanceNotFoundError):
        await client.raise_event(instance_id, "Go", 1)


async def ended(client: TaskHubClient, instance_id: str) -> None:
    async def has_ended() -> bool:
        record = await client.record(instance_id)
        return record is not None and record.runtime_status.is_terminal

    await until(has_ended)


async def replaces(client: TaskHubClient, instance_id: str) -> None:
    await settled(client, instance_id)
    with pytest.raises(InstanceAlreadyExistsError):
        await client.start_new("WaitOne", instance_id, "refused")
    start = history.ExecutionStarted(
        timestamp=SystemClock().now(),
        orchestration_instance=history.OrchestrationInstance(instance_id, SystemIds().new_id()),
        name="WaitOne",
        input='"replacing"',
        generation=0,
    )
    await client._backend.create_instance(start, replace_unfinished=True)

    async def is_replaced() -> bool:
        found = await client.history(instance_id)
        return any(getattr(event, "input", None) == '"replacing"' for event in found)

    await until(is_replaced)
    await client.raise_event(instance_id, "Go", "x")


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a scenario is run, and what of it is chance.

    Args:
        orchestrator: What is started; empty where nothing is.
        drive: What clients do then.
        given: The input.
        has_episodes: Whether the order of rows and the marks of episodes are compared.
        start_delay_s: How much later it is to start.
    """

    orchestrator: str
    drive: Drive = nothing_more
    given: object = None
    has_episodes: bool = True
    start_delay_s: float = 0


_LARGE: Final = {"large-35k": 35_000, "large-100k": 102_400, "large-1m": 1_048_576}
SCENARIOS: Final = {
    "activity-fails": Scenario("Fails"),
    "activity-fails-caught": Scenario("Caught"),
    "chain": Scenario("Chain"),
    "continue-as-new": Scenario("Rounds", goes_on, 1, has_episodes=False),
    "continue-as-new-activity": Scenario("RoundsActivity", given=1, has_episodes=False),
    "continue-as-new-plain": Scenario("RoundsPlain", given=1, has_episodes=False),
    "custom-status": Scenario("Status"),
    "event": Scenario("EventBefore", events),
    "event-timeout": Scenario("EventTimeout"),
    "event-unknown-instance": Scenario("", is_refused),
    "fan-out": Scenario("FanOut", has_episodes=False),
    "fan-out-120": Scenario("FanOutMany", has_episodes=False),
    "input": Scenario("EchoActivity", given='héllo "wörld" <&> 日本 😀 \t\n'),
    "large-event": Scenario("LargeEvent", raises_much),
    **{name: Scenario("Large", given="x" * size) for name, size in _LARGE.items()},
    "no-activity": Scenario("Nothing"),
    "orchestrator-throws": Scenario("Throws"),
    "purge": Scenario("Large", purges, "x" * 40_000),
    "purge-prefix": Scenario("Large", purges_prefix, "x" * 40_000),
    "retry": Scenario("Retry"),
    "retry-exhausted": Scenario("RetryExhausted"),
    "scheduled-start": Scenario("Echo", given="later", start_delay_s=3),
    "start-again": Scenario("Echo", starts_again, "first"),
    "start-dedupe": Scenario("WaitOne", replaces),
    "sub-orchestration": Scenario("Parent"),
    "sub-orchestration-fails": Scenario("ParentOfFailing"),
    "sub-orchestration-retry": Scenario("ParentRetries"),
    "sub-orchestration-terminated": Scenario("ParentCatches", terminates_child),
    "suspend-resume": Scenario("WaitOne", suspends),
    "terminate": Scenario("WaitOne", terminates),
    "timer": Scenario("TimerOnly"),
    "timer-cancelled": Scenario("TimerOrEvent", approves),
    "timer-long": Scenario("LongTimer", ends_test),
}


RACES: Final = frozenset({"event", "timer-cancelled"})
"""Where an event must come before a timer: they run before the others, who take their time."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a host wrote, and what there was in the end."""

    content: HubContent
    puts: Sequence[Put]
    writes: Sequence[RowWrite]


@pytest.fixture(scope="module")
def written(azurite: Azurite) -> Written:
    """Run all scenarios at once."""
    return asyncio.run(run_all(azurite))


async def run_all(azurite: Azurite) -> Written:
    attempts.clear()
    names = TaskHubNames(new_hub_name())
    async with Wire(azurite.connection_string) as wire:
        connection = parse_connection_string(wire.connection_string, setting="test")
        client = GoldenHost(connection, names, works=False)
        async with running(GoldenHost(connection, names)), running(client):
            await asyncio.gather(*(run(client, name) for name in RACES))
            await asyncio.gather(*(run(client, name) for name in SCENARIOS.keys() - RACES))
        async with StorageClients(connection) as clients:
            content = await content_of(clients, names)
    return Written(content, wire.puts, wire.writes)


async def run(host: GoldenHost, name: str) -> None:
    scenario, instance_id = SCENARIOS[name], read_scenario(name)["instance_ids"][0]
    client = host.client
    if scenario.start_delay_s:
        now = SystemClock().now()
        start = history.ExecutionStarted(
            timestamp=now,
            orchestration_instance=history.OrchestrationInstance(instance_id, SystemIds().new_id()),
            name=scenario.orchestrator,
            input=json.dumps(scenario.given),
            scheduled_start_time=now + timedelta(seconds=scenario.start_delay_s),
            generation=0,
        )
        await host.backend.create_instance(start)
    elif scenario.orchestrator:
        await client.start_new(scenario.orchestrator, instance_id, scenario.given)
    await scenario.drive(client, instance_id)
    for row in read_scenario(name)["final_instances"]:
        key = row["PartitionKey"]
        if not _ID.search(key):
            await ended(client, key)


def test_every_scenario_is_run_or_left_out_with_a_reason() -> None:
    left_out = {name for name in scenario_names() if name.startswith(tuple(LEFT_OUT))}

    assert set(scenario_names()) == left_out | SCENARIOS.keys()
    assert not left_out & SCENARIOS.keys()


def test_what_is_left_out_of_the_comparison_stands_in_the_architecture() -> None:
    text = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text("utf-8")
    section = text.partition("### What is ours in an Azure Storage hub")[2].partition("\n## ")[0]

    for name in (*OUR_COLUMNS, *OUR_VALUES, *OUR_EVENTS, *OUR_RESOURCES):
        assert name.rstrip("0123456789") in section


# Rows


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_rows_at_the_end_are_the_recorded_ones(name: str, written: Written) -> None:
    recorded, ids = read_scenario(name), ids_of(name, written)
    ours = [row for row in written.content.history if row["PartitionKey"] in ids]
    theirs = [read_row(whole(row)) for row in recorded["final_history"]]
    statuses = [row for row in written.content.instances if row["PartitionKey"] in ids]

    assert same_order(outline(row) for row in statuses) == same_order(
        outline(read_row(whole(row))) for row in recorded["final_instances"]
    )
    if SCENARIOS[name].has_episodes:
        assert by_instance(ours) == by_instance(theirs)
    else:
        missing = Counter(without_marks(theirs)) - Counter(without_marks(ours))
        added = Counter(without_marks(ours)) - Counter(without_marks(theirs))
        assert not missing
        assert not added or name == "fan-out-120"  # of which the recording holds a part


def ids_of(name: str, written: Written) -> set[str]:
    """Give the instances of a scenario; a default id of a child begins with its parent's run."""
    ids = set(read_scenario(name)["instance_ids"])
    runs = {
        str(row["ExecutionId"]) for row in written.content.history if row["PartitionKey"] in ids
    }
    children = (str(row["PartitionKey"]) for row in written.content.instances)
    return ids | {child for child in children if child.partition(":")[0] in runs}


def by_instance(rows: Iterable[Row]) -> list[list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        if row.get("EventType") not in OUR_EVENTS:
            found.setdefault(str(row["PartitionKey"]), []).append(outline(row))
    return sorted(found.values(), key=repr)


def without_marks(rows: Iterable[Row]) -> list[str]:
    """Give rows without their places, and without the marks of episodes."""
    left = (row for row in rows if row.get("EventType") not in MARKS | OUR_EVENTS)
    return [
        repr(outline({name: value for name, value in row.items() if name != "RowKey"}))
        for row in left
    ]


def same_order(rows: Iterable[Any]) -> list[Any]:
    return sorted(rows, key=repr)


def outline(row: Row) -> Any:
    """Give what must be alike of a row: keys, what it says, its columns and their types."""
    values = {
        name: named(row[name])
        for name in ("PartitionKey", "RowKey", *_SAID)
        if name in row and is_told(name, row[name])
    }
    columns = {
        name: type(value).__name__
        for name, value in row.items()
        if name not in OUR_COLUMNS | OUR_VALUES | {"Timestamp"} and is_given(name, value)
    }
    return values, dict(sorted(columns.items()))


def is_told(name: str, value: object) -> bool:
    """Leave out texts that lie in blobs, by whatever name, and what is not given."""
    is_large = isinstance(value, str) and (len(value) > 1_000 or "-largemessages/" in value)
    return is_given(name, value) and not (name == "Input" and (is_large or not value))


def is_given(name: str, value: object) -> bool:
    """Tell whether there is a value: what takes or gives nothing has `null` in Python."""
    return not (name in {"Input", "Result", "Output"} and value in {None, "null"})


def named(value: object) -> object:
    """Put a word in the place of ids."""
    if not isinstance(value, str):
        return value
    return _ID.sub("(id)", value)


# Messages


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_messages_have_the_recorded_members(name: str, written: Written) -> None:
    theirs = [message["envelope"] for message in read_scenario(name)["messages"]]
    ids = ids_of(name, written)
    puts = [
        one
        for one in written.puts
        if target_of(one.envelope) in ids and kind_of(one.envelope) not in OUR_EVENTS
    ]
    ours = Counter(message_outline(one.envelope) for one in puts)
    recorded = Counter(message_outline(whole(each)) for each in theirs)
    not_put = recorded - ours

    assert name == "start-dedupe" or not ours - recorded
    assert {one.ttl for one in puts} <= {"-1"}
    if name not in OTHER_MESSAGES:
        assert {kind for kind, *_ in not_put} <= ACTIVITY_MESSAGES


def target_of(envelope: Mapping[str, Any]) -> str:
    if envelope["TaskMessage"] is None:
        return str(envelope["CompressedBlobName"]).partition("/")[0]
    return str(envelope["TaskMessage"]["OrchestrationInstance"]["InstanceId"])


def kind_of(envelope: Mapping[str, Any]) -> str:
    if envelope["TaskMessage"] is None:
        return str(envelope["CompressedBlobName"]).rpartition("-")[2].removesuffix(".json.gz")
    name = str(envelope["TaskMessage"]["Event"]["$type"]).rpartition(".")[2]
    return name if name in OUR_EVENTS else name.removesuffix("Event")


def message_outline(envelope: Mapping[str, Any]) -> tuple[str, str, str]:
    """Give what must be alike of a message: kind, what it says, its members in order with types."""
    if envelope["TaskMessage"] is None:
        return kind_of(envelope), target_of(envelope), json.dumps(shape(envelope))
    event = envelope["TaskMessage"]["Event"]
    said = {
        name: named(event[name]) for name in _SAID if name in event and is_told(name, event[name])
    }
    members = {
        name: value if name not in OUR_VALUES and is_given(name, value) else None
        for name, value in event.items()
    }
    whole_shape = shape({**envelope, "TaskMessage": {**envelope["TaskMessage"], "Event": members}})
    target = str(named(target_of(envelope)))
    return kind_of(envelope), json.dumps([target, said]), json.dumps(whole_shape)


# Writes


@pytest.mark.parametrize("name", SCENARIOS)
def test_rows_are_written_with_the_recorded_verbs(name: str, written: Written) -> None:
    """But for what is safer or cheaper, and comes to the same.

    Our status row is written under its ETag, once it is there; rows of the history that cannot be
    there may be inserted; runs that follow each other at once are written one by one.
    """
    recorded, ids = read_scenario(name), ids_of(name, written)
    theirs = {
        (operation["row_key"] == SENTINEL, operation["verb"], operation.get("if_match") is None)
        for request in recorded["history"]
        for operation in request["operations"]
        if operation.get("verb", "delete") != "delete"
    }
    ours = {
        (write.row["RowKey"] == SENTINEL, write.verb, write.if_match is None)
        for write in written.writes
        if write.table.endswith("History") and write.row["PartitionKey"] in ids
    }
    statuses = {
        (write.verb, write.if_match is None)
        for write in written.writes
        if write.table.endswith("Instances") and write.row["PartitionKey"] in ids
    }
    is_replaced = any(each["verb"] == "replace" for each in recorded["instances"])

    assert ours <= theirs | {(False, "insert", True), (True, "merge", False)}
    assert statuses <= {("insert", True), ("merge", False), ("replace", False)}
    assert (("replace", False) in statuses) == is_replaced


def test_messages_are_put_before_the_rows_that_record_them(written: Written) -> None:
    rows = {
        (write.row["ExecutionId"], write.row["EventType"], write.row["EventId"]): write.seq
        for write in reversed(written.writes)
        if write.table.endswith("History") and write.row["RowKey"] != SENTINEL
    }
    checked: Counter[str] = Counter()
    for put in written.puts:
        if put.envelope["TaskMessage"] is None:
            continue
        event, sender = put.envelope["TaskMessage"]["Event"], put.envelope["Sender"]
        row = None
        if kind_of(put.envelope) == "TimerFired":
            row = (sender["ExecutionId"], "TimerCreated", event["TimerId"])
        elif kind_of(put.envelope) == "ExecutionStarted" and event["ParentInstance"]:
            step = event["ParentInstance"]["TaskScheduleId"]
            row = (sender["ExecutionId"], "SubOrchestrationInstanceCreated", step)
        if row in rows:
            checked[row[1]] += 1
            assert put.seq < rows[row]
    assert checked["TimerCreated"] >= 7
    assert checked["SubOrchestrationInstanceCreated"] >= 6


# What is purged


@pytest.mark.parametrize(("name", "left"), [("purge", 0), ("purge-prefix", 1)])
def test_a_purge_leaves_nothing_and_takes_nothing_of_others(
    name: str, left: int, written: Written
) -> None:
    purged = read_scenario(name)["instance_ids"][0]
    (blobs,) = [found for at, found in written.content.blobs.items() if "large" in at]
    statuses = [str(row["PartitionKey"]) for row in written.content.instances]

    assert purged not in statuses
    assert not [row for row in written.content.history if row["PartitionKey"] == purged]
    assert not [blob for blob in blobs if blob.startswith(f"{purged}/")]
    assert statuses.count(f"{purged}0") == left
    assert any(blob.startswith(f"{purged}0/") for blob in blobs) == bool(left)


def test_nothing_is_left_in_the_queues_but_a_timer_of_days(written: Written) -> None:
    assert sum(written.content.message_counts.values()) <= 1
