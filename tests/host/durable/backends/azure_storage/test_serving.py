"""Partitions that come, go, and are handed over while something is in flight."""

from __future__ import annotations

import asyncio

import pytest

from func_host.durable.backend import Release, StaleCommitError
from func_host.durable.backends.azure_storage.partitions import partition_of
from tests.host.durable.backends.azure_storage.hub_world import (
    BEGIN,
    EVENT,
    FINISH,
    PARTITIONS,
    HubWorld,
    asks,
    step,
)

pytestmark = pytest.mark.anyio
HOME = partition_of("one", PARTITIONS)


def neighbour() -> str:
    """An instance of the same partition."""
    return next(
        name
        for name in (f"other{number}" for number in range(100))
        if partition_of(name, PARTITIONS) == HOME
    )


@pytest.fixture
def world() -> HubWorld:
    return HubWorld()


async def test_a_partition_that_is_served_is_read_from_the_start(world: HubWorld) -> None:
    world.create()
    world.serve(HOME)
    await world.serving.start_reading()

    assert await world.next() == ("one", [1])
    await world.serving.aborted()


async def test_a_partition_that_is_acquired_later_is_read_then(world: HubWorld) -> None:
    await world.serving.start_reading()
    world.create()
    world.serve(HOME)
    await world.settle()

    assert await world.next() == ("one", [1])
    await world.serving.aborted()


async def test_an_idle_partition_is_given_back_with_what_waits_in_it(world: HubWorld) -> None:
    world.serve(HOME)
    world.create()
    await world.take()
    world.serving.partition_draining(HOME)
    await world.settle()

    assert world.drained == [HOME]
    assert world.queues.left() == {"m1": 0.0}
    assert not world.hub.inbox.instances()


async def test_what_is_in_flight_is_released_by_the_worker_first(world: HubWorld) -> None:
    world.serve(HOME)
    await world.begin(activities=1)
    world.serving.partition_draining(HOME)
    await world.settle()
    item = await world.hub.dispatcher.next()

    assert item.release is Release.INSTANCE
    assert world.drained == []
    await world.serving.release("one")
    await world.settle()
    assert world.drained == [HOME]
    assert world.queues.left() == {"m1": 0.0}  # the claim: whoever takes over goes on


async def test_a_message_that_arrives_while_its_partition_drains_stays_in_its_queue(
    world: HubWorld,
) -> None:
    world.serve(HOME)
    world.create()
    gate = world.line.hold("take")
    taking = asyncio.ensure_future(world.take())
    await gate.reached.wait()
    world.serving.partition_draining(HOME)
    gate.open.set()

    assert await taking == 0
    assert world.queues.left() == {"m1": 0.0}
    assert not world.hub.inbox.instances()


async def test_a_message_is_not_consumed_here_and_given_back_as_well(world: HubWorld) -> None:
    """The worker takes it just when others of its partition are being handed over."""
    world.serve(HOME)
    other = neighbour()
    for instance_id in ("one", other):
        await world.begin(instance_id)
    for instance_id in ("one", other):
        world.send(EVENT, instance_id)
    await world.take()
    gate = world.line.hold("hide")
    world.serving.partition_draining(HOME)
    await gate.reached.wait()
    next_item = asyncio.ensure_future(world.hub.dispatcher.next())
    await world.settle()
    gate.open.set()
    await world.settle()
    if next_item.done():  # then it is the worker's until it is released
        item = next_item.result()
        assert world.drained == []
        assert world.hub.inbox.of(item.instance_id)
        await world.serving.release(item.instance_id)
        await world.settle()
    next_item.cancel()

    assert world.drained == [HOME]
    assert sorted(world.queues.kinds()) == ["EventRaised", "EventRaised"]
    assert set(world.queues.left().values()) == {0.0}


async def test_what_was_given_back_is_not_committed_any_more(world: HubWorld) -> None:
    world.serve(HOME)
    fence = await world.begin()
    world.send(EVENT)
    await world.take()
    _, consumed = await world.next()
    world.hub.ownership.end(HOME)
    async with world.hub.alone("one"):
        await world.sharing.let_go("one")

    with pytest.raises(StaleCommitError):
        await world.commit(step((BEGIN, EVENT, FINISH), fence=fence, consumed=tuple(consumed)))
    assert "EventRaised" not in world.histories.kinds("one")


