"""Messages that come in twice: what the history or the inbox has already is not taken again."""

from __future__ import annotations

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backends.azure_storage.partitions import partition_of
from func_host.durable.history import ExecutionCompleted
from tests.host.durable.backends.azure_storage.hub_world import (
    BEGIN,
    EVENT,
    FINISH,
    PARTITIONS,
    START,
    HubWorld,
    step,
)

pytestmark = pytest.mark.anyio
HOME = partition_of("one", PARTITIONS)


@pytest.fixture
def world() -> HubWorld:
    world = HubWorld()
    world.serve()
    return world


async def test_of_two_copies_of_a_message_one_is_handed_out(world: HubWorld) -> None:
    """Its sender got no answer, and put it again."""
    await world.begin()
    envelope = world.hub.envelope("one", EVENT, None)
    world.queues.add(envelope, HOME)
    world.queues.add(envelope, HOME)
    await world.take()

    _, messages = await world.next()
    assert len(messages) == 1
    assert len(world.hub.inbox.of("one")) == 1
    assert world.queues.kinds() == ["EventRaised"]


async def test_a_copy_of_a_message_that_was_consumed_is_deleted(world: HubWorld) -> None:
    fence = await world.begin()
    envelope = world.hub.envelope("one", EVENT, None)
    world.queues.add(envelope, HOME)
    await world.take()
    _, messages = await world.next()
    (event,) = (message.event for message in world.hub.inbox.of("one"))
    await world.commit(step((BEGIN, event, FINISH), fence=fence, consumed=tuple(messages)))

    world.queues.add(envelope, HOME)
    await world.take()
    assert not world.hub.inbox.of("one")
    assert not world.queues.kinds()


async def test_an_end_whose_status_was_not_written_is_settled(world: HubWorld) -> None:
    """Its row says it in the end, and its claim goes."""
    fence = await world.begin(activities=1)
    end = ExecutionCompleted(
        timestamp=START, event_id=1, orchestration_status=OrchestrationRuntimeStatus.Completed
    )
    status = OrchestrationRuntimeStatus.Completed
    world.line.fails.append("merge row")
    with pytest.raises(Exception, match="merge row"):
        await world.commit(step((BEGIN, end, FINISH), fence=fence, status=status))
    hot = world.hub.known_instance("one")
    assert hot is not None
    await world.arrivals.settle("one", hot)

    assert world.rows.status("one") == "Completed"
    assert not world.queues.kinds()
    assert not world.hub.inbox.instances()
