"""What the tables say later than this host, and that they do say it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from azure.core.exceptions import ServiceRequestError

from func_host.durable.backend import Release, StatusChange
from func_host.durable.backends.azure_storage.catching_up import LongActivities, StatusWriter
from func_host.durable.backends.azure_storage.partitions import partition_of
from tests.host.durable.backends.azure_storage.hub_world import (
    BEGIN,
    FINISH,
    PARTITIONS,
    START,
    HubWorld,
    Status,
    asks,
    result,
    step,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def world() -> HubWorld:
    made = HubWorld()
    made.serve()
    return made


async def test_a_status_is_written_within_a_second(world: HubWorld) -> None:
    writing = asyncio.ensure_future(StatusWriter(world.hub).run())
    await world.begin(activities=1)
    await world.settle(0.9)
    assert world.rows.status("one") == "Pending"
    await world.settle(0.2)

    assert world.rows.status("one") == "Running"
    world.hub.stop()
    await writing


async def test_a_status_that_could_not_be_written_is_written_later(world: HubWorld) -> None:
    writing = asyncio.ensure_future(StatusWriter(world.hub).run())
    world.line.fails = ["merge row"]
    await world.begin(activities=1)
    await world.settle(1)
    assert world.rows.status("one") == "Pending"
    await world.settle(1)

    assert world.rows.status("one") == "Running"
    world.hub.stop()
    await writing


async def test_what_a_step_has_not_got_written_is_written_though_it_goes_on(
    world: HubWorld,
) -> None:
    """The history has it, so whoever reads the status must see it, too."""
    writing = asyncio.ensure_future(StatusWriter(world.hub).run())
    fence = await world.begin()
    await world.settle(2)
    world.line.fails = ["merge row"]
    change = StatusChange(
        runtime_status=Status.Running, last_updated_time=START, custom_status='"on the way"'
    )
    with pytest.raises(ServiceRequestError):
        await world.commit(replace(step((BEGIN, FINISH), fence=fence), status=change))
    assert world.rows.rows["one"][0].get("CustomStatus") != '"on the way"'
    await world.settle(2)

    assert world.rows.rows["one"][0]["CustomStatus"] == '"on the way"'
    world.hub.stop()
    await writing


async def test_a_status_is_not_written_over_a_partition_that_was_lost(world: HubWorld) -> None:
    await world.begin(activities=1)
    world.lose(partition_of("one", PARTITIONS))
    await StatusWriter(world.hub).flush()

    assert world.rows.status("one") == "Pending"


async def test_a_status_of_a_row_that_was_replaced_is_dropped(world: HubWorld) -> None:
    await world.begin(activities=1)
    world.create("one", "second")
    await StatusWriter(world.hub).flush()

    assert world.rows.status("one") == "Pending"
    assert world.hub.known_instance("one") is None


async def test_an_activity_that_lasts_long_is_shown_once(world: HubWorld) -> None:
    long = LongActivities(world.hub)
    await world.begin(activities=1)
    await world.settle(22)
    long.look()
    assert not world.hub.dispatcher.remembered
    await world.settle(1)
    long.look()
    item = await world.hub.dispatcher.next()
    long.look()

    assert (item.instance_id, item.release) == ("one", Release.ACTIVITIES)
    assert not world.hub.dispatcher.remembered


async def test_a_chain_of_short_activities_is_not_one_that_lasts_long(world: HubWorld) -> None:
    fence = await world.begin(activities=1)
    for number in range(30):
        await world.settle(1)
        events = (BEGIN, result(number), asks(number + 1), FINISH)
        await world.commit(step(events, fence=fence, open_activities=1))
        hot = world.hub.known_instance("one")
        assert hot is not None
        fence = type(fence)("first", hot.head.history_length, fence.epoch)
    LongActivities(world.hub).look()

    assert not world.hub.dispatcher.remembered


async def test_nothing_is_asked_of_a_partition_that_is_being_given_back(world: HubWorld) -> None:
    await world.begin(activities=1)
    await world.settle(23)
    world.hub.ownership.end(partition_of("one", PARTITIONS))
    LongActivities(world.hub).look()

    assert not world.hub.dispatcher.remembered
