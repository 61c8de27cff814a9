"""What the fence of an entity tells beside its history is read as it was noted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from func_host.durable.backends.azure_storage.entity_memory import (
    CONSUMED,
    OUTBOX,
    OUTBOX_BLOB,
    OUTBOX_EXECUTION,
    EntityMemory,
    Taken,
    Unsent,
    is_outbox_large,
    note_batch,
    outbox_text,
    read_memory,
)
from func_host.durable.backends.azure_storage.messages import Envelope, Party
from func_host.durable.backends.azure_storage.recent_messages import RECENT_AT
from func_host.durable.backends.azure_storage.table_rows import text_of
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from func_host.durable.history import EventRaised
from func_host.testing.clock import START

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.table_rows import Row

DERIVED = "0d7c9a527b1e59a08a3c3f1f1f0b6a11"
RANDOM = "0d7c9a527b1e49a08a3c3f1f1f0b6a11"
TEXT_MAX = 32 * 1024
"""What a column holds, in letters."""


def taken(*identities: str, is_in_queue: bool = True) -> list[Taken]:
    return [Taken(identity=one, is_in_queue=is_in_queue) for one in identities]


def unsent(text: str = "1", *, delay_s: float | None = None) -> Unsent:
    envelope = Envelope(
        event=EventRaised(timestamp=START, name="op", input=text),
        target=Party("@counter@c"),
        activity_id=RANDOM,
        sender=Party("@counter@d", "run"),
        episode=2,
    )
    return Unsent(envelope, None if delay_s is None else START + timedelta(seconds=delay_s))


def noted(
    memory: EntityMemory, some: list[Taken], *sends: Unsent, keep: bool = False, run: str = "run"
) -> Row:
    return note_batch(memory, some, sends, execution_id=run, now=START, keep=keep)


def read(*rows: Row) -> EntityMemory:
    """Read what rows leave that are merged one after the other."""
    merged: Row = {}
    for row in rows:
        merged |= row
    return read_memory(merged, outbox=text_of(merged, OUTBOX), blobs=())


# What was consumed


def test_what_a_batch_has_consumed_is_known_when_it_comes_again() -> None:
    memory = EntityMemory()
    row = noted(memory, taken("a", "b"))

    for each in (memory, read(row)):
        assert each.has_consumed(["a"], START)
        assert each.has_consumed(["other", "b"], START)
        assert not each.has_consumed(["c"], START)


def test_what_somebody_waited_for_is_known_until_the_next_batch() -> None:
    """It lay in no queue: it comes again only where the answer to this write is lost."""
    memory = EntityMemory()
    first = noted(memory, taken("a", is_in_queue=False))
    assert RECENT_AT not in first
    assert memory.has_consumed(["a"], START)

    second = noted(memory, taken("b", is_in_queue=False))
    for each in (memory, read(first, second)):
        assert not each.has_consumed(["a"], START)
        assert each.has_consumed(["b"], START)


@pytest.mark.parametrize(("identity", "is_in_queue"), [(RANDOM, True), (DERIVED, False)])
def test_what_may_well_come_again_is_known_for_long(identity: str, *, is_in_queue: bool) -> None:
    memory = EntityMemory()
    rows = [noted(memory, taken(identity, is_in_queue=is_in_queue)), noted(memory, [])]

    for each in (memory, read(*rows)):
        assert each.has_consumed([identity], START + timedelta(minutes=59))


def test_while_a_dead_host_may_have_hidden_something_all_is_kept() -> None:
    memory = EntityMemory()
    rows = [
        noted(memory, taken("a", is_in_queue=False), keep=True),
        noted(memory, taken("b", is_in_queue=False), keep=True),
    ]

    for each in (memory, read(*rows)):
        assert each.has_consumed(["a"], START)
        assert each.has_consumed(["b"], START)


def test_a_long_list_takes_columns_that_are_emptied_by_a_short_one() -> None:
    memory = EntityMemory()
    many = [f"{number}" for number in range(4_500)]
    first = noted(memory, taken(*many, is_in_queue=False))
    assert [len(str(first[f"{CONSUMED}{n}"])) < TEXT_MAX for n in ("", 1, 2)] == [True] * 3
    assert read(first).has_consumed(["4499"], START)

    second = noted(memory, taken("a", is_in_queue=False))
    assert (second[f"{CONSUMED}1"], second[f"{CONSUMED}2"]) == ("", "")
    third = noted(memory, taken("b", is_in_queue=False))
    assert f"{CONSUMED}1" not in third

    after_a_restart = read(first, second, third)
    assert not after_a_restart.has_consumed(["4499"], START)
    assert after_a_restart.has_consumed(["b"], START)


# What is to be sent


def test_what_a_batch_sends_is_read_again() -> None:
    sends = (unsent("1"), unsent("2", delay_s=60))
    row = noted(EntityMemory(), [], *sends, run="the run")

    assert row[OUTBOX_EXECUTION] == "the run"
    assert read(row).unsent == sends


def test_a_batch_that_sends_nothing_writes_nothing_of_it() -> None:
    assert not noted(EntityMemory(), taken("a")).keys() & {OUTBOX, OUTBOX_BLOB, OUTBOX_EXECUTION}


def test_a_batch_that_sends_nothing_empties_the_outbox_once() -> None:
    memory = EntityMemory()
    first = noted(memory, [], unsent())
    second = noted(memory, [])
    third = noted(memory, [])

    assert (second[OUTBOX], second[OUTBOX_BLOB]) == ("", "")
    assert OUTBOX not in third
    assert read(first, second).unsent == ()
    assert not read(first, second).has_outbox


def test_an_outbox_in_a_blob_is_emptied_as_well() -> None:
    memory = read_memory({OUTBOX: "", OUTBOX_BLOB: "blob"}, outbox=None, blobs=())

    assert noted(memory, [])[OUTBOX_BLOB] == ""


def test_only_a_large_outbox_belongs_into_a_blob() -> None:
    assert not is_outbox_large({OUTBOX: outbox_text([unsent()])})
    assert not is_outbox_large({})
    assert is_outbox_large({OUTBOX: outbox_text([unsent("x" * 70_000)])})


def test_an_outbox_that_holds_no_messages_cannot_be_read() -> None:
    with pytest.raises(UnreadableError):
        read_memory({}, outbox='[{"envelope":{"TaskMessage":{}}}]', blobs=())


# Blobs


def test_blobs_are_stale_once_a_batch_does_not_name_them() -> None:
    memory = read_memory({OUTBOX_BLOB: "outbox 1"}, outbox=None, blobs=["state 1"])
    memory.note_blobs(["state 2"], None)
    assert memory.stale_blobs == ("state 1", "outbox 1")

    memory.note_blobs([], "outbox 3")
    assert memory.stale_blobs == ("state 1", "outbox 1", "state 2")
    assert (memory.state_blobs, memory.outbox_blob) == ((), "outbox 3")
