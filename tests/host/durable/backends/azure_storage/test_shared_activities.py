"""Activities that are taken from the shared queue, completed, or given back."""

from __future__ import annotations

import asyncio

import pytest
from azure.core.exceptions import ServiceRequestError

from func_host.durable.actions import ScheduleTask
from func_host.durable.backend import BackendUnavailableError, SharedActivity
from func_host.durable.backends.azure_storage.partitions import partition_of
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from tests.host.durable.backends.azure_storage.hub_world import (
    BEGIN,
    FINISH,
    PARTITIONS,
    HubWorld,
    result,
    step,
)

pytestmark = pytest.mark.anyio
HOME = partition_of("one", PARTITIONS)


@pytest.fixture
def world() -> HubWorld:
    made = HubWorld()
    made.serve()
    return made


async def shared(world: HubWorld) -> SharedActivity:
    """Share an activity that waits, and take it."""
    await world.begin(activities=1)
    await world.sharing.share("one", [ScheduleTask(0, "work", None)], [])
    return await world.activities.next()


async def test_an_activity_is_taken_and_kept(world: HubWorld) -> None:
    activity = await shared(world)

    assert activity.instance.instance_id == "one"
    assert (activity.action.id, activity.action.name) == (0, "work")
    assert world.queues.left() == {"m2": 60.0}
    assert set(world.keeper._held) == {"m2"}


async def test_a_result_for_an_instance_of_this_host_needs_no_queue_to_arrive(
    world: HubWorld,
) -> None:
    activity = await shared(world)
    await world.activities.complete(activity, result())

    assert await world.next() == ("one", [2])
    assert world.queues.kinds() == ["TaskCompleted"]
    assert "m2" not in world.keeper._held


async def test_a_result_for_another_host_lies_visible_in_its_queue(world: HubWorld) -> None:
    activity = await shared(world)
    world.lose(HOME)
    await world.activities.complete(activity, result())

    assert world.queues.kinds() == ["TaskCompleted"]
    assert set(world.queues.left().values()) == {0.0}


async def test_a_result_of_what_this_host_knows_nothing_of_is_looked_at_as_any_other(
    world: HubWorld,
) -> None:
    activity = await shared(world)
    world.hub.known.drop("one")
    await world.activities.complete(activity, result())
    assert set(world.queues.left().values()) == {0.0}
    await world.take()

    assert await world.next() == ("one", [2])


async def test_the_result_is_sent_before_its_activity_is_deleted(world: HubWorld) -> None:
    activity = await shared(world)
    world.line.fails = ["put"]
    with pytest.raises(ServiceRequestError):
        await world.activities.complete(activity, result())
    assert world.queues.kinds() == ["TaskScheduled"]
    await world.activities.complete(activity, result())

    assert world.queues.kinds() == ["TaskCompleted"]


async def test_a_result_is_sent_once_where_only_the_deletion_failed(world: HubWorld) -> None:
    activity = await shared(world)
    world.line.fails = ["delete"]
    with pytest.raises(ServiceRequestError):
        await world.activities.complete(activity, result())
    await world.activities.complete(activity, result())

    assert world.queues.kinds() == ["TaskCompleted"]


async def test_what_has_not_ended_is_given_back(world: HubWorld) -> None:
    await shared(world)
    await world.activities.give_back()

    assert world.queues.left() == {"m2": 0.0}
    assert not world.keeper._held


async def test_what_is_answered_is_not_given_back(world: HubWorld) -> None:
    activity = await shared(world)
    world.line.fails = ["delete"]
    with pytest.raises(ServiceRequestError):
        await world.activities.complete(activity, result())
    await world.activities.give_back()

    assert world.queues.left()["m2"] == 60.0


async def test_an_activity_that_cannot_be_read_is_a_dead_letter_in_the_end(
    world: HubWorld,
) -> None:
    world.queues.add(UnreadableError("It is no envelope."), None)
    taking = asyncio.ensure_future(world.activities.next())
    await world.settle(300)

    assert world.letters.buried == [("hub-workitems", None, "It is no envelope.", 5)]
    assert world.queues.left() == {}
    world.hub.stop()
    with pytest.raises(BackendUnavailableError):
        await taking


async def test_whoever_waits_is_told_that_something_was_put(world: HubWorld) -> None:
    taking = asyncio.ensure_future(world.activities.next())
    await world.settle(300)
    await world.begin(activities=1)
    await world.sharing.share("one", [ScheduleTask(0, "work", None)], [])
    world.activities.ring()
    await world.settle()

    assert (await taking).action.id == 0


async def test_a_queue_that_cannot_be_read_is_looked_into_again(
    world: HubWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.line.fails = ["take activity"]
    taking = asyncio.ensure_future(shared(world))
    await world.settle(1)

    assert (await taking).action.id == 0
    assert "the work-item queue cannot be read" in caplog.text


async def takes_nothing(world: HubWorld) -> bool:
    """Look into the queue, and tell whether what is there is left alone."""
    looking = asyncio.ensure_future(world.activities.next())
    await world.settle()
    is_nothing = not looking.done()
    looking.cancel()
    return is_nothing


async def test_an_activity_whose_message_was_put_twice_runs_once(world: HubWorld) -> None:
    await shared(world)
    world.queues.add(world.queues.messages["m2"].envelope, None)

    assert await takes_nothing(world)
    assert set(world.queues.left()) == {"m2"}


async def test_an_activity_that_shows_up_while_it_runs_is_held_anew(world: HubWorld) -> None:
    """Its message was not kept hidden in time: the newer ticket counts."""
    activity = await shared(world)
    world.queues.messages["m2"].visible_at = 0.0

    assert await takes_nothing(world)
    await world.activities.complete(activity, result())
    assert world.queues.kinds() == ["TaskCompleted"]


async def test_an_activity_whose_result_is_recorded_does_not_run_again(world: HubWorld) -> None:
    """Its message could not be deleted, and comes again."""
    fence = await world.begin(activities=1)
    await world.sharing.share("one", [ScheduleTask(0, "work", None)], [])
    await world.commit(step((BEGIN, result(), FINISH), fence=fence))
    world.queues.messages["m2"].dequeue_count = 1

    assert await takes_nothing(world)
    assert not world.queues.left()


async def test_an_activity_that_a_dead_host_had_taken_runs(world: HubWorld) -> None:
    await world.begin(activities=1)
    await world.sharing.share("one", [ScheduleTask(0, "work", None)], [])
    world.queues.messages["m2"].dequeue_count = 7

    assert (await world.activities.next()).action.name == "work"