async def test_a_partition_that_is_lost_while_it_drains_leaves_nothing_behind(
    world: HubWorld,
) -> None:
    world.serve(HOME)
    await world.begin(activities=1)
    world.serving.partition_draining(HOME)
    await world.settle()
    world.lose(HOME)
    await world.settle()
    world.serve(HOME)
    world.queues.messages["m1"].visible_at = 0.0
    await world.take()
    held = list(world.hub.inbox.of("one"))

    await world.serving.release("one")  # what was asked for before it was lost

    assert world.hub.inbox.of("one") == held != []
    assert world.drained == []


async def test_a_drain_that_is_taken_back_leaves_one_reader(world: HubWorld) -> None:
    world.serve(HOME)
    await world.serving.start_reading()
    await world.settle(0.2)
    gate = world.line.hold("take")
    await world.settle(1)
    assert gate.reached.is_set()
    world.serving.partition_draining(HOME)
    await world.settle()
    world.serving.partition_acquired(HOME)
    again = world.line.hold("take")
    gate.open.set()
    await world.settle(1)
    assert again.reached.is_set()
    before = len(world.line.requests)
    await world.settle(60)
    assert world.line.requests[before:] == []  # nobody else looks meanwhile
    again.open.set()
    world.serving.partition_draining(HOME)
    await world.settle(1)
    before = len(world.line.requests)
    await world.settle(60)

    assert world.line.requests[before:] == []
    assert HOME in world.drained


async def test_a_hub_that_closes_while_a_partition_drains_need_not_wait_for_its_end(
    world: HubWorld,
) -> None:
    world.serve(HOME)
    await world.begin(activities=1)
    world.serving.partition_draining(HOME)
    await world.settle()
    await world.serving.close()

    assert world.drained == [HOME]
    assert world.queues.left() == {"m1": 0.0}


async def test_a_hub_that_closes_gives_everything_back(world: HubWorld) -> None:
    world.serve()
    for name in ("one", "two", "three"):
        await world.begin(name, activities=1)
    for name in ("one", "two", "three"):
        world.send(EVENT, name)
        await world.take(name)
    await world.serving.close()

    assert not world.hub.inbox.instances()
    assert set(world.queues.left().values()) == {0.0}
    assert len(world.queues.left()) == 6


async def test_an_instance_that_cannot_be_handed_over_does_not_hold_up_the_others(
    world: HubWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.serve(HOME)
    for name in ("one", neighbour()):
        world.create(name)
    await world.take()
    world.line.fails = ["hide"]
    world.serving.partition_draining(HOME)
    await world.settle()

    assert "an instance was not handed over" in caplog.text
    assert world.drained == [HOME]
    assert sorted(world.queues.left().values()) == [0.0, 60.0]


async def test_a_commit_of_a_partition_that_is_lost_meanwhile_comes_too_late(
    world: HubWorld,
) -> None:
    world.serve(HOME)
    fence = await world.begin()
    world.send(EVENT)
    await world.take()
    _, consumed = await world.next()
    gate = world.line.hold("append")
    commit = step(
        (BEGIN, EVENT, asks(), FINISH), fence=fence, consumed=tuple(consumed), open_activities=1
    )
    committing = asyncio.ensure_future(world.commit(commit))
    await gate.reached.wait()
    world.lose(HOME)
    gate.open.set()

    with pytest.raises(StaleCommitError):
        await committing
    assert not world.hub.inbox.instances()
    assert world.queues.kinds() == ["EventRaised"]  # it comes again, and history knows it


async def test_a_commit_does_not_go_on_over_a_partition_that_was_lost_and_taken_again(
    world: HubWorld,
) -> None:
    world.serve(HOME)
    fence = await world.begin()
    world.send(EVENT)
    await world.take()
    _, consumed = await world.next()
    gate = world.line.hold("append")
    commit = step(
        (BEGIN, EVENT, asks(), FINISH), fence=fence, consumed=tuple(consumed), open_activities=1
    )
    committing = asyncio.ensure_future(world.commit(commit))
    await gate.reached.wait()
    world.lose(HOME)
    world.serve(HOME)
    gate.open.set()

    with pytest.raises(StaleCommitError):
        await committing
    assert not world.hub.inbox.instances()
    await world.settle(60)
    await world.take()
    assert world.hub.inbox.claim_of("one") is not None  # the activity is asked for again
