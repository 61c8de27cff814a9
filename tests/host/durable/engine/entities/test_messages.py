"""Messages to and from entities: written as the extension writes them, read as it or we wrote."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_host.durable.engine.entities import messages
from func_host.durable.history import EventRaised, Failure

NOW = datetime(2026, 3, 1, 8, 15, 30, 123456, tzinfo=UTC)


def test_a_call_is_written_as_the_extension_writes_it() -> None:
    """Member by member, as recorded."""
    request = messages.operation(
        id="ec2a0716-5b60-5700-b231-cdf58bb0adbe",
        op="add",
        input="5",
        is_signal=False,
        parent="golden-entity-call",
        parent_execution="2221cf9c3473490cb25f4f956adebd9f",
        stamp=messages.read_stamp("2026-11-22T03:58:36.567456Z"),
    )

    event = messages.request_event(request, NOW)

    assert event.name == "op"
    assert event.input == (
        '{"$type":"Microsoft.Azure.WebJobs.Extensions.DurableTask.RequestMessage, '
        'Microsoft.Azure.WebJobs.Extensions.DurableTask","op":"add","input":"5",'
        '"id":"ec2a0716-5b60-5700-b231-cdf58bb0adbe","parent":"golden-entity-call",'
        '"parentExecution":"2221cf9c3473490cb25f4f956adebd9f",'
        '"Timestamp":"2026-11-22T03:58:36.567456Z","Predecessor":"0001-01-01T00:00:00"}'
    )


def test_a_signal_of_a_client_names_no_type_and_no_sender() -> None:
    """As recorded: a client is nobody to the order of senders."""
    request = messages.operation(id="x", op="add", input="1", is_signal=True)

    assert messages.request_event(request, NOW).input == (
        '{"op":"add","signal":true,"input":"1","id":"x",'
        '"Timestamp":"0001-01-01T00:00:00","Predecessor":"0001-01-01T00:00:00"}'
    )


def test_a_scheduled_request_says_when_in_its_name_to_seven_digits() -> None:
    """And has no place in the order of its sender."""
    request = messages.operation(
        id="x", op="add", is_signal=True, parent="p", due=NOW, stamp=5, predecessor=4
    )
    event = messages.request_event(request, NOW)

    assert event.name == "op@2026-03-01T08:15:30.1234560Z"
    assert request.due == "2026-03-01T08:15:30.123456Z"
    assert (request.timestamp, request.predecessor) == ("0001-01-01T00:00:00",) * 2


def test_a_lock_lists_all_that_it_is_to_hold() -> None:
    """Where it stands is left out for the first."""
    request = messages.lock(
        id="x",
        parent="o",
        parent_execution="e",
        targets=(("a", "1"), ("b", "2")),
        stamp=messages.stamp_of(NOW),
        predecessor=0,
    )
    read = messages.read_request(messages.request_event(request, NOW))

    assert read == request
    assert read.lockset is not None
    assert [one.instance_id for one in read.lockset] == ["@a@1", "@b@2"]
    assert read.op is None
    assert '"pos"' not in (messages.request_event(request, NOW).input or "")


def test_a_failed_response_says_so_in_the_words_of_both_schedulers() -> None:
    """The extension's has an exception type, that of the newer core has details."""
    ours = messages.Response(
        result="no",
        exception_type="ValueError",
        failure_details=Failure(error_type="V", error_message="no"),
    )
    assert ours.is_failure
    assert messages.read_response('{"result":"no","exceptionType":"Error"}').is_failure
    assert not messages.read_response('{"result":"5"}').is_failure


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T03:58:36.7246431Z",
        "2026-11-22T03:58:36.724643Z",
        "2026-11-22T03:58:36Z",
        "0001-01-01T00:00:00",
    ],
)
def test_a_stamp_is_written_as_it_was_read(text: str) -> None:
    """To the last of seven digits."""
    assert messages.stamp_text(messages.read_stamp(text)) == text


def test_a_stamp_without_zone_is_utc() -> None:
    """The extension writes the second of one episode so."""
    assert messages.read_stamp("2026-11-22T03:58:36.7246431") == messages.read_stamp(
        "2026-11-22T03:58:36.7246431Z"
    )


@given(st.datetimes(min_value=datetime(1970, 1, 1)).map(lambda one: one.replace(tzinfo=UTC)))  # noqa: DTZ001
def test_every_moment_comes_back_from_its_stamp(moment: datetime) -> None:
    """Python counts in microseconds, a stamp in tenths of them."""
    assert messages.moment_of(messages.stamp_text(messages.stamp_of(moment))) == moment


@pytest.mark.parametrize("text", [None, "null", "5", "{}", '{"op":"x"}', "not JSON"])
def test_what_is_no_request_is_refused(text: str | None) -> None:
    """Whoever raises an event of that name by hand breaks nothing."""
    with pytest.raises(ValueError, match=r"."):
        messages.read_request(EventRaised(timestamp=NOW, name="op", input=text))


def test_the_type_may_stand_anywhere_and_be_unknown() -> None:
    """Readers skip it."""
    text = '{"id":"r","parent":"p","$type":"Something.Else"}'
    read = messages.read_release(EventRaised(timestamp=NOW, name="release", input=text))

    assert (read.parent, read.id) == ("p", "r")
    assert msgspec.structs.asdict(read)["type_"] == "Something.Else"


@pytest.mark.parametrize(
    ("instance_id", "expected"),
    [
        ("@a@b", True),
        ("@a@", True),
        ("@a@b@c", True),
        ("@a", False),
        ("@@b", False),
        ("@@b@c", False),
        ("a@b", False),
    ],
)
def test_an_entity_has_a_name_and_a_key(instance_id: str, *, expected: bool) -> None:
    """Any other instance is none, whatever its id begins with."""
    assert messages.is_entity(instance_id) is expected
