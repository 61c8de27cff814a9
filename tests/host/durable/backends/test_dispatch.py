"""The dispatcher by itself: clocks that jump, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from func_host.durable.backend import Message, MessageId, Release
from func_host.durable.backends import dispatch
from func_host.durable.backends.dispatch import Arrival, Dispatcher
from func_host.durable.codec import to_microseconds
from func_host.durable.history import EventRaised
from func_host.testing.clock import START, SimulatedClock

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)


class JumpingClock(SimulatedClock):
    """A clock that somebody sets."""

    def set(self, by: timedelta) -> None:
        self._now += by


@dataclass
class Store:
    """What is stored, by hand."""

    messages: list[Arrival] = field(default_factory=list[Arrival])
    delayed: list[Arrival] = field(default_factory=list[Arrival])
    reads: int = 0

    def waiting(
        self, instance_id: str, *, until: int, known: Collection[MessageId], limit: int
    ) -> Sequence[Arrival]:
        self.reads += 1
        visible = self.messages + [one for one in self.delayed if one.arrives_at <= until]
        return [
            one
            for one in sorted(visible, key=lambda one: one.position)
            if one.instance_id == instance_id and one.message.id not in known
        ][:limit]

    def due(self, *, after: tuple[int, int], until: int, limit: int) -> Sequence[Arrival]:
        found = [one for one in self.delayed if one.position > after and one.arrives_at <= until]
        return sorted(found, key=lambda one: one.position)[:limit]

    def next_due(self, *, after: tuple[int, int]) -> int | None:
        return min((one.arrives_at for one in self.delayed if one.position > after), default=None)

    def has_open_activities(self, instance_id: str) -> bool:
        return instance_id == "nobody"

    async def recoverable(self, *, after: str, limit: int) -> Sequence[str]:
        return sorted({one.instance_id for one in self.messages if one.instance_id > after})[:limit]


def arrival(number: int, instance_id: str = "one", after: timedelta = timedelta(0)) -> Arrival:
    event = EventRaised(timestamp=START, name=str(number))
    return Arrival(
        to_microseconds(START + after), instance_id, Message(MessageId(number), event), 100
    )


async def test_a_clock_set_back_makes_no_timer_early() -> None:
    clock, store = JumpingClock(), Store()
    dispatcher = Dispatcher(clock, store)
    await dispatcher.open()
    store.delayed = [arrival(1, after=HOUR)]
    dispatcher.delayed(store.delayed[0].arrives_at, MessageId(1))
    await clock.advance(2 * HOUR)
    assert [message.id for message in (await dispatcher.next()).messages] == [1]

    clock.set(-2 * HOUR)
    store.delayed.append(arrival(2, after=HOUR / 2))
    dispatcher.delayed(store.delayed[1].arrives_at, MessageId(2))
    store.messages = [arrival(3, "other")]
    dispatcher.arrived(store.messages[0])
    assert [message.id for message in (await dispatcher.next()).messages] == [3]
    await clock.advance(HOUR / 2)
    assert [message.id for message in (await dispatcher.next()).messages] == [2]


async def test_a_backlog_is_not_remembered_but_found_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch, "READY_MAX", 10)
    monkeypatch.setattr(dispatch, "RECOVERY_PAGE_SIZE", 7)
    store = Store()
    dispatcher = Dispatcher(SimulatedClock(), store)
    await dispatcher.open()
    for number in range(100):
        store.messages.append(arrival(number, f"{number:03}"))
        dispatcher.arrived(store.messages[-1])
    assert dispatcher.remembered == 10

    taken: list[str] = []
    for _ in range(100):
        item = await dispatcher.next()
        taken.append(item.instance_id)
        done = next(one for one in store.messages if one.instance_id == item.instance_id)
        store.messages.remove(done)
        dispatcher.consumed(item.instance_id, [done.message.id])
        assert dispatcher.remembered <= 20
    assert taken == [f"{number:03}" for number in range(100)]


async def test_bodies_beyond_the_limit_are_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "CACHED_BYTES_MAX", 10 * dispatch.MESSAGE_OVERHEAD_BYTES)
    store = Store()
    dispatcher = Dispatcher(SimulatedClock(), store)
    await dispatcher.open()
    for number in range(100):
        store.messages.append(arrival(number))
        dispatcher.arrived(store.messages[-1])
    assert dispatcher.cached_bytes == 0

    item = await dispatcher.next()
    assert [message.id for message in item.messages] == list(range(100))
    assert store.reads == 1
    assert dispatcher.cached_bytes == 0


async def test_what_is_consumed_is_forgotten() -> None:
    dispatcher = Dispatcher(SimulatedClock(), Store())
    await dispatcher.open()
    for number in range(5):
        dispatcher.arrived(arrival(number))
    item = await dispatcher.next()
    dispatcher.consumed("one", [message.id for message in item.messages])

    assert dispatcher.remembered == 0
    assert dispatcher.cached_bytes == 0


async def test_what_is_told_twice_is_handed_out_once() -> None:
    dispatcher = Dispatcher(SimulatedClock(), Store())
    await dispatcher.open()
    dispatcher.arrived(arrival(1))
    dispatcher.arrived(arrival(1))
    assert [message.id for message in (await dispatcher.next()).messages] == [1]
    dispatcher.arrived(arrival(1))
    dispatcher.arrived(arrival(2))
    assert [message.id for message in (await dispatcher.next()).messages] == [2]


async def test_a_release_comes_with_what_waits_or_alone() -> None:
    store = Store()
    dispatcher = Dispatcher(SimulatedClock(), store)
    await dispatcher.open()
    store.messages.append(arrival(1))
    dispatcher.arrived(arrival(1))
    dispatcher.ask_release("one", Release.INSTANCE)
    dispatcher.ask_release("two", Release.ACTIVITIES)

    first, second = await dispatcher.next(), await dispatcher.next()
    assert (first.instance_id, len(first.messages), first.release) == ("one", 1, Release.INSTANCE)
    assert (second.instance_id, second.messages, second.release) == (
        *("two", ()),
        Release.ACTIVITIES,
    )
    assert dispatcher.remembered == 1  # the message that is with the worker


async def test_the_release_of_an_instance_is_more_than_that_of_its_activities() -> None:
    dispatcher = Dispatcher(SimulatedClock(), Store())
    await dispatcher.open()
    for release in (Release.ACTIVITIES, Release.INSTANCE, Release.ACTIVITIES):
        dispatcher.ask_release("one", release)

    assert (await dispatcher.next()).release is Release.INSTANCE


async def test_an_instance_is_with_the_worker_until_its_messages_are_consumed() -> None:
    dispatcher = Dispatcher(SimulatedClock(), Store())
    await dispatcher.open()
    dispatcher.arrived(arrival(1))
    assert not dispatcher.is_with_worker("one")
    await dispatcher.next()
    assert dispatcher.is_with_worker("one")
    dispatcher.consumed("one", [MessageId(1)])

    assert not dispatcher.is_with_worker("one")


async def test_an_instance_that_is_left_is_not_handed_out_and_takes_no_room() -> None:
    dispatcher = Dispatcher(SimulatedClock(), Store())
    await dispatcher.open()
    for number, instance_id in enumerate(("one", "two"), start=1):
        dispatcher.arrived(arrival(number, instance_id))
    dispatcher.leave("one")
    dispatcher.leave("nobody knows it")
    item = await dispatcher.next()
    dispatcher.consumed("two", [MessageId(2)])

    assert item.instance_id == "two"
    assert dispatcher.remembered == 0
    assert dispatcher.cached_bytes == 0
