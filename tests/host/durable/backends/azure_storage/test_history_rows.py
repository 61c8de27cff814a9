"""History rows: every recorded one is read, and what we write has the same columns and types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable import history
from func_host.durable.backends.azure_storage.history_rows import (
    client_span_id,
    history_row,
    history_rows,
    read_history_row,
    rewound_row,
)
from func_host.durable.backends.azure_storage.keys import SENTINEL, ordinal_of, unescape_key
from func_host.durable.backends.azure_storage.large import blob_columns, with_texts
from func_host.durable.backends.azure_storage.table_rows import Row, read_row, row_body
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from tests.host.durable.backends.azure_storage.golden import (
    HistoryWrite,
    comparable,
    final_history,
    history_writes,
    scenario,
    scenario_names,
    with_blobs,
)
from tests.host.durable.backends.azure_storage.strategies import row_events

if TYPE_CHECKING:
    from func_host.durable.history import HistoryEvent

NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
FINAL = [(name, body, row) for name in scenario_names() for body, row in final_history(name)]
STEPS = [
    (name, write)
    for name in scenario_names()
    for write in history_writes(name)
    if "insert-or-replace" in write.verbs
]
KEYS = {"PartitionKey", "RowKey", "Timestamp", "ClientSpanId"}


def one(event: HistoryEvent, **members: Any) -> Row:
    return history_row(event, 10, instance_id="a/b", execution_id="e1", **members)


def row_id(parameter: object) -> str | None:
    match parameter:
        case str():
            return parameter
        case {"RowKey": str(key), "EventType": str(kind)}:
            return f"{int(key, 16)}-{kind}"
        case HistoryWrite():
            return str(parameter.seq)
        case _:
            return "row"


def is_rewound(body: dict[str, Any]) -> bool:
    return str(body.get("Reason", "")).startswith("Rewound: ")


def rewritten(body: dict[str, Any], row: Row) -> dict[str, Any]:
    """Write the event of a recorded row again, as the body of a request."""
    again = history_row(
        read_history_row(row),
        ordinal_of(str(row["RowKey"])),
        instance_id=unescape_key(str(row["PartitionKey"])),
        execution_id=str(row["ExecutionId"]),
        is_played=bool(body["IsPlayed"]),
    )
    return row_body(again)


@pytest.mark.parametrize(("name", "body", "row"), FINAL, ids=row_id)
def test_every_recorded_row_is_read(name: str, body: dict[str, Any], row: Row) -> None:
    event = read_history_row(row)

    assert type(event).__name__ == body["EventType"]
    assert event.event_id == body["EventId"]


@pytest.mark.parametrize(
    ("name", "body", "row"), [each for each in FINAL if not is_rewound(each[1])], ids=row_id
)
def test_what_is_read_is_written_with_the_same_columns_and_types(
    name: str, body: dict[str, Any], row: Row
) -> None:
    ours = rewritten(body, row)

    moved = blob_columns(read_row(body))
    theirs = {
        column: value
        for column, value in body.items()
        if column not in KEYS and not column.endswith("BlobName")
    }
    assert set(ours) - KEYS == set(theirs)
    assert {column: type(ours[column]) for column in theirs} == {
        column: type(value) for column, value in theirs.items()
    }
    assert comparable({column: ours[column] for column in theirs if column not in moved}) == (
        comparable({column: value for column, value in theirs.items() if column not in moved})
    )


@pytest.mark.parametrize(("name", "write"), STEPS, ids=row_id)
def test_a_step_is_written_as_the_rows_that_the_provider_writes(
    name: str, write: HistoryWrite
) -> None:
    bodies = [
        body
        for verb, body in zip(write.verbs, write.bodies, strict=True)
        if verb == "insert-or-replace"
    ]
    keys = [key for key in write.keys if key != SENTINEL][: len(bodies)]

    rows = history_rows(
        [read_history_row(with_blobs(body)) for body in bodies],
        instance_id=write.instance,
        execution_id=bodies[0]["ExecutionId"],
        first_ordinal=ordinal_of(keys[0]),
        is_continued=any(
            body["IsPlayed"] for body in bodies if body["EventType"] == "OrchestratorCompleted"
        ),
    )

    assert [row["RowKey"] for row in rows] == keys
    assert [row["IsPlayed"] for row in rows] == [body["IsPlayed"] for body in bodies]
    assert [columns(row_body(row)) for row in rows] == [columns(body) for body in bodies]


def columns(body: dict[str, Any]) -> list[str]:
    """Give the columns in the order that they were written in."""
    kept = ("PartitionKey", "RowKey")
    return [name for name in body if name not in kept and not name.endswith("BlobName")]


@pytest.mark.parametrize("name", ["rewind", "rewind-sub-orchestration"])
def test_a_rewind_puts_the_rows_in_place_that_the_provider_puts(name: str) -> None:
    before: dict[tuple[str, str], dict[str, Any]] = {}
    seen = 0
    for write in history_writes(name):
        for verb, key, body in zip(write.verbs, write.keys, write.bodies, strict=True):
            if verb == "replace":
                was = read_row(before[write.instance, key])
                assert rewound_row(was) == read_row(body)
                seen += 1
            before[write.instance, key] = body

    assert seen > 2


def test_what_a_rewind_put_in_place_says_so() -> None:
    bodies = [body for body in scenario("rewind")["final_history"] if is_rewound(body)]

    events = [read_history_row(read_row(body)) for body in bodies]

    assert [type(event) for event in events] == [history.GenericEvent] * len(bodies)
    assert {event.data for event in events if isinstance(event, history.GenericEvent)} == {
        "Rewound: TaskScheduled",
        "Rewound: TaskFailed",
        "Rewound: ExecutionCompleted",
    }


@given(event=row_events())
def test_what_is_written_is_read_again(event: HistoryEvent) -> None:
    row = one(event)

    assert read_history_row(row) == event
    assert read_history_row(read_row(row_body(row))) == event


def test_a_row_is_found_under_the_escaped_id() -> None:
    row = one(history.OrchestratorStarted(timestamp=NOW))

    assert (row["PartitionKey"], row["RowKey"]) == ("a^0b", "000000000000000A")


def test_the_types_of_columns_are_those_of_the_reference() -> None:
    start = history.ExecutionStarted(
        timestamp=NOW,
        orchestration_instance=history.OrchestrationInstance("abc", "e1"),
        name="F",
        parent_instance=history.ParentInstance(
            name="P",
            orchestration_instance=history.OrchestrationInstance("p", "pe"),
            task_schedule_id=3,
        ),
        tags={"a": "b"},
        scheduled_start_time=NOW,
        generation=1,
    )

    body = row_body(one(start))

    assert body["OrchestrationInstance"] == '{"InstanceId":"abc","ExecutionId":"e1"}'
    assert body["ParentInstance"] == (
        '{"Name":"P","OrchestrationInstance":{"InstanceId":"p","ExecutionId":"pe"},'
        '"TaskScheduleId":3,"Version":""}'
    )
    assert body["Tags"] == '{"a":"b"}'
    assert body["ScheduledStartTime"] == "2026-01-02T03:04:05.6789000Z"
    assert body["ScheduledStartTime@odata.type"] == "Edm.DateTime"
    assert body["Generation"] == 1
    assert "Input" not in body
    assert "Correlation" not in body


def test_a_failure_is_json_text_with_its_causes_and_without_type_names() -> None:
    failure = history.Failure(
        error_type="E",
        error_message="m",
        stack_trace="s",
        inner_failure=history.Failure(error_type="I", error_message="n"),
    )
    event = history.TaskFailed(
        timestamp=NOW, task_scheduled_id=0, reason="r", failure_details=failure
    )

    assert one(event)["FailureDetails"] == (
        '{"ErrorType":"E","ErrorMessage":"m","StackTrace":"s","InnerFailure":'
        '{"ErrorType":"I","ErrorMessage":"n","StackTrace":null,"InnerFailure":null,'
        '"IsNonRetriable":false,"Properties":null},"IsNonRetriable":false,"Properties":null}'
    )


def test_the_text_null_of_newer_versions_is_no_value() -> None:
    row = one(
        history.TaskFailed(timestamp=NOW, task_scheduled_id=0, reason="r"),
    ) | {"FailureDetails": "null"}

    event = read_history_row(row)

    assert isinstance(event, history.TaskFailed)
    assert event.failure_details is None


def test_a_stored_input_of_an_activity_is_an_array_of_one() -> None:
    event = history.TaskScheduled(timestamp=NOW, name="F", input='"x"')

    assert one(event)["Input"] == '["x"]'
    assert read_history_row(one(event)) == event


def test_a_child_has_the_same_span_id_at_every_try() -> None:
    event = history.SubOrchestrationInstanceCreated(
        timestamp=NOW, event_id=4, name="C", instance_id="c"
    )

    assert one(event)["ClientSpanId"] == one(event)["ClientSpanId"] == client_span_id("e1", 4)
    assert len(client_span_id("e1", 4)) == 16
    assert client_span_id("e1", 4) != client_span_id("e1", 5)


def test_what_arrived_is_played_and_what_was_asked_for_is_not() -> None:
    arrived = one(history.TimerFired(timestamp=NOW, timer_id=1, fire_at=NOW))
    asked_for = one(history.TimerCreated(timestamp=NOW, fire_at=NOW))

    assert arrived["IsPlayed"] is True
    assert asked_for["IsPlayed"] is False


@pytest.mark.parametrize("kind", ["ExecutionRewound", "HistoryState"])
def test_a_mark_of_other_tools_is_an_event_that_says_nothing(kind: str) -> None:
    row = one(history.ExecutionSuspended(timestamp=NOW, reason="why")) | {"EventType": kind}

    assert read_history_row(row) == history.GenericEvent(timestamp=NOW, data="why")


def test_a_continue_as_new_is_the_end_of_an_execution() -> None:
    ended = history.ExecutionCompleted(
        timestamp=NOW, orchestration_status=OrchestrationRuntimeStatus.ContinuedAsNew
    )

    assert read_history_row(one(ended) | {"EventType": "ContinueAsNew"}) == ended


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"EventType": "Nothing"}, '"Nothing" is no type'),
        ({"_Timestamp": 1}, "_Timestamp is missing"),
        ({"TaskScheduledId": "x"}, "TaskScheduledId"),
        ({"FailureDetails": "{"}, "FailureDetails is not JSON"),
        ({"ReasonBlobName": "a/b"}, "Reason lies in a blob"),
    ],
)
def test_a_row_that_is_no_event_is_refused_with_its_place(
    change: dict[str, str | int], reason: str
) -> None:
    row = one(history.TaskFailed(timestamp=NOW, task_scheduled_id=0, reason="r")) | change

    with pytest.raises(UnreadableError, match=reason) as refused:
        read_history_row(row)

    assert "000000000000000A of a^0b" in str(refused.value)


def test_a_text_from_a_blob_takes_its_place() -> None:
    row = one(history.TaskCompleted(timestamp=NOW, task_scheduled_id=0, result=""))
    row["ResultBlobName"] = "b"

    event = read_history_row(with_texts(row, {"Result": '"long"'}))

    assert event == history.TaskCompleted(timestamp=NOW, task_scheduled_id=0, result='"long"')
