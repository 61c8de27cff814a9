"""Moments as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_host.durable.backends.azure_storage.moments import message_time, read_time, row_time

MOMENTS = st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC))


@given(MOMENTS)
def test_every_moment_comes_back(moment: datetime) -> None:
    assert read_time(message_time(moment)) == moment
    assert read_time(row_time(moment)) == moment


@pytest.mark.parametrize(
    ("microseconds", "in_message", "in_row"),
    [
        (306410, "2026-01-02T03:04:10.30641Z", "2026-01-02T03:04:10.3064100Z"),
        (0, "2026-01-02T03:04:10Z", "2026-01-02T03:04:10.0000000Z"),
        (1, "2026-01-02T03:04:10.000001Z", "2026-01-02T03:04:10.0000010Z"),
    ],
)
def test_zeros_are_left_out_in_messages_and_kept_in_rows(
    microseconds: int, in_message: str, in_row: str
) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 10, microseconds, UTC)

    assert message_time(moment) == in_message
    assert row_time(moment) == in_row


def test_another_zone_is_written_as_utc() -> None:
    moment = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))

    assert message_time(moment) == "2026-01-02T01:00:00Z"
    assert row_time(moment) == "2026-01-02T01:00:00.0000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T03:45:46.9999999Z",
        "2026-11-22T03:45:46.9999999",
        "2026-11-22T05:45:46.9999999+02:00",
    ],
)
def test_what_is_finer_than_ours_is_cut_off(text: str) -> None:
    assert read_time(text) == datetime(2026, 11, 22, 3, 45, 46, 999999, UTC)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_time(text)
