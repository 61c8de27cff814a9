"""The order of each sender: whatever comes late, early or twice is let through once, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from func_host.durable.engine.entities import messages
from func_host.durable.engine.entities.messages import Request, stamp_of
from func_host.durable.engine.entities.sorter import SorterState, in_order, next_stamp

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
WINDOW = 30 * 60 * 10_000_000


def sent(
    sender: SorterState,
    number: int,
    now: datetime,
    *,
    parent: str = "o",
    execution: str | None = "e",
) -> Request:
    """Send one more request to an entity."""
    stamp, predecessor = next_stamp(sender, "@a@1", stamp_of(now), WINDOW)
    return messages.operation(
        id=str(number),
        op="do",
        is_signal=True,
        parent=parent,
        parent_execution=execution,
        stamp=stamp,
        predecessor=predecessor,
    )


def received(receiver: SorterState, requests: list[Request]) -> list[int]:
    """Let requests arrive; give the numbers of what comes through."""
    return [int(one.id) for each in requests for one in in_order(receiver, each, WINDOW)]


def test_stamps_grow_where_the_clock_stands_still_or_goes_back() -> None:
    """Each is one more than the one before, at least."""
    sender = SorterState()
    moments = (NOW, NOW, NOW - timedelta(seconds=1))

    stamps = [next_stamp(sender, "@a@1", stamp_of(one), WINDOW) for one in moments]

    first = stamp_of(NOW)
    assert stamps == [(first, 0), (first + 1, first), (first + 2, first + 1)]


@given(st.integers(min_value=1, max_value=12), st.data())
def test_any_order_and_any_copies_come_through_once_and_in_order(
    number: int, data: st.DataObject
) -> None:
    """A queue may swap and repeat what one sender sends."""
    sender, receiver = SorterState(), SorterState()
    requests = [
        sent(sender, each, NOW + timedelta(milliseconds=each // 3)) for each in range(number)
    ]
    arriving = data.draw(st.permutations([*requests, *requests[::2]]))

    assert received(receiver, arriving) == list(range(number))


def test_senders_do_not_wait_for_each_other() -> None:
    """What one lacks holds nobody else back."""
    one, other, receiver = SorterState(), SorterState(), SorterState()
    first, second = sent(one, 1, NOW), sent(one, 2, NOW)
    third = sent(other, 3, NOW, parent="p")

    assert received(receiver, [second, third, first]) == [3, 1, 2]


def test_nobody_waits_for_longer_than_the_window() -> None:
    """What was sent before may have been lost by somebody else's fault."""
    sender, receiver = SorterState(), SorterState()
    sent(sender, 1, NOW)
    second = sent(sender, 2, NOW)
    late = sent(SorterState(), 3, NOW + timedelta(minutes=31), parent="p")

    assert received(receiver, [second]) == []
    assert received(receiver, [late]) == [2, 3]


def test_executions_of_a_sender_do_not_wait_for_each_other() -> None:
    """Their stamps say nothing about each other: the clock may have gone back between them."""
    old, new, receiver = SorterState(), SorterState(), SorterState()
    awaited, held = sent(old, 1, NOW), sent(old, 2, NOW)
    fresh = [sent(new, number, NOW - timedelta(seconds=1), execution="f") for number in (3, 4)]

    arriving = [held, fresh[0], awaited, awaited, fresh[1], fresh[0], held]

    assert received(receiver, arriving) == [3, 1, 2, 4]


def test_what_an_old_execution_held_back_comes_before_that_is_forgotten() -> None:
    """A sender that starts over again and again is not remembered for ever."""
    receiver = SorterState()
    first = SorterState()
    sent(first, 0, NOW)
    held = sent(first, 1, NOW, execution="e1")
    others = [sent(SorterState(), each, NOW, execution=f"e{each}") for each in range(2, 9)]

    assert received(receiver, [held, *others]) == [2, 3, 4, 5, 1, 6, 7, 8]
    assert len(receiver.received_from_instance["o"].earlier) == 4


def test_old_executions_are_forgotten_after_the_window() -> None:
    """What was held back for them comes through."""
    old, receiver = SorterState(), SorterState()
    sent(old, 1, NOW)
    held = sent(old, 2, NOW)
    fresh = SorterState()
    between = sent(fresh, 3, NOW, execution="f")
    later = [sent(fresh, n, NOW + timedelta(hours=n - 3), execution="f") for n in (4, 5)]

    assert received(receiver, [held, between, *later]) == [3, 2, 4, 5]
    assert receiver.received_from_instance["o"].earlier == []


def test_clients_and_what_is_scheduled_pass_at_once() -> None:
    """They have no stamps."""
    receiver = SorterState()
    client = messages.operation(id="1", op="do", is_signal=True)
    scheduled = messages.operation(id="2", op="do", is_signal=True, parent="o", due=NOW)

    assert received(receiver, [client, scheduled, client]) == [1, 2, 1]
    assert receiver == SorterState()


def test_senders_are_forgotten_after_the_window() -> None:
    """What an entity remembers does not grow for ever."""
    receiver = SorterState()
    for minute in range(120):
        moment = NOW + timedelta(minutes=minute)
        received(receiver, [sent(SorterState(), minute, moment, parent=f"o{minute}")])

    assert len(receiver.received_from_instance) <= 32


def test_receivers_are_forgotten_after_the_window() -> None:
    """The same on the other side."""
    sender = SorterState()
    for minute in range(120):
        next_stamp(sender, f"@a@{minute}", stamp_of(NOW + timedelta(minutes=minute)), WINDOW)

    assert len(sender.last_sent_to_instance) <= 32


def test_without_a_window_nothing_is_remembered() -> None:
    """For stores that keep the order by themselves."""
    state = SorterState()

    assert next_stamp(state, "@a@1", stamp_of(NOW), 0) == (0, 0)
    assert list(in_order(state, sent(SorterState(), 1, NOW), 0))
    assert state == SorterState()
