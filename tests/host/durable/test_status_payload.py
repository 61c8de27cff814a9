"""Stored text as clients see it."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from func_host.durable.status_payload import (
    fractional_seconds,
    is_json,
    stored_json,
    stored_value,
    whole_seconds,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("", ""),
        ("  \n", ""),
        ("null", None),
        ("42", 42),
        ("1.50", 1.5),
        ('{"a":[1,"x",null]}', {"a": [1, "x", None]}),
        ("12345678901234567890123", 12345678901234567890123),
        ('"2026-01-02T03:04:05+02:00"', "2026-01-02T03:04:05+02:00"),
        ('"\\ud800"', "\ud800"),
        ("1e400", math.inf),
        ("Found it", "Found it"),
        ("42 apples", "42 apples"),
        ("true story", "true story"),
        ("null and void", "null and void"),
        ("'q' x", "'q' x"),
        ('{"a":1} {"b":2}', '{"a":1} {"b":2}'),
        ('{"a":1', '{"a":1'),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("NaN", "NaN"),
        ("undefined", "undefined"),
        ("/* comment */ 1", "/* comment */ 1"),
        ("[x]", "[x]"),
        ("-", "-"),
        ("1,2", "1,2"),
        ("[" * 100_000, "[" * 100_000),
        ('"\\ud800', '"\\ud800'),
        ('["\\ud800", NaN]', '["\\ud800", NaN]'),
    ],
)
def test_text_is_json_as_a_whole_or_it_is_text(text: str | None, value: object) -> None:
    assert stored_value(text) == value


@pytest.mark.parametrize("text", ["42", "1.50", '{"b" : 1 }', '"\\ud800"', "1e400", "null"])
def test_json_goes_into_an_answer_digit_by_digit(text: str) -> None:
    assert msgspec.json.encode([stored_json(text)]).decode() == f"[{text}]"


@pytest.mark.parametrize("text", ["", " ", "42 apples", "NaN", "half \ud800 a pair"])
def test_anything_else_goes_into_an_answer_as_a_string(text: str) -> None:
    written = json.loads(msgspec.json.encode([stored_json(text)]))[0]

    assert written == text.strip().replace("\ud800", "?")


def test_deep_nesting_is_text_and_not_an_error() -> None:
    assert not is_json("[" * 100_000 + "]" * 100_000)


def test_times_are_written_in_utc() -> None:
    moment = datetime(2026, 3, 1, 8, 15, 30, 120_300, tzinfo=timezone(timedelta(hours=2)))

    assert whole_seconds(moment) == "2026-03-01T06:15:30Z"
    assert fractional_seconds(moment) == "2026-03-01T06:15:30.1203Z"
    assert fractional_seconds(moment.replace(microsecond=0)) == "2026-03-01T06:15:30Z"
    assert whole_seconds(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00Z"
