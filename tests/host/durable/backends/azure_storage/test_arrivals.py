"""Messages that come: new, again, too early, too late, broken."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from func_host.durable.backends.azure_storage.attempts import ATTEMPTS_MAX
from func_host.durable.backends.azure_storage.messages import Party
from func_host.durable.backends.azure_storage.partitions import partition_of
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from func_host.durable.history import (
    ExecutionCompleted,
    ExecutionStarted,
    GenericEvent,
    OrchestratorStarted,
    TimerFired,
)
from func_host.testing.clock import START
from tests.host.durable.backends.azure_storage.hub_world import (
    BEGIN,
    EVENT,
    FINISH,
    PARTITIONS,
    HubWorld,
    Status,
    asks,
    result,
    start_of,
    step,
)

pytestmark = pytest.mark.anyio
HOME = partition_of("one", PARTITIONS)
PARENT = Party("parent", "its run")


class FragileWorld(HubWorld):
    """Reading the history of some instances raises what no storage raises."""

    def break_history(self) -> None:
        async def broken(instance_id: str, hot: object) -> None:
            raise ValueError(f"the history of {instance_id} is none")

        self.hub.with_history = broken  # type: ignore[method-assign]


@pytest.fixture
def world() -> FragileWorld:
    made = FragileWorld()
    made.serve()
    return made


async def ended(world: HubWorld) -> None:
    """Run an instance to its end."""
    fence = await world.begin()
    end = ExecutionCompleted(timestamp=START, event_id=1, orchestration_status=Status.Completed)
    await world.commit(step((BEGIN, end, FINISH), fence=fence, status=Status.Completed))


def held(world: HubWorld) -> list[str]:
    return [type(one.event).__name__ for one in world.hub.inbox.of("one")]


async def test_a_start_is_handed_out_with_its_row(world: FragileWorld) -> None:
    world.create()
    assert await world.take() == 1

    assert await world.next() == ("one", [1])


async def test_a_start_whose_row_is_not_there_yet_waits_for_it(world: FragileWorld) -> None:
    world.send(start_of())
    await world.take()
    assert world.queues.left() == {"m1": 2.0}
    assert held(world) == []

    world.rows.write(start_of(), START)
    await world.settle(2)
    await world.take()
    assert held(world) == ["ExecutionStarted"]


async def test_a_start_whose_row_never_comes_is_dropped(world: FragileWorld) -> None:
    world.send(start_of())
    for _ in range(20):
        await world.settle(601)
        await world.take()

    assert world.queues.left() == {}


async def test_the_start_of_a_child_makes_its_row(world: FragileWorld) -> None:
    world.send(start_of(), sender=PARENT)
    await world.take()

    assert world.rows.status("one") == "Pending"
    assert held(world) == ["ExecutionStarted"]


async def test_a_start_for_an_execution_that_replaced_another_is_handed_out_alone(
    world: FragileWorld,
) -> None:
    await world.begin(activities=1)
    world.send(EVENT)
    await world.take()
    assert await world.next() == ("one", [2])
    world.create("one", "second")  # a client of another host replaces it while it runs
    await world.take()
    item = await world.hub.dispatcher.next()

    assert item.is_replaced
    (message,) = item.messages
    assert message.event == start_of("one", "second")
    assert world.hub.inbox.claim_of("one") is None
    assert world.queues.kinds() == ["ExecutionStarted"]


async def test_a_start_is_kept_though_the_clock_of_its_client_is_slow(world: FragileWorld) -> None:
    """Else a row without a start would be left: the start comes before its row."""
    ahead = replace_created(start_of(), by=timedelta(seconds=30))
    world.send(ahead)
    world.rows.write(ahead, START)
    await world.take()
    world.send(start_of("one", "second"))
    await world.take()

    assert world.queues.left() == {"m1": 60.0, "m2": 2.0}


def replace_created(start: ExecutionStarted, by: timedelta) -> ExecutionStarted:
    return ExecutionStarted(
        timestamp=start.timestamp + by,
        orchestration_instance=start.orchestration_instance,
        name=start.name,
    )


async def test_a_start_of_which_nothing_was_stored_begins_anew(world: FragileWorld) -> None:
    await world.begin(activities=1)
    world.lose(HOME)
    world.serve(HOME)
    await world.settle(60)
    await world.take()

    assert world.histories.kinds("one") == []
    assert held(world) == ["ExecutionStarted"]


async def test_a_start_that_comes_again_is_a_claim_while_something_is_in_flight(
    world: FragileWorld,
) -> None:
    fence = await world.begin(activities=2)
    await world.commit(step((BEGIN, result(1), FINISH), fence=fence, open_activities=1))
    world.lose(HOME)
    world.serve(HOME)
    await world.settle(60)
    await world.take()

    assert held(world) == []
    assert world.hub.inbox.claim_of("one") is not None
    assert (await world.hub.dispatcher.next()).messages == ()


async def test_a_message_that_is_held_already_only_renews_its_ticket(world: FragileWorld) -> None:
    world.create()
    await world.take()
    await world.settle(61)
    await world.take()
    (ticket,) = world.hub.inbox.tickets()

    assert held(world) == ["ExecutionStarted"]
    assert ticket.until == 121
    assert await world.queues.hide(ticket, invisible_s=5)


async def test_an_answer_before_its_question_waits(world: FragileWorld) -> None:
    await world.begin()
    world.send(result(), execution_id="first", sender=Party("one", "first"))
    await world.take()

    assert held(world) == []
    assert world.queues.left() == {"m2": 2.0}
    await world.settle(2)
    await world.take()
    assert world.queues.left() == {"m2": 4.0}


async def test_an_answer_for_another_run_is_dropped(world: FragileWorld) -> None:
    await world.begin()
    world.send(result(), execution_id="an earlier one")
    await world.take()

    assert world.queues.left() == {}


async def test_an_answer_that_comes_twice_is_handed_out_once(world: FragileWorld) -> None:
    fence = await world.begin(activities=1)
    world.send(result(), execution_id="first")
    await world.take()
    _, consumed = await world.next()
    await world.commit(step((BEGIN, result(), FINISH), fence=fence, consumed=tuple(consumed)))
    world.send(result(), execution_id="first")
    await world.take()

    assert held(world) == []
    assert world.queues.left() == {}


async def test_an_event_that_was_consumed_and_not_deleted_is_recognised(
    world: FragileWorld,
) -> None:
    fence = await world.begin()
    event = world.send(EVENT)
    await world.take()
    _, consumed = await world.next()
    gate = world.line.hold("delete")
    commit = step((BEGIN, EVENT, FINISH), fence=fence, consumed=tuple(consumed))
    committing = asyncio.ensure_future(world.commit(commit))
    await gate.reached.wait()
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    world.lose(HOME)
    world.serve(HOME)
    await world.settle(60)
    await world.take()

    assert world.histories.kinds("one").count("EventRaised") == 1
    assert held(world) == []
    assert event.queue_id not in world.queues.left()


async def test_how_often_a_message_was_taken_drops_nothing(world: FragileWorld) -> None:
    await world.begin()
    world.send(EVENT, dequeue_count=100)
    world.send(result(), execution_id="first", dequeue_count=100)
    await world.take()

    assert held(world) == ["EventRaised"]
    assert world.queues.left() == {"m2": 60.0, "m3": 2.0}
    assert world.letters.buried == []


async def test_a_message_whose_handling_raises_five_times_is_a_dead_letter(
    world: FragileWorld, caplog: pytest.LogCaptureFixture
) -> None:
    await world.begin()
    world.hub.known.drop("one")
    world.break_history()
    world.send(EVENT)
    for number in range(1, ATTEMPTS_MAX):
        await world.take()
        assert world.queues.left() == {"m2": 2.0**number}
        await world.settle(2.0**number)
    assert world.letters.buried == []
    await world.take()

    reason = "the history of one is none"
    assert world.letters.buried == [(f"hub-control-{HOME:02d}", "one", reason, 5)]
    assert world.queues.left() == {}
    assert "is a dead letter now" in caplog.text


async def test_a_message_that_cannot_be_handled_does_not_hold_up_the_next(
    world: FragileWorld,
) -> None:
    await world.begin()
    world.queues.add(UnreadableError("It is no envelope."), HOME)
    world.send(EVENT)
    assert await world.take() == 2

    assert held(world) == ["EventRaised"]
    assert world.queues.left()["m2"] == 2.0


async def test_a_dead_letter_that_cannot_be_stored_stays_in_its_queue(
    world: FragileWorld,
) -> None:
    world.queues.add(UnreadableError("It is no envelope."), HOME)
    for _ in range(ATTEMPTS_MAX - 1):
        await world.take()
        await world.settle(16)
    world.line.fails = ["delete"]
    await world.take()
    assert world.queues.left() == {"m1": 60.0}
    await world.settle(60)
    await world.take()

    assert world.queues.left() == {}


async def test_a_storage_that_fails_counts_no_attempt(world: FragileWorld) -> None:
    world.create()
    for _ in range(ATTEMPTS_MAX + 1):
        world.line.fails = ["get row"]
        await world.take()
        await world.settle(60)
    await world.take()

    assert held(world) == ["ExecutionStarted"]
    assert world.letters.buried == []


async def test_a_message_to_an_instance_that_is_not_there_is_dropped(world: FragileWorld) -> None:
    world.send(EVENT)
    await world.take()
    assert world.queues.left() == {}


async def test_a_message_to_an_entity_makes_it(world: FragileWorld) -> None:
    """There is no row before its first batch is stored."""
    world.send(EVENT, "@counter@one")
    await world.take("@counter@one")

    assert [message.event for message in world.hub.inbox.of("@counter@one")] == [EVENT]
    assert "insert row" not in world.line.requests
    assert not world.letters.buried


async def test_a_message_to_an_instance_that_has_ended_is_dropped(world: FragileWorld) -> None:
    await ended(world)
    world.send(EVENT)
    await world.take()
    assert world.queues.left() == {}


async def test_an_event_to_an_instance_that_was_replaced_elsewhere_is_not_lost(
    world: FragileWorld,
) -> None:
    """It overtakes the start that it follows: two hosts of one second put them."""
    await ended(world)
    world.send(EVENT)
    world.rows.write(start_of("one", "second"), START)
    await world.take()

    assert world.queues.kinds() == ["EventRaised"]


async def test_a_timer_that_comes_early_waits_until_it_is_due(world: FragileWorld) -> None:
    await world.begin()
    due = world.clock.now() + timedelta(seconds=20)
    world.send(TimerFired(timestamp=START, timer_id=3, fire_at=due), execution_id="first")
    await world.take()
    taking = asyncio.ensure_future(world.next())
    await world.settle(19)
    assert not taking.done()
    await world.settle(2)

    assert (await taking)[0] == "one"


async def test_what_wakes_an_instance_that_has_nothing_to_do_is_dropped(
    world: FragileWorld,
) -> None:
    await world.begin()
    world.send(GenericEvent(timestamp=START))
    await world.take()
    assert world.queues.left() == {}


async def test_what_wakes_an_instance_that_was_left_open_brings_it_back(
    world: FragileWorld,
) -> None:
    fence = await world.begin()
    world.send(EVENT)
    await world.take()
    _, consumed = await world.next()
    events = (BEGIN, EVENT, asks(), FINISH)
    commit = step(events, fence=fence, consumed=tuple(consumed), open_activities=1)
    await world.commit(commit)
    claims = world.queues.kinds()
    world.lose(HOME)
    world.serve(HOME)
    await world.settle(60)
    await world.take()
    item = await world.hub.dispatcher.next()

    assert claims == ["GenericEvent"]  # the event itself would be taken for a second one
    assert (item.instance_id, item.messages) == ("one", ())
    assert isinstance(world.histories.rows["one"][-2].event, OrchestratorStarted)


async def test_a_host_that_holds_enough_takes_no_more(world: FragileWorld) -> None:
    settings = replace(world.hub.settings, buffer_max=1)
    full = HubWorld(settings)
    full.serve(HOME)
    for number in range(17):
        full.create()
        full.queues.messages[f"m{number + 1}"].visible_at = 0
    await full.serving.start_reading()
    assert full.arrivals.is_full
    before = full.line.requests.count("take")
    await full.settle(10)

    assert full.line.requests.count("take") == before
    await full.serving.aborted()


async def test_a_queue_that_cannot_be_read_is_looked_into_again(
    world: FragileWorld, caplog: pytest.LogCaptureFixture
) -> None:
    await world.serving.start_reading()
    world.line.fails = ["take"]
    await world.settle(1)
    assert "a control queue cannot be read" in caplog.text
    world.create()
    await world.settle(40)

    assert held(world) == ["ExecutionStarted"]
    await world.serving.aborted()


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


async def test_a_copy_of_the_start_of_a_run_that_another_has_followed_is_deleted(
    world: HubWorld,
) -> None:
    """It need not wait for its row: that has been there."""
    fence = await world.begin()
    second = start_of("one", "second", world.clock.now())
    await world.commit(step((BEGIN, second, FINISH), fence=fence, started=second))
    world.send(start_of("one", "first"))
    await world.take()

    assert not world.queues.kinds()
    assert not world.hub.inbox.of("one")


async def test_an_end_whose_status_was_not_written_is_settled(world: HubWorld) -> None:
    """Its row says it in the end, and its claim goes."""
    fence = await world.begin(activities=1)
    end = ExecutionCompleted(timestamp=START, event_id=1, orchestration_status=Status.Completed)
    status = Status.Completed
    world.line.fails.append("merge row")
    with pytest.raises(Exception, match="merge row"):
        await world.commit(step((BEGIN, end, FINISH), fence=fence, status=status))
    hot = world.hub.known_instance("one")
    assert hot is not None
    await world.arrivals.settle("one", hot)

    assert world.rows.status("one") == "Completed"
    assert not world.queues.kinds()
    assert not world.hub.inbox.instances()


async def test_a_queue_is_not_read_while_its_lease_is_in_doubt(world: FragileWorld) -> None:
    """What would be taken could only be given back, again and again."""
    event = world.send(EVENT)
    world.held.clear()
    reading = asyncio.ensure_future(world.arrivals.poll(HOME))
    await world.settle()
    assert world.queues.messages[event.queue_id].dequeue_count == 0

    world.held.add(HOME)
    await world.settle(1)
    await world.settle()
    assert world.queues.messages[event.queue_id].dequeue_count == 1
    world.hub.stop()
    await world.settle()
    await reading
