"""Whose turn it is at an entity: order of arrival, locks, and what is stored of both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import InstanceRecord
from func_host.durable.engine.entities import messages, scheduler
from func_host.durable.engine.entities.messages import Release, Request
from func_host.durable.engine.entities.scheduler import EntityScheduler, read_state

LOCKED = (
    '{"lockedBy":"o","sorter":{"ReceivedFromInstance":{"o":{"Last":"2026-11-22T03:58:37.9003816Z",'
    '"ExecutionId":"e"}},"ReceiveHorizon":"2026-11-22T03:28:37.9003816Z"}}'
)
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def entity(text: str | None = None) -> EntityScheduler:
    """Make an entity of a store that keeps order."""
    return EntityScheduler(read_state(text), window=0)


def operation(name: str, *, parent: str | None = None, is_signal: bool = True) -> Request:
    """Make an operation."""
    return messages.operation(id=name, op=name, is_signal=is_signal, parent=parent)


def lock(name: str, owner: str, *targets: str) -> Request:
    """Make a request for a lock over these entities."""
    return messages.lock(
        id=name,
        parent=owner,
        parent_execution=f"{owner}-run",
        targets=tuple(("a", key) for key in targets or ("1",)),
        stamp=1,
        predecessor=0,
    )


def names(requests: list[Request]) -> list[str]:
    """Give the names of requests."""
    return [one.id for one in requests]


def arrive(target: EntityScheduler, *requests: Request) -> None:
    """Let requests arrive."""
    for request in requests:
        target.receive(request)


def test_operations_run_in_order_of_arrival_up_to_the_limit() -> None:
    """The rest has its turn next."""
    one = entity()
    arrive(one, operation("1"), operation("2"), operation("3"))

    assert names(one.take_batch(2, NOW).operations) == ["1", "2"]
    assert one.has_turn()
    assert names(one.take_batch(2, NOW).operations) == ["3"]
    assert one.take_batch(2, NOW).is_empty


def test_a_lock_ends_the_batch_and_lets_only_its_owner_through() -> None:
    """What others want waits until it is given back."""
    one = entity()
    arrive(one, operation("before"), lock("l", "o"), operation("after"))

    batch = one.take_batch(10, NOW)
    assert names(batch.operations) == ["before"]
    assert batch.lock is not None
    assert one.grant(batch.lock, NOW) == ("o", None)
    assert not one.has_turn()
    arrive(one, operation("owner", parent="o", is_signal=False))
    assert names(one.take_batch(10, NOW).operations) == ["owner"]
    one.release(Release(parent="o", id="l"), NOW)
    assert names(one.take_batch(10, NOW).operations) == ["after"]


def test_a_lock_over_several_entities_is_handed_on() -> None:
    """The last of them tells the orchestration."""
    request = lock("l", "o", "1", "2")
    one, two = entity(), entity()

    target, forwarded = one.grant(request, NOW)
    assert target == "@a@2"
    assert forwarded is not None
    arrive(two, forwarded)
    batch = two.take_batch(10, NOW)
    assert batch.lock is not None
    assert two.grant(batch.lock, NOW) == ("o", None)


def test_a_lock_that_is_given_back_while_it_waits_is_never_granted() -> None:
    """Its owner has ended."""
    one = entity()
    first = lock("first", "o")
    one.grant(first, NOW)
    arrive(one, lock("second", "p"))

    one.release(Release(parent="p", id="second"), NOW)
    one.release(Release(parent="o", id="first"), NOW)

    assert one.take_batch(10, NOW).is_empty


def test_a_lock_that_is_given_back_before_it_has_come_is_never_granted() -> None:
    """The first entity hands it on after its owner has ended."""
    one = entity()
    one.release(Release(parent="o", id="l"), NOW)
    again = entity(one.text())

    arrive(again, lock("l", "o", "0", "1"))

    assert again.take_batch(10, NOW).is_empty
    assert again.state.withdrawn == {}


def test_withdrawn_locks_are_forgotten_in_the_end() -> None:
    """Most of them never come."""
    one = entity()
    one.release(Release(parent="o", id="l"), NOW)

    one.take_batch(10, NOW + timedelta(minutes=31))

    assert one.state.withdrawn == {}


def test_somebody_else_cannot_give_a_lock_back() -> None:
    """Nor can its owner with the name of another one."""
    one = entity()
    one.grant(lock("l", "o"), NOW)

    one.release(Release(parent="p", id="l"), NOW)
    one.release(Release(parent="o", id="other"), NOW)

    assert one.state.locked_by == "o"


def test_a_lock_that_other_software_granted_is_given_back_by_its_owner() -> None:
    """It stores no name of the request."""
    one = entity('{"lockedBy":"o","sorter":{}}')

    one.release(Release(parent="o", id="l"), NOW)

    assert one.state.locked_by is None


def test_without_a_function_calls_are_refused_and_signals_wait() -> None:
    """Locks are granted, since nothing of the app is needed for that."""
    one = entity()
    arrive(one, operation("s"), operation("c", parent="o", is_signal=False), lock("l", "p"))

    batch = one.take_batch(10, NOW, can_run=False)

    assert names(batch.refused) == ["c"]
    assert batch.lock is not None
    assert names(one.state.queue) == ["s"]
    assert one.has_turn()
    assert not one.has_turn(can_run=False)


@pytest.mark.parametrize(
    "text",
    [
        '{"exists":true,"state":"3","sorter":{}}',
        '{"sorter":{}}',
        LOCKED,
    ],
)
def test_what_the_extension_stored_is_stored_as_it_was(text: str) -> None:
    """Nothing of ours is added where nothing of ours is to be said."""
    assert entity(text).text() == text


def test_the_queue_and_the_lock_survive_being_stored() -> None:
    """All that decides whose turn it is."""
    one = entity()
    one.grant(lock("l", "o"), NOW)
    arrive(one, operation("waits", parent="p"))

    again = entity(one.text())

    assert again.state == one.state
    assert scheduler.locked_since(again.state) == NOW
    assert again.status_text() == '{"queueSize":1,"lockedBy":"o"}'


def test_a_deleted_entity_does_not_exist() -> None:
    """Its status is empty, as the extension does."""
    one = entity('{"exists":true,"state":"3","sorter":{}}')

    one.set_state(None)

    assert (one.text(), one.status_text()) == ('{"sorter":{}}', "{}")


@pytest.mark.parametrize(
    ("status", "execution_id", "expected"),
    [
        (OrchestrationRuntimeStatus.Running, "o-run", False),
        (OrchestrationRuntimeStatus.Suspended, "o-run", False),
        (OrchestrationRuntimeStatus.Running, "another", True),
        (OrchestrationRuntimeStatus.Terminated, "o-run", True),
    ],
)
def test_a_lock_is_orphaned_where_its_owner_ended_or_began_anew(
    status: OrchestrationRuntimeStatus, execution_id: str, *, expected: bool
) -> None:
    """Nobody gives it back then."""
    one = entity()
    one.grant(lock("l", "o"), NOW)
    owner = InstanceRecord(
        instance_id="o",
        execution_id=execution_id,
        name="O",
        version="",
        created_time=NOW,
        last_updated_time=NOW,
        runtime_status=status,
    )

    assert scheduler.is_orphaned(one.state, owner) is expected
    assert scheduler.is_orphaned(one.state, None)
