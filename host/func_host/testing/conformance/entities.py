"""Conformance: entities are made by what is sent to them, and each batch takes the place of all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from func_host.clock import SystemIds
from func_host.durable.backend import OPERATION_ID_KEPT, Commit, OutgoingMessage, StatusChange
from func_host.durable.engine.entities import messages
from func_host.durable.history import (
    EventRaised,
    ExecutionStarted,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
)
from func_host.testing.conformance.base import ConformanceBase
from func_host.testing.conformance.world import Status, World, ids_of

if TYPE_CHECKING:
    from datetime import datetime

    from func_host.durable.backend import InstanceRecord, WorkItem

ENTITY = "@counter@k"
STATE = '{"exists":true,"state":"1","sorter":{}}'


def signal(world: World, name: str, *, due: datetime | None = None) -> EventRaised:
    """Make the message of a signal."""
    request = messages.operation(id=SystemIds().new_id(), op=name, is_signal=True, due=due)
    return messages.request_event(request, world.clock.now())


def operations_of(*items: WorkItem) -> list[str | None]:
    """Give the names of the operations that have arrived."""
    return [
        messages.read_request(message.event).op
        for item in items
        for message in item.messages
        if isinstance(message.event, EventRaised)
    ]


async def commit_batch(
    world: World,
    item: WorkItem,
    *outbox: OutgoingMessage,
    state: str = STATE,
    is_waiting: bool = False,
) -> None:
    """Write a batch that consumes what has arrived."""
    stored = await world.backend.load(item.instance_id)
    assert stored is not None
    now = world.clock.now()
    start = ExecutionStarted(
        timestamp=now,
        orchestration_instance=OrchestrationInstance(item.instance_id, SystemIds().new_id()),
        name=item.instance_id,
        input=state,
    )
    await world.backend.commit(
        Commit(
            instance_id=item.instance_id,
            fence=stored.fence,
            started=start,
            events=(
                OrchestratorStarted(timestamp=now),
                start,
                OrchestratorCompleted(timestamp=now),
            ),
            status=StatusChange(
                runtime_status=Status.Running,
                last_updated_time=now,
                custom_status='{"entityExists":true}',
            ),
            outbox=outbox,
            consumed=ids_of(item),
            open_activities=1 if is_waiting else 0,
        )
    )


class EntityConformance(ConformanceBase):
    """`send_message` to entities, their commits, and `purge_entity`."""

    async def _record(self, world: World, instance_id: str = ENTITY) -> InstanceRecord:
        record = await world.backend.get_instance(instance_id)
        assert record is not None
        return record

    async def test_a_signal_makes_its_entity(self, world: World) -> None:
        """Nobody has to start it."""
        await world.backend.send_message(ENTITY, signal(world, "add"))
        item = await world.take()

        assert (item.instance_id, operations_of(item)) == (ENTITY, ["add"])
        stored = await world.backend.load(ENTITY)
        assert stored is not None
        assert list(stored.history) == []

    async def test_a_commit_takes_the_place_of_all_that_was_stored(self, world: World) -> None:
        """The history is that of the last batch, whose input is the entity."""
        for state in (STATE, STATE.replace("1", "2")):
            await world.backend.send_message(ENTITY, signal(world, "add"))
            await commit_batch(world, await world.take(), state=state)

            record = await self._record(world)
            assert (record.input, record.custom_status) == (state, '{"entityExists":true}')
            assert record.runtime_status is Status.Running
            history = await world.backend.get_history(ENTITY)
            assert [type(event).__name__ for event in history] == [
                "OrchestratorStarted",
                "ExecutionStarted",
                "OrchestratorCompleted",
            ]
        await world.expect_idle()
        await world.crash()
        await world.expect_idle()
        assert (await self._record(world)).input == state

    async def test_an_entity_is_made_by_another_instance(self, world: World) -> None:
        """With the commit that sends the message."""
        run = await world.begin("one")
        await run.send(OutgoingMessage(instance_id=ENTITY, event=signal(world, "add")))

        item = await world.take()
        assert (item.instance_id, operations_of(item)) == (ENTITY, ["add"])
        target = OutgoingMessage(instance_id="@counter@other", event=signal(world, "more"))
        await commit_batch(world, item, target)
        assert operations_of(await world.take()) == ["more"]

    async def test_other_messages_make_no_instance(self, world: World) -> None:
        """An event to nobody stays one."""
        run = await world.begin("one")
        await run.send(world.to("nobody", "hello"))

        await world.expect_idle()
        assert await world.backend.get_instance("nobody") is None

    async def test_signals_that_were_not_consumed_come_again_in_order(self, world: World) -> None:
        """After a crash."""
        for name in ("a", "b", "c"):
            await world.backend.send_message(ENTITY, signal(world, name))
        await world.take()
        await world.crash()

        arrived: list[str | None] = []
        while len(arrived) < len("abc"):
            arrived += operations_of(await world.take())
        assert arrived == ["a", "b", "c"]

    async def test_a_delayed_signal_comes_when_it_is_due(self, world: World) -> None:
        """Not before, and not behind one that is due later."""
        now = world.clock.now()
        for name, seconds in (("late", 20), ("soon", 10)):
            due = now + timedelta(seconds=seconds)
            await world.backend.send_message(ENTITY, signal(world, name, due=due), visible_at=due)
        await world.expect_idle()

        await world.clock.advance(10)
        item = await world.take()
        assert operations_of(item) == ["soon"]
        await commit_batch(world, item)
        await world.expect_idle()
        await world.clock.advance(10)
        assert operations_of(await world.take()) == ["late"]

    async def test_a_repeated_operation_id_does_nothing(self, world: World) -> None:
        """Before the message is consumed, after that, and after a crash."""

        async def send() -> None:
            await world.backend.send_message(ENTITY, signal(world, "add"), operation_id="o-1")

        await send()
        await send()
        item = await world.take()
        await commit_batch(world, item)
        await send()
        await world.expect_idle()
        await world.crash()
        await send()
        await world.expect_idle()

        assert len(item.messages) == 1

    async def test_operation_ids_are_told_apart_by_instance(self, world: World) -> None:
        """And from messages without one."""
        for target in (ENTITY, "@counter@other"):
            await world.backend.send_message(target, signal(world, "add"), operation_id="o-1")
        await world.backend.send_message(ENTITY, signal(world, "add"))

        arrived: list[str | None] = []
        while len(arrived) < 3:
            arrived += operations_of(await world.take())
        await world.expect_idle()

    async def test_operation_ids_are_known_for_a_while(self, world: World) -> None:
        """Almost as long as the store promises."""
        await world.backend.send_message(ENTITY, signal(world, "add"), operation_id="o-1")
        await commit_batch(world, await world.take())

        await world.clock.advance(OPERATION_ID_KEPT.total_seconds() - 60)
        await world.backend.send_message(ENTITY, signal(world, "add"), operation_id="o-1")

        await world.expect_idle()

    async def test_an_entity_with_something_in_its_queue_comes_again(self, world: World) -> None:
        """When the store is opened: nobody else would wake it."""
        await world.backend.send_message(ENTITY, signal(world, "add"))
        await commit_batch(world, await world.take(), is_waiting=True)
        await world.expect_idle()

        await world.crash()

        assert (await world.take()).instance_id == ENTITY

    async def test_an_entity_is_purged_in_its_execution_only(self, world: World) -> None:
        """One that has gone on since it was looked at stays."""
        await world.backend.send_message(ENTITY, signal(world, "add"))
        await commit_batch(world, await world.take())
        looked_at = await self._record(world)
        await world.backend.send_message(ENTITY, signal(world, "add"))
        await commit_batch(world, await world.take())

        assert not await world.backend.purge_entity(ENTITY, looked_at.execution_id)
        assert await world.backend.purge_entity(ENTITY, (await self._record(world)).execution_id)
        assert await world.backend.get_instance(ENTITY) is None
        await world.expect_idle()

    async def test_an_entity_that_something_waits_for_is_not_purged(self, world: World) -> None:
        """Nothing is lost."""
        await world.backend.send_message(ENTITY, signal(world, "add"))
        await commit_batch(world, await world.take())
        await world.backend.send_message(ENTITY, signal(world, "add"))

        record = await self._record(world)
        assert not await world.backend.purge_entity(ENTITY, record.execution_id)
        assert operations_of(await world.take()) == ["add"]

    async def test_a_purged_entity_begins_anew(self, world: World) -> None:
        """With the next message."""
        await world.backend.send_message(ENTITY, signal(world, "add"))
        await commit_batch(world, await world.take())
        await world.backend.purge_entity(ENTITY, (await self._record(world)).execution_id)
        await world.backend.send_message(ENTITY, signal(world, "again"))

        item = await world.take()
        assert operations_of(item) == ["again"]
        await commit_batch(world, item)
        assert (await self._record(world)).input == STATE

    async def test_entities_are_not_unfinished(self, world: World) -> None:
        """They never end, and wait for nothing."""
        await world.backend.send_message(ENTITY, signal(world, "add"))
        await commit_batch(world, await world.take())
        await world.begin("one")

        assert (await world.backend.summary()).unfinished == 1
