"""Status rows: what a client and a checkpoint write is what the provider wrote, and is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import StatusChange
from func_host.durable.backends.azure_storage.history_rows import read_history_row
from func_host.durable.backends.azure_storage.instance_rows import (
    checkpoint_row,
    creation_row,
    input_of_blob,
    read_instance_row,
    rewound_instance_row,
    says_status,
    terminated_row,
)
from func_host.durable.backends.azure_storage.large import is_large, offload
from func_host.durable.backends.azure_storage.messages import (
    Envelope,
    Party,
    decode_envelope,
    encode_envelope,
)
from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.table_rows import moment_of, read_row, row_body
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorStarted,
)
from tests.host.durable.backends.azure_storage.golden import (
    comparable,
    history_writes,
    scenario,
    scenario_names,
    whole,
    with_blobs,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
NAMES = TaskHubNames("GoldenHub")
CONTAINER = NAMES.large_messages_container
IGNORED = {"PartitionKey", "RowKey"}
START = ExecutionStarted(
    timestamp=NOW,
    orchestration_instance=OrchestrationInstance("a/b", "e1"),
    name="F",
    input='"in"',
)


@dataclass(frozen=True, slots=True)
class Write:
    """A recorded write of a status row, with what led to it."""

    name: str
    instance: str
    seq: int
    body: dict[str, Any]
    history: tuple[HistoryEvent, ...]
    new_events: tuple[HistoryEvent, ...]

    def __str__(self) -> str:
        return f"{self.name}-{self.seq}"


def writes(*verbs: str) -> list[Write]:
    found: list[Write] = []
    for name in scenario_names():
        if ("trimmed" in scenario(name) and name != "ids-allowed") or name.startswith("handmade"):
            continue
        records = scenario(name)["instances"]
        found.extend(_write(name, record) for record in records if record["verb"] in verbs)
    return found


def _write(name: str, record: dict[str, Any]) -> Write:
    """Find the events that the history held then, and those of the checkpoint of this write."""
    events: dict[str, HistoryEvent] = {}
    new: list[HistoryEvent] = []
    for write in history_writes(name):
        if write.instance != record["instance"] or write.seq > record["seq"]:
            continue
        new = []
        for verb, key, body in zip(write.verbs, write.keys, write.bodies, strict=True):
            if verb == "insert-or-replace":
                if key == "0" * 16:
                    events.clear()
                events[key] = read_history_row(with_blobs(body))
                new.append(events[key])
            elif verb == "replace":
                events[key] = read_history_row(with_blobs(body))
    return Write(
        name=name,
        instance=record["instance"],
        seq=record["seq"],
        body=whole(record["row"]),
        history=tuple(events[key] for key in sorted(events)),
        new_events=tuple(new),
    )


def start_before(name: str, instance: str, seq: int) -> ExecutionStarted:
    """Give the start that a client sent; where it lies in a blob, what its row says of it."""
    for message in reversed(scenario(name)["messages"]):
        if message["seq"] < seq and message["to"] == instance:
            read = decode_envelope(json.dumps(whole(message["envelope"])))
            if isinstance(read, Envelope) and isinstance(read.event, ExecutionStarted):
                return read.event
            break
    record = next(each for each in scenario(name)["instances"] if each["seq"] == seq)
    row = read_row(record["row"])
    created = moment_of(row, "CreatedTime")
    assert created is not None
    return ExecutionStarted(
        timestamp=created,
        orchestration_instance=OrchestrationInstance(instance, str(row["ExecutionId"])),
        name=str(row["Name"]),
        input=str(row["Input"]),
        generation=0,
    )


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    texts = {name for name in theirs if name.endswith("BlobName")}
    assert set(ours) - IGNORED == set(theirs) - IGNORED
    assert {name: type(value) for name, value in theirs.items() if name in ours} == {
        name: type(ours[name]) for name in theirs if name in ours
    }
    assert comparable(
        {name: ours[name] for name in theirs if name in ours and name not in texts}
    ) == comparable({name: theirs[name] for name in theirs if name in ours and name not in texts})


@pytest.mark.parametrize("write", writes("insert", "replace"), ids=str)
def test_a_client_creates_the_row_that_the_provider_creates(write: Write) -> None:
    now = moment_of(read_row(write.body), "LastUpdatedTime")
    assert now is not None
    start = start_before(write.name, write.instance, write.seq)

    created, blobs = offload(creation_row(start, hub="GoldenHub", now=now), lambda: "0A1B2C3D")

    compare(row_body(created), write.body)
    assert [blob.name.rpartition("/")[2] for blob in blobs] == (
        ["history--Input-0A1B2C3D-Input.json.gz"] if "InputBlobName" in write.body else []
    )


@pytest.mark.parametrize("write", writes("insert-or-merge"), ids=str)
def test_a_checkpoint_writes_what_the_provider_writes(write: Write) -> None:
    recorded = read_row(write.body)
    custom_status = str(recorded["CustomStatus"])
    updated = moment_of(recorded, "LastUpdatedTime")
    assert updated is not None
    state = OrchestrationState(write.history)
    output = state.output
    start = next((event for event in write.new_events if isinstance(event, ExecutionStarted)), None)
    if start is not None and "Input" in recorded and str(recorded["Input"]).startswith("http"):
        start = structs.replace(start, input=str(recorded["Input"]))
    if "Output" in recorded and str(recorded["Output"]).startswith("http"):
        output = str(recorded["Output"])

    ours = checkpoint_row(
        write.instance,
        str(recorded["ExecutionId"]),
        StatusChange(
            runtime_status=state.status,
            last_updated_time=updated,
            custom_status=None if custom_status == "null" else custom_status,
            output=output,
        ),
        start=start,
        completed_time=moment_of(recorded, "CompletedTime"),
        with_status=says_status(write.new_events),
    )

    compare(row_body(ours), write.body)


@pytest.mark.parametrize("write", writes("merge"), ids=str)
def test_a_rewind_writes_what_the_provider_writes(write: Write) -> None:
    now = moment_of(read_row(write.body), "LastUpdatedTime")
    assert now is not None

    compare(row_body(rewound_instance_row(write.instance, now)), write.body)


@pytest.mark.parametrize("name", scenario_names())
def test_every_recorded_row_is_read(name: str) -> None:
    for body in whole(scenario(name).get("final_instances", [])):
        read = read_instance_row(read_row(body), container=CONTAINER)

        record = read.record
        assert record.runtime_status.value == body["RuntimeStatus"]
        assert record.name == body["Name"]
        assert record.execution_id == body["ExecutionId"]
        assert (record.custom_status or "null") == body.get("CustomStatus", "null")
        assert read.generation == body.get("Generation")
        for column, text, blob in (
            ("Input", record.input, read.input_blob),
            ("Output", record.output, read.output_blob),
        ):
            if str(body.get(column)).startswith("http"):
                assert text is None
                assert blob is not None
                assert blob.endswith(".json.gz")
            else:
                assert (text, blob) == (body.get(column), None)


def test_all_rows_of_a_status_are_read_as_they_were_written() -> None:
    start = structs.replace(START, tags={"t": "1"}, scheduled_start_time=NOW, generation=2)

    read = read_instance_row(creation_row(start, hub="GoldenHub", now=NOW), container=CONTAINER)

    assert read.record.instance_id == "a/b"
    assert read.record.input == '"in"'
    assert read.tags == {"t": "1"}
    assert read.scheduled_start_time == NOW
    assert read.generation == 2


def test_an_input_in_a_blob_of_its_own_is_found() -> None:
    start = structs.replace(START, input="x" * 40_000)
    row, _ = offload(creation_row(start, hub="GoldenHub", now=NOW), lambda: "0A1B2C3D")

    read = read_instance_row(row, container=CONTAINER)

    assert read.record.input is None
    assert read.input_blob == "a^0b/history--Input-0A1B2C3D-Input.json.gz"


def test_the_first_checkpoint_leaves_the_name_of_the_blob_behind() -> None:
    start = structs.replace(START, input="x" * 40_000)
    row, _ = offload(creation_row(start, hub="GoldenHub", now=NOW), lambda: "0A1B2C3D")
    url = f"http://h/acc/{CONTAINER}/a%5E0b/history-01-ExecutionStarted-0-Input.json.gz"

    read = read_instance_row({**row, "Input": url}, container=CONTAINER)

    assert read.input_blob == "a^0b/history-01-ExecutionStarted-0-Input.json.gz"


def test_an_output_that_only_looks_like_a_blob_is_the_output() -> None:
    row = checkpoint_row("a", "e1", completed(output="https://example.org/a/history-1.json.gz"))

    read = read_instance_row(row, container=CONTAINER)

    assert read.record.output == "https://example.org/a/history-1.json.gz"
    assert read.output_blob is None


def completed(**members: Any) -> StatusChange:
    return StatusChange(
        runtime_status=OrchestrationRuntimeStatus.Completed, last_updated_time=NOW, **members
    )


def test_a_row_that_a_takeover_left_without_columns_is_read() -> None:
    row = checkpoint_row("a", "e1", completed(), with_status=False)

    record = read_instance_row(row, container=CONTAINER).record

    assert record.runtime_status is OrchestrationRuntimeStatus.Running
    assert record.created_time == record.last_updated_time == NOW
    assert (record.name, record.version, record.input) == ("", "", None)


def test_why_an_instance_is_parked_is_kept_until_it_is_taken_back() -> None:
    parked = checkpoint_row("a", "e1", completed(parked="no such function"))
    taken_back = parked | checkpoint_row("a", "e1", completed(), was_parked=True)

    assert read_instance_row(parked, container=CONTAINER).record.parked == "no such function"
    assert read_instance_row(taken_back, container=CONTAINER).record.parked is None
    assert "Parked" not in checkpoint_row("a", "e1", completed())


@pytest.mark.parametrize(
    "event", [ExecutionSuspended(timestamp=NOW), ExecutionResumed(timestamp=NOW)]
)
def test_a_suspension_and_its_end_say_the_status(event: HistoryEvent) -> None:
    assert says_status([OrchestratorStarted(timestamp=NOW), event])
    assert not says_status([OrchestratorStarted(timestamp=NOW)])


def test_an_output_is_shown_until_there_is_none() -> None:
    suspended = checkpoint_row("a", "e1", completed(output="pause"))
    ended = suspended | checkpoint_row("a", "e1", completed(), had_output=True)

    assert read_instance_row(suspended, container=CONTAINER).record.output == "pause"
    assert read_instance_row(ended, container=CONTAINER).record.output is None
    assert "Output" not in checkpoint_row("a", "e1", completed())


def test_an_instance_that_never_ran_is_terminated_in_its_row() -> None:
    row = creation_row(START, hub="GoldenHub", now=NOW) | terminated_row("a/b", "why", NOW)

    read = read_instance_row(row, container=CONTAINER)

    assert read.record.runtime_status is OrchestrationRuntimeStatus.Terminated
    assert read.record.output == "why"
    assert read.completed_time == NOW
    assert "Output" not in terminated_row("a", None, NOW)


@pytest.mark.parametrize("change", [{"RuntimeStatus": "Odd"}, {"Tags": "{"}, {"Tags": "[1]"}])
def test_a_row_that_is_no_status_is_refused(change: dict[str, str]) -> None:
    row = creation_row(START, hub="GoldenHub", now=NOW) | change

    with pytest.raises(UnreadableError, match=r"a\^0b"):
        read_instance_row(row, container=CONTAINER)


def test_the_input_of_a_blob_is_its_text() -> None:
    assert input_of_blob("a/history-01-ExecutionStarted-0-Input.json.gz", b'"x"') == '"x"'


def test_the_input_of_a_message_blob_is_the_input_of_the_start_in_it() -> None:
    message = Envelope(event=START, target=Party("a/b", "e1"), activity_id="0" * 32)

    assert input_of_blob("a/b/message-0-ExecutionStarted.json.gz", encode_envelope(message)) == (
        '"in"'
    )


def test_a_message_blob_without_a_start_has_no_input() -> None:
    message = Envelope(
        event=EventRaised(timestamp=NOW, name="go"), target=Party("a"), activity_id="0" * 32
    )

    with pytest.raises(UnreadableError, match="no start"):
        input_of_blob("a/message-0-EventRaised.json.gz", encode_envelope(message))


def test_large_inputs_of_the_recordings_are_large_here() -> None:
    assert is_large('"' + "x" * 35_000 + '"')
    assert not is_large("x" * 30_720)
