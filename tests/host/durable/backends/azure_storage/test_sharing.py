"""Activities and instances that are handed to other hosts, and what is left where that fails."""

from __future__ import annotations

import pytest
from azure.core.exceptions import ServiceRequestError

from func_host.durable.actions import ScheduleTask
from func_host.durable.backend import StaleCommitError
from func_host.durable.backends.azure_storage.partitions import partition_of
from func_host.durable.backends.azure_storage.sharing import ActivityTicket
from tests.host.durable.backends.azure_storage.hub_world import (
    BEGIN,
    EVENT,
    FINISH,
    PARTITIONS,
    HubWorld,
    result,
    step,
)

pytestmark = pytest.mark.anyio
FIRST, SECOND = ScheduleTask(0, "work", None), ScheduleTask(1, "work", None)


@pytest.fixture
def world() -> HubWorld:
    made = HubWorld()
    made.serve()
    return made


async def test_an_activity_is_put_before_the_history_says_that_it_was_asked_for(
    world: HubWorld,
) -> None:
    await world.begin(activities=1)
    world.line.requests.clear()
    held = await world.sharing.share("one", [FIRST], [])

    assert held == []
    assert world.line.requests[:2] == ["put", "append"]
    assert world.histories.kinds("one")[-2:] == ["TaskScheduled", "OrchestratorCompleted"]
    assert world.queues.kinds() == ["TaskScheduled"]  # the claim is gone: nothing needs it
    assert not world.hub.inbox.is_busy("one")


async def test_one_that_waits_is_visible_at_once_and_one_that_runs_is_held(
    world: HubWorld,
) -> None:
    await world.begin(activities=2)
    (held,) = await world.sharing.share("one", [FIRST], [SECOND])

    assert held.action == SECOND
    assert isinstance(held.ticket, ActivityTicket)
    assert sorted(world.queues.left().values()) == [0.0, 60.0]
    assert set(world.keeper._held) == {held.ticket.ticket.queue_id}


async def test_the_claim_stays_while_one_activity_is_this_host_s_alone(world: HubWorld) -> None:
    await world.begin(activities=2)
    await world.sharing.share("one", [FIRST], [])

    assert world.hub.inbox.claim_of("one") is not None
    assert world.histories.kinds("one")[-1] == "TaskScheduled"


async def test_what_has_a_result_by_now_is_not_shared(world: HubWorld) -> None:
    fence = await world.begin(activities=1)
    await world.commit(step((BEGIN, result(), FINISH), fence=fence))
    assert await world.sharing.share("one", [], [FIRST]) == []
    assert world.queues.kinds() == []


async def test_an_instance_that_is_not_this_host_s_any_more_is_not_shared(
    world: HubWorld,
) -> None:
    await world.begin(activities=1)
    world.lose(partition_of("one", PARTITIONS))
    with pytest.raises(StaleCommitError):
        await world.sharing.share("one", [FIRST], [])
    assert "TaskScheduled" not in world.queues.kinds()


@pytest.mark.parametrize("request_", ["put", "append"])
@pytest.mark.parametrize("is_before", [True, False])
async def test_an_activity_whose_sharing_failed_is_not_kept_from_the_others(
    world: HubWorld, request_: str, *, is_before: bool
) -> None:
    await world.begin(activities=2)
    (world.line.fails if is_before else world.line.loses_answers).append(request_)
    with pytest.raises(ServiceRequestError):
        await world.sharing.share("one", [], [FIRST, SECOND])
    await world.settle()

    tasks = {
        queue_id: seconds
        for queue_id, seconds in world.queues.left().items()
        if world.queues.messages[queue_id].partition is None
    }
    assert tasks.keys().isdisjoint(world.keeper._held)
    assert all(seconds <= 300 for seconds in tasks.values())


async def test_what_waits_for_an_instance_that_is_let_go_shows_up_when_it_is_due(
    world: HubWorld,
) -> None:
    await world.begin(activities=1)
    world.send(EVENT)
    await world.take()
    await world.sharing.let_go("one")

    assert set(world.queues.left().values()) == {0.0}
    assert sorted(world.queues.kinds()) == ["EventRaised", "ExecutionStarted"]
    assert not world.hub.inbox.is_busy("one")
    assert world.hub.known_instance("one") is None


async def test_the_status_of_an_instance_that_is_let_go_is_written(world: HubWorld) -> None:
    await world.begin(activities=1)
    assert world.rows.status("one") == "Pending"
    await world.sharing.let_go("one")

    assert world.rows.status("one") == "Running"
