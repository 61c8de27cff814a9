"""What is appended to a history, and what is known of it then."""

from __future__ import annotations

import pytest

from func_host.durable.backend import StaleCommitError
from func_host.durable.backends.azure_storage.appending import HistoryWriting
from func_host.durable.backends.azure_storage.partitions import partition_of
from tests.host.durable.backends.azure_storage.hub_world import (
    BEGIN,
    EVENT,
    FINISH,
    PARTITIONS,
    HubWorld,
    asks,
    result,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def world() -> HubWorld:
    made = HubWorld()
    made.serve()
    return made


async def test_what_must_wait_is_left_over(world: HubWorld) -> None:
    await world.begin()
    hot = world.hub.known_instance("one")
    assert hot is not None
    writing = HistoryWriting(instance_id="one", execution_id="first")
    await writing.append(world.hub, hot, [BEGIN, EVENT, asks(), FINISH])

    assert writing.stored == [BEGIN, EVENT]
    assert writing.withheld == [asks(), FINISH]
    assert hot.next_ordinal == 5
    await writing.append(world.hub, hot, [*writing.withheld, BEGIN, result(), FINISH])
    assert writing.withheld == []
    assert world.histories.kinds("one")[5:] == [
        *("TaskScheduled", "OrchestratorCompleted"),
        *("OrchestratorStarted", "TaskCompleted", "OrchestratorCompleted"),
    ]


async def test_nothing_is_asked_where_nothing_may_be_written(world: HubWorld) -> None:
    await world.begin()
    hot = world.hub.known_instance("one")
    assert hot is not None
    world.line.requests.clear()
    writing = HistoryWriting(instance_id="one", execution_id="first")
    await writing.append(world.hub, hot, [asks()])

    assert world.line.requests == []
    assert writing.withheld == [asks()]
    assert not writing.is_written


async def test_the_message_of_an_event_is_written_with_it(world: HubWorld) -> None:
    await world.begin()
    hot = world.hub.known_instance("one")
    assert hot is not None
    writing = HistoryWriting(instance_id="one", execution_id="first", message_ids={id(EVENT): "m7"})
    await writing.append(world.hub, hot, [BEGIN, EVENT, FINISH])

    assert [one.message_id for one in world.histories.rows["one"][-3:]] == [None, "m7", None]


async def test_a_fence_says_that_something_is_left_to_do_until_it_is_not(world: HubWorld) -> None:
    await world.begin()
    hot = world.hub.known_instance("one")
    assert hot is not None
    writing = HistoryWriting(instance_id="one", execution_id="first")
    await writing.append(world.hub, hot, [BEGIN, FINISH], is_left_open=True)
    assert hot.is_left_open
    assert world.histories.left_open == {"one"}
    await writing.append(world.hub, hot, [BEGIN, FINISH])

    assert not hot.is_left_open
    assert world.histories.left_open == set()


async def test_a_history_of_another_host_is_not_written(world: HubWorld) -> None:
    await world.begin()
    hot = world.hub.known_instance("one")
    assert hot is not None
    world.lose(partition_of("one", PARTITIONS))
    writing = HistoryWriting(instance_id="one", execution_id="first")
    with pytest.raises(StaleCommitError):
        await writing.append(world.hub, hot, [BEGIN, FINISH])

    assert not writing.stored


async def test_of_two_that_write_under_one_fence_one_is_refused(world: HubWorld) -> None:
    await world.begin()
    hot = world.hub.known_instance("one")
    assert hot is not None
    world.histories.etags["one"] += 1
    writing = HistoryWriting(instance_id="one", execution_id="first")
    with pytest.raises(StaleCommitError):
        await writing.append(world.hub, hot, [BEGIN, FINISH])
