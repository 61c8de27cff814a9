"""Messages as text of a queue: Base64 is written, both are read, nothing blocks a queue."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_host.durable.backends.azure_storage.queue_text import (
    MESSAGE_BYTES_MAX,
    QueueEncoding,
    delay_s,
    from_queue_text,
    is_large,
    to_queue_text,
)
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from tests.host.durable.backends.azure_storage.golden import recorded_messages

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OBJECTS = st.dictionaries(
    st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))
).map(lambda value: json.dumps(value, ensure_ascii=False).encode())


@given(OBJECTS, st.sampled_from(QueueEncoding))
def test_every_message_comes_back(message: bytes, encoding: QueueEncoding) -> None:
    text = to_queue_text(message, encoding)

    assert json.loads(from_queue_text(text)) == json.loads(message)


@given(OBJECTS)
def test_plain_text_holds_nothing_that_xml_cannot_hold(message: bytes) -> None:
    text = to_queue_text(message, QueueEncoding.UTF8)

    assert all(" " <= letter <= "~" for letter in text)


def test_base64_is_what_is_written() -> None:
    assert to_queue_text(b'{"a":1}') == "eyJhIjoxfQ=="


def test_recorded_texts_are_written_as_they_were() -> None:
    texts = [
        message.text
        for message in recorded_messages()
        if message.text is not None and not message.text.startswith("{")
    ]

    assert all(to_queue_text(from_queue_text(text)) == text for text in texts)
    assert len(texts) > 200


@pytest.mark.parametrize("text", ["!", "not base64", "é", "a"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError, match="neither JSON nor Base64"):
        from_queue_text(text)


def test_plain_text_may_begin_with_blanks() -> None:
    assert json.loads(from_queue_text(' \n{"a":1}')) == {"a": 1}


def test_a_message_of_45_kib_stays_in_the_queue() -> None:
    assert not is_large(b"x" * 46_080)
    assert is_large(b"x" * 46_081)
    assert len(base64.b64encode(b"x" * MESSAGE_BYTES_MAX)) <= 65_536


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (timedelta(0), 0),
        (timedelta(seconds=-5), 0),
        (timedelta(microseconds=1), 1),
        (timedelta(seconds=3), 3),
        (timedelta(seconds=2, milliseconds=1), 3),
        (timedelta(days=7), 604_800),
        (timedelta(days=10), 604_800),
    ],
)
def test_a_delay_is_rounded_up_to_whole_seconds(delay: timedelta, seconds: int) -> None:
    assert delay_s(NOW + delay, NOW) == seconds


def test_what_has_no_time_is_visible_at_once() -> None:
    assert delay_s(None, NOW) == 0
