"""What an entity has taken lately is known by its columns, for a while, up to a number."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from func_host.durable.backend import OPERATION_ID_KEPT
from func_host.durable.backends.azure_storage.recent_messages import (
    CHUNK_IDS,
    CHUNKS,
    RECENT_AT,
    RecentMessages,
    chunk_column,
    is_derived,
)
from func_host.testing.clock import START

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.table_rows import Row


def test_what_was_taken_is_known_and_read_again() -> None:
    recent = RecentMessages()
    row = recent.add(["a", "b"], START)

    assert row.keys() == {chunk_column(0), RECENT_AT}
    for each in (recent, RecentMessages.read(row)):
        assert [each.knows(one, START) for one in ("a", "b", "c")] == [True, True, False]


def test_nothing_taken_is_nothing_to_write() -> None:
    assert RecentMessages().add([], START) == {}


def test_it_is_known_for_as_long_as_promised_and_not_for_ever() -> None:
    recent = RecentMessages()
    recent.add(["a"], START)

    assert recent.knows("a", START + OPERATION_ID_KEPT)
    assert not recent.knows("a", START + OPERATION_ID_KEPT + timedelta(minutes=2))


def test_the_oldest_chunk_makes_room() -> None:
    """A commit writes the chunks that have changed, and no others."""
    recent = RecentMessages()
    row: Row = {}
    count = CHUNKS * CHUNK_IDS
    for number in range(count + 1):
        changed = recent.add([f"{number}"], START)
        assert len(changed) <= 3
        row |= changed

    for each in (recent, RecentMessages.read(row)):
        assert not each.knows("0", START)
        assert all(each.knows(f"{n}", START) for n in range(CHUNK_IDS, count + 1, 97))


def test_chunks_that_are_too_old_are_emptied() -> None:
    recent = RecentMessages()
    recent.add([f"{number}" for number in range(CHUNK_IDS)], START)
    later = START + 2 * OPERATION_ID_KEPT
    row = recent.add(["new"], later)

    assert row[chunk_column(0)] == ""


def test_ids_that_follow_from_something_are_told_from_random_ones() -> None:
    assert is_derived("0d7c9a527b1e59a08a3c3f1f1f0b6a11")
    assert not is_derived("0d7c9a527b1e49a08a3c3f1f1f0b6a11")
