"""Rows as JSON with annotations, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_host.durable.backends.azure_storage.table_rows import (
    Row,
    int_of,
    moment_of,
    read_row,
    row_body,
    text_of,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
COLUMNS = st.text(st.characters(codec="ascii", categories=["Lu", "Ll"]), min_size=1)
VALUES = (
    st.text()
    | st.integers(-(2**31), 2**31 - 1)
    | st.booleans()
    | st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC))
)


class LibraryMoment(datetime):
    """Stands for the class that the client library returns."""


@given(st.dictionaries(COLUMNS, VALUES))
def test_every_row_comes_back(row: Row) -> None:
    assert read_row(row_body(row)) == row


def test_only_moments_are_annotated() -> None:
    assert row_body({"A": "x", "B": 1, "C": True, "D": NOW}) == {
        "A": "x",
        "B": 1,
        "C": True,
        "D": "2026-01-02T03:04:05.6789000Z",
        "D@odata.type": "Edm.DateTime",
    }


def test_a_text_that_looks_like_a_moment_stays_a_text() -> None:
    assert read_row({"A": "2026-01-02T03:04:05Z"}) == {"A": "2026-01-02T03:04:05Z"}


def test_what_has_no_value_is_not_there() -> None:
    assert read_row({"A": None, "odata.etag": "x", "B": "y", "B@odata.type": "Edm.String"}) == {
        "B": "y"
    }


@pytest.mark.parametrize(
    "moment",
    [
        LibraryMoment(2026, 1, 2, 3, 4, 5, 678900, UTC),
        LibraryMoment(2026, 1, 2, 3, 4, 5, 678900),
        LibraryMoment(2026, 1, 2, 5, 4, 5, 678900, timezone(timedelta(hours=2))),
    ],
)
def test_moments_of_the_client_library_become_plain_ones(moment: datetime) -> None:
    read = read_row({"A": moment})["A"]

    assert read == NOW
    assert type(read) is datetime


def test_a_column_is_given_only_as_what_it_is() -> None:
    row: Row = {"A": "x", "B": 1, "C": True, "D": NOW, "E": "2026-01-02T03:04:05.6789Z"}

    assert [text_of(row, column) for column in "ABZ"] == ["x", None, None]
    assert [int_of(row, column) for column in "ABCZ"] == [None, 1, None, None]
    assert [moment_of(row, column) for column in "BDEZ"] == [None, NOW, NOW, None]
