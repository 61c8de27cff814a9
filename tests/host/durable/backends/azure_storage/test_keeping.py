"""What is held is kept hidden: in time, only while it is owned, and not beyond its deletion."""

from __future__ import annotations

import asyncio

import pytest

from func_host.durable.actions import ScheduleTask
from func_host.durable.backends.azure_storage.sharing import ActivityTicket
from tests.host.durable.backends.azure_storage.hub_world import EVENT, HubWorld

pytestmark = pytest.mark.anyio


@pytest.fixture
def world() -> HubWorld:
    made = HubWorld()
    made.serve()
    return made


async def test_a_message_is_renewed_before_others_see_it(world: HubWorld) -> None:
    world.send(EVENT)
    world.create()
    await world.take()
    keeping = asyncio.ensure_future(world.keeper.run(world.queues))
    for _ in range(100):
        await world.settle(2)
        assert all(seconds > 0 for seconds in world.queues.left().values())

    assert 4 <= world.line.requests.count("hide") <= 20
    keeping.cancel()


async def test_what_is_not_surely_owned_is_left_to_others(world: HubWorld) -> None:
    world.create()
    await world.take()
    world.held.clear()
    await world.settle(59)
    await world.keeper.renew(world.queues)

    assert "hide" not in world.line.requests


async def test_an_activity_is_kept_whoever_owns_its_instance(world: HubWorld) -> None:
    await world.begin(activities=1)
    (activity,) = await world.sharing.share("one", [], [ScheduleTask(0, "work", None)])
    assert isinstance(activity.ticket, ActivityTicket)
    world.held.clear()
    await world.settle(59)
    await world.keeper.renew(world.queues)

    assert activity.ticket.ticket.until == world.clock.monotonic() + 60


async def test_a_message_that_somebody_else_has_taken_is_let_go_of(world: HubWorld) -> None:
    ticket = world.create()
    await world.take()
    world.queues._renewed(ticket.queue_id, 30)
    await world.settle(59)
    await world.keeper.renew(world.queues)

    assert not world.keeper._held


async def test_a_renewal_that_fails_is_tried_again(
    world: HubWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.create()
    await world.take()
    await world.settle(50)
    world.line.fails = ["hide"]
    await world.keeper.renew(world.queues)
    assert "a message could not be kept hidden" in caplog.text
    await world.keeper.renew(world.queues)

    assert world.queues.left() == {"m1": 60.0}


async def test_a_message_that_is_deleted_while_its_renewal_is_on_the_way_is_gone(
    world: HubWorld,
) -> None:
    world.create()
    await world.take()
    await world.settle(50)
    (ticket,) = world.hub.inbox.tickets()
    gate = world.line.hold("hide")
    renewing = asyncio.ensure_future(world.keeper.renew(world.queues))
    await gate.reached.wait()
    world.keeper.let_go(ticket)
    deleting = asyncio.ensure_future(world.queues.delete(ticket))
    await world.settle(0.1)
    gate.open.set()
    await world.settle(0.1)
    await renewing
    await deleting

    assert world.queues.left() == {}


async def test_a_message_that_was_let_go_of_is_not_renewed_after_all(world: HubWorld) -> None:
    """The keeper had chosen it, and waited for others before its turn."""
    for number in range(17):
        world.create(f"i{number}")
        await world.take(f"i{number}")
    await world.settle(50)
    gate = world.line.hold("hide")
    renewing = asyncio.ensure_future(world.keeper.renew(world.queues))
    await gate.reached.wait()
    last = list(world.hub.inbox.tickets())[16]
    world.keeper.let_go(last)
    deletion = world.line.hold("delete")
    deleting = asyncio.ensure_future(world.queues.delete(last))
    await deletion.reached.wait()
    gate.open.set()
    await renewing
    deletion.open.set()
    await deleting

    assert last.queue_id not in world.queues.left()
