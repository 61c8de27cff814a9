"""Messages: every recorded one is read, and what we write is what the provider writes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_host.durable import history
from func_host.durable.backends.azure_storage.messages import (
    CLIENT,
    Envelope,
    LargeMessage,
    Party,
    decode_envelope,
    encode_envelope,
    encode_wrapper,
)
from func_host.durable.backends.azure_storage.queue_text import from_queue_text
from func_host.durable.backends.azure_storage.wire_events import QueueEvent, UnreadableError
from tests.host.durable.backends.azure_storage.golden import (
    RecordedMessage,
    comparable,
    members_of,
    recorded_messages,
    shape,
)
from tests.host.durable.backends.azure_storage.strategies import TEXTS, queue_events

NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
ME = Party("p", "pe")
MESSAGES = recorded_messages()
WHOLE = [message for message in MESSAGES if not message.is_handmade]


def the_json(message: RecordedMessage) -> bytes:
    if message.text is None:
        return json.dumps(message.envelope).encode()
    return from_queue_text(message.text)


def envelope_of(event: QueueEvent, **members: Any) -> Envelope:
    return Envelope(event=event, target=Party("abc", "e1"), activity_id="0" * 32, **members)


def written(event: QueueEvent, **members: Any) -> dict[str, Any]:
    return json.loads(encode_envelope(envelope_of(event, **members)))


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_every_recorded_message_is_read(message: RecordedMessage) -> None:
    read = decode_envelope(the_json(message))

    if isinstance(read, LargeMessage):
        assert read.blob_name == message.envelope["CompressedBlobName"]
        return
    body = message.envelope["TaskMessage"]
    assert read.target.instance_id == body["OrchestrationInstance"]["InstanceId"]
    assert type(read.event).__name__.removesuffix("Event") == body["Event"]["$type"].rpartition(
        "."
    )[2].removesuffix("Event")
    assert read.event.event_id == body["Event"]["EventId"]


@pytest.mark.parametrize("message", WHOLE, ids=str)
def test_what_is_read_is_written_with_the_same_members_in_the_same_order(
    message: RecordedMessage,
) -> None:
    read = decode_envelope(the_json(message))
    rewritten = encode_wrapper(read) if isinstance(read, LargeMessage) else encode_envelope(read)

    ours, theirs = json.loads(rewritten), json.loads(the_json(message))
    assert shape(ours) == shape(theirs)
    assert comparable(ours) == comparable(theirs)


def test_the_recordings_hold_every_kind_that_a_queue_holds_but_the_newest() -> None:
    read = (decode_envelope(the_json(message)) for message in MESSAGES)
    kinds = {type(envelope.event) for envelope in read if isinstance(envelope, Envelope)}

    assert kinds == {
        history.ExecutionStarted,
        history.ExecutionTerminated,
        history.ExecutionSuspended,
        history.ExecutionResumed,
        history.TaskScheduled,
        history.TaskCompleted,
        history.TaskFailed,
        history.SubOrchestrationInstanceCompleted,
        history.SubOrchestrationInstanceFailed,
        history.TimerFired,
        history.EventRaised,
        history.GenericEvent,
    }


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_the_order_of_members_does_not_count(message: RecordedMessage) -> None:
    recorded = json.loads(the_json(message))

    assert decode_envelope(json.dumps(reversed_members(recorded))) == decode_envelope(
        json.dumps(recorded)
    )


def reversed_members(value: Any) -> Any:
    members = members_of(value)
    if members is None:
        return value
    return {name: reversed_members(members[name]) for name in reversed(members)}


def test_unknown_members_are_ignored() -> None:
    message = written(history.TaskCompleted(timestamp=NOW, task_scheduled_id=3, result="1"))
    message["TaskMessage"]["Event"]["Tags"] = {"a": "b"}
    message["TaskMessage"]["Priority"] = 1
    message["DispatchId"] = None

    read = decode_envelope(json.dumps(message))

    assert isinstance(read, Envelope)
    assert read.event == history.TaskCompleted(timestamp=NOW, task_scheduled_id=3, result="1")


def test_an_event_may_be_named_with_its_assembly() -> None:
    message = written(history.EventRaised(timestamp=NOW, name="go"))
    message["TaskMessage"]["Event"]["$type"] += ", DurableTask.Core, Version=3.9.0.0"

    read = decode_envelope(json.dumps(message))

    assert isinstance(read, Envelope)
    assert read.event == history.EventRaised(timestamp=NOW, name="go")


def test_an_event_without_a_type_name_is_known_by_its_number() -> None:
    message = written(history.EventRaised(timestamp=NOW, name="go"))
    del message["TaskMessage"]["Event"]["$type"]

    read = decode_envelope(json.dumps(message))

    assert isinstance(read, Envelope)
    assert read.event == history.EventRaised(timestamp=NOW, name="go")


def test_a_null_sender_is_taken_for_a_client() -> None:
    message = written(history.EventRaised(timestamp=NOW, name="go"), sender=ME)
    message["Sender"] = None

    read = decode_envelope(json.dumps(message))

    assert isinstance(read, Envelope)
    assert read.sender == CLIENT


def test_the_sender_is_never_null() -> None:
    assert written(history.EventRaised(timestamp=NOW, name="go"))["Sender"] == {
        "InstanceId": "",
        "ExecutionId": "",
    }


def test_a_start_without_a_target_is_for_the_instance_it_starts() -> None:
    start = history.ExecutionStarted(
        timestamp=NOW,
        orchestration_instance=history.OrchestrationInstance("x", "xe"),
        name="F",
    )
    message = written(start)
    message["TaskMessage"]["OrchestrationInstance"] = None

    read = decode_envelope(json.dumps(message))

    assert isinstance(read, Envelope)
    assert read.target == Party("x", "xe")


def test_an_activitys_input_is_an_array_of_one() -> None:
    message = written(history.TaskScheduled(timestamp=NOW, name="F", input='"London"'))

    assert message["TaskMessage"]["Event"]["Input"] == '["London"]'


def test_an_activity_without_input_gets_null() -> None:
    message = written(history.TaskScheduled(timestamp=NOW, name="F"))

    assert message["TaskMessage"]["Event"]["Input"] == "[null]"


@pytest.mark.parametrize("text", ["[1,2]", "[]", "London", "[not json", '{"a":1}'])
def test_an_activitys_input_that_is_no_array_of_one_is_the_input_itself(text: str) -> None:
    message = written(history.TaskScheduled(timestamp=NOW, name="F"))
    message["TaskMessage"]["Event"]["Input"] = text

    read = decode_envelope(json.dumps(message))

    assert isinstance(read, Envelope)
    assert read.event == history.TaskScheduled(timestamp=NOW, name="F", input=text)


def test_only_requests_for_work_carry_tags() -> None:
    request = written(history.TaskScheduled(timestamp=NOW, name="F"), tags={"FireAndForget": ""})
    result = written(history.TaskCompleted(timestamp=NOW, task_scheduled_id=0), tags={"a": "b"})

    tags = request["TaskMessage"]["OrchestrationExecutionContext"]["OrchestrationTags"]
    assert list(tags) == ["$type", "FireAndForget"]
    assert result["TaskMessage"]["OrchestrationExecutionContext"] is None


def test_only_what_a_session_sends_has_an_episode() -> None:
    event = history.TaskCompleted(timestamp=NOW, task_scheduled_id=0)

    assert "Episode" not in written(event)
    members = list(written(event, episode=2, sender=ME))
    assert members[members.index("Episode") - 1 :][:3] == ["SequenceNumber", "Episode", "Sender"]


def test_a_failure_is_written_with_type_names_and_causes() -> None:
    failure = history.Failure(
        error_type="ValueError",
        error_message="no",
        inner_failure=history.Failure(error_type="KeyError", error_message="k"),
    )
    event = history.TaskFailed(
        timestamp=NOW, task_scheduled_id=1, reason="no", failure_details=failure
    )

    details = written(event)["TaskMessage"]["Event"]["FailureDetails"]
    members = [
        "$type",
        "ErrorType",
        "ErrorMessage",
        "StackTrace",
        "InnerFailure",
        "IsNonRetriable",
        "Properties",
    ]
    assert list(details) == members
    assert list(details["InnerFailure"]) == members
    assert details["$type"] == "DurableTask.Core.FailureDetails"


def test_a_moment_without_a_zone_is_utc() -> None:
    message = written(history.EventRaised(timestamp=NOW, name="go"))
    message["TaskMessage"]["Event"]["Timestamp"] = "2026-01-02T03:04:05.6789"

    read = decode_envelope(json.dumps(message))

    assert isinstance(read, Envelope)
    assert read.event.timestamp == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"TaskMessage":{}}',
        '{"TaskMessage":{"Event":{"$type":"H.NoSuchEvent"}}}',
        '{"TaskMessage":{"Event":{}}}',
        '{"TaskMessage":{"Event":{"$type":"H.TaskCompletedEvent","Timestamp":"soon"}}}',
        '{"TaskMessage":{"Event":{"$type":"H.TaskCompletedEvent","TaskScheduledId":"x"}}}',
    ],
)
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        decode_envelope(text)


def test_a_message_to_nobody_is_refused() -> None:
    message = written(history.EventRaised(timestamp=NOW, name="go"))
    del message["TaskMessage"]["OrchestrationInstance"]

    with pytest.raises(UnreadableError, match="which instance"):
        decode_envelope(json.dumps(message))


@given(event=queue_events(), sender=st.builds(Party, TEXTS, TEXTS | st.none()))
def test_what_is_written_is_read_again(event: QueueEvent, sender: Party) -> None:
    envelope = envelope_of(event, sender=sender, episode=1, sequence_number=7)

    read = decode_envelope(encode_envelope(envelope))

    assert isinstance(read, Envelope)
    assert read.event == event
    assert (read.sender, read.episode, read.sequence_number) == (sender, 1, 7)
    assert read.activity_id == envelope.activity_id


@given(event=queue_events())
def test_the_type_of_an_event_is_its_first_member(event: QueueEvent) -> None:
    message = written(event)

    assert next(iter(message)) == "$type"
    assert next(iter(message["TaskMessage"]["Event"])) == "$type"


def test_a_rewind_of_newer_cores_is_read() -> None:
    event = history.ExecutionRewound(timestamp=NOW + timedelta(days=1), reason="why")

    read = decode_envelope(encode_envelope(envelope_of(event)))

    assert isinstance(read, Envelope)
    assert read.event == event
    members = list(written(event)["TaskMessage"]["Event"])
    assert members[1:6] == [
        "EventType",
        "Reason",
        "ParentExecutionId",
        "InstanceId",
        "ParentTraceContext",
    ]
