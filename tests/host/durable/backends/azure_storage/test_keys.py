"""Keys: ids are escaped as the provider escapes them, and come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_host.durable.backends.azure_storage.keys import (
    SENTINEL,
    escape_key,
    ordinal_of,
    row_key,
    unescape_key,
)
from tests.host.durable.backends.azure_storage.golden import scenario

FORBIDDEN = set("/\\#?") | {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}


@pytest.mark.parametrize(
    ("instance_id", "key"),
    [
        ("a/b", "a^0b"),
        ("x^y", "x^^y"),
        ("q?#\\", "q^3^2^1"),
        ("\t", "^É"),
        ("\x7f", "^Ŀ"),
        ("@counter@k/1", "@counter@k^01"),
        ("it's %41+&= 🎉", "it's %41+&= 🎉"),
    ],
)
def test_an_id_is_escaped_as_in_the_reference(instance_id: str, key: str) -> None:
    assert escape_key(instance_id) == key
    assert unescape_key(key) == instance_id


@pytest.mark.parametrize("name", ["ids-allowed", "ids-escaped", "ids-large"])
def test_recorded_rows_lie_under_the_escaped_ids(name: str) -> None:
    recording = scenario(name)

    keys = {row["PartitionKey"] for row in recording["final_instances"]}

    assert keys == {escape_key(instance_id) for instance_id in recording["instance_ids"]}
    assert {unescape_key(key) for key in keys} == set(recording["instance_ids"])


@given(st.text())
def test_every_id_comes_back_from_its_key(instance_id: str) -> None:
    key = escape_key(instance_id)

    assert unescape_key(key) == instance_id
    assert not FORBIDDEN & set(key)


@given(st.text(), st.text())
def test_ids_with_a_common_prefix_have_keys_with_a_common_prefix(prefix: str, rest: str) -> None:
    assert escape_key(prefix + rest) == escape_key(prefix) + escape_key(rest)


@given(st.text(), st.text())
def test_two_ids_never_share_a_key(one: str, other: str) -> None:
    assert (escape_key(one) == escape_key(other)) == (one == other)


@pytest.mark.parametrize("key", ["a^", "a^x", "^ "])
def test_what_escapes_nothing_stays(key: str) -> None:
    assert unescape_key(key) == key


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_rows_sort_as_the_events_do_and_before_the_fence(one: int, other: int) -> None:
    assert (row_key(one) < row_key(other)) == (one < other)
    assert row_key(one) < SENTINEL
    assert ordinal_of(row_key(one)) == one


def test_an_ordinal_has_sixteen_upper_case_digits() -> None:
    assert row_key(10) == "000000000000000A"
