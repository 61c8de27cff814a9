"""The client of entities: what it sends, what it tells, what it puts right."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from func_bindings.durable.entities import CleanEntityStorageResult, EntityId, LockWaiter
from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_bindings.errors import FunctionNotFoundError, SerializationError
from func_host.durable.backend import BackendError
from func_host.durable.entity_client import entity_prefix
from func_host.durable.history import EventRaised, ExecutionStarted, OrchestrationInstance
from tests.host.web.hub import Hub
from tests.host.web.orchestrators import ALL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from func_host.durable.backend import BackendFeatures, WorkItem

pytestmark = pytest.mark.anyio

ONE = EntityId("Counter", "one")
HOUR = timedelta(hours=1)


@pytest.fixture
async def hub() -> AsyncGenerator[Hub]:
    async with Hub(*ALL).open() as hub:
        yield hub


@pytest.fixture
async def idle() -> AsyncGenerator[Hub]:
    """A hub without a worker: what is sent stays as it was stored."""
    async with Hub(*ALL).open(with_worker=False) as hub:
        yield hub


async def added(hub: Hub, key: str, value: int = 1) -> None:
    await hub.client.signal_entity(EntityId("Counter", key), "add", value)
    await hub.settle()


async def told(hub: Hub, key: str, operation: str) -> None:
    await hub.client.signal_entity(EntityId("Counter", key), operation)
    await hub.settle()


async def locked(hub: Hub, key: str, owner: str = "boss") -> None:
    """Let an orchestration lock a counter until it is told to go."""
    await hub.client.start_new("Locks", owner, key)
    await hub.settle()


async def value_of(hub: Hub, key: str = "one") -> object:
    return (await hub.client.read_entity_state(EntityId("Counter", key))).entity_state


async def keys(hub: Hub, name: str | None = None, prefix: str = "") -> list[str]:
    return [one.entity_id.key for one in await hub.client.list_entities(name, prefix)]


async def stored(hub: Hub, instance_id: str, text: str | None) -> None:
    """Store an instance that nothing runs."""
    start = ExecutionStarted(
        timestamp=hub.clock.now(),
        orchestration_instance=OrchestrationInstance(instance_id, "e"),
        name=instance_id,
        input=text,
    )
    await hub.backend.create_instance(start)


async def sent(hub: Hub) -> EventRaised:
    item: WorkItem = await hub.backend.next_work_item()
    event = item.messages[0].event
    assert isinstance(event, EventRaised)
    return event


# Signals


async def test_a_signal_is_stored_as_the_extension_writes_it(idle: Hub) -> None:
    await idle.client.signal_entity(ONE, "add", {"by": 2})

    event = await sent(idle)
    assert (event.name, event.timestamp) == ("op", idle.clock.now())
    assert event.input == (
        '{"op":"add","signal":true,"input":"{\\"by\\":2}",'
        '"id":"00000000-0000-0000-0000-000000000001",'
        '"Timestamp":"0001-01-01T00:00:00","Predecessor":"0001-01-01T00:00:00"}'
    )


async def test_a_signal_without_input_has_none_and_the_name_may_be_empty(hub: Hub) -> None:
    entity = EntityId("recorder", "k")
    await hub.client.signal_entity(entity, "")
    await hub.settle()

    state = (await hub.client.read_entity_state(entity)).entity_state
    assert state == {"op": "", "input": None, "kind": "none"}


@pytest.mark.parametrize(
    "at",
    [
        HOUR,
        datetime(2026, 1, 1, 1),  # noqa: DTZ001 -- without a zone, as users write it
        datetime(2026, 1, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 3, tzinfo=timezone(2 * HOUR)),
    ],
)
async def test_a_signal_for_later_waits_for_its_time(hub: Hub, at: datetime | timedelta) -> None:
    await hub.client.signal_entity(ONE, "add", 1, at=at)
    await hub.clock.advance(3599)
    await hub.settle()
    assert await value_of(hub) is None

    await hub.clock.advance(2)
    await hub.settle()
    assert await value_of(hub) == 1


async def test_the_event_of_a_signal_for_later_tells_when(idle: Hub) -> None:
    await idle.client.signal_entity(ONE, "add", 1, at=HOUR)
    await idle.clock.advance(3600)

    assert (await sent(idle)).name == "op@2026-01-01T01:00:00.0000000Z"


@pytest.mark.parametrize(
    "at", [timedelta(0), -HOUR, datetime(2025, 1, 1, tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]
)
async def test_a_signal_whose_time_is_over_is_sent_at_once(
    hub: Hub, at: datetime | timedelta
) -> None:
    await hub.client.signal_entity(ONE, "add", 1, at=at)
    await hub.settle()

    assert await value_of(hub) == 1


async def test_a_signal_that_is_repeated_with_its_id_is_done_once(hub: Hub) -> None:
    for operation_id in ("a", "a", "b", "a", None, None):
        await hub.client.signal_entity(ONE, "add", 1, operation_id=operation_id)
    await hub.settle()

    assert await value_of(hub) == 4


async def test_a_delayed_signal_that_is_repeated_with_its_id_is_done_once(hub: Hub) -> None:
    for _ in range(2):
        await hub.client.signal_entity(ONE, "add", 1, at=HOUR / 2, operation_id="a")
    await hub.clock.advance(3600)
    await hub.settle()

    assert await value_of(hub) == 1


@pytest.mark.parametrize("operation_id", ["", "x" * 257])
async def test_an_operation_id_is_neither_empty_nor_long(idle: Hub, operation_id: str) -> None:
    with pytest.raises(ValueError, match=r"1 to 256 characters, not \d+"):
        await idle.client.signal_entity(ONE, "add", 1, operation_id=operation_id)


async def test_an_unknown_entity_is_refused_with_the_known_ones(idle: Hub) -> None:
    for unknown in ("Nope", "Echo", "SayHello"):
        with pytest.raises(FunctionNotFoundError) as refusal:
            await idle.client.signal_entity(EntityId(unknown, "k"), "add")
        assert str(refusal.value) == (
            f"The function '{unknown}' doesn't exist, is disabled, or is not an entity function. "
            "Additional info: The following are the known entity functions: 'Recorder', 'Counter'."
        )
    with pytest.raises(FunctionNotFoundError, match="No entity functions are currently"):
        await Hub().client.signal_entity(ONE, "add")
    assert await idle.client.get_status_all() == []


async def test_what_no_store_can_hold_is_refused(idle: Hub) -> None:
    half = "\ud800"
    for entity, operation, operation_id in (
        (EntityId("Counter", half), "add", None),
        (ONE, half, None),
        (ONE, "add", half),
    ):
        with pytest.raises(ValueError, match="UTF-8"):
            await idle.client.signal_entity(entity, operation, operation_id=operation_id)


async def test_an_input_that_is_no_json_is_refused_by_its_place(idle: Hub) -> None:
    with pytest.raises(SerializationError, match=r"\$\.a"):
        await idle.client.signal_entity(ONE, "add", {"a": object()})


# Reading


async def test_a_state_is_read_as_the_type_that_is_asked_for(hub: Hub) -> None:
    await added(hub, "one", 5)

    plain = await hub.client.read_entity_state(ONE)
    typed = await hub.client.read_entity_state(EntityId("COUNTER", "one"), float)
    assert (plain.entity_exists, plain.entity_state) == (True, 5)
    assert (type(typed.entity_state), typed.entity_state) == (float, 5.0)


async def test_a_state_that_does_not_fit_is_refused_and_stays(hub: Hub) -> None:
    await added(hub, "one", 5)

    with pytest.raises(SerializationError):
        await hub.client.read_entity_state(ONE, list[int])
    assert await value_of(hub) == 5


@pytest.mark.parametrize("operation", ["delete", "nullify", "fail"])
async def test_without_a_state_an_entity_is_read_as_missing(hub: Hub, operation: str) -> None:
    await told(hub, "one", operation)

    response = await hub.client.read_entity_state(ONE)
    assert (response.entity_exists, response.entity_state) == (False, None)


async def test_what_was_never_sent_to_is_no_entity(hub: Hub) -> None:
    assert not (await hub.client.read_entity_state(ONE)).entity_exists
    assert await hub.client.get_entity(ONE) is None
    assert await hub.client.list_entities() == []


async def test_an_entity_is_told_with_the_time_of_its_last_operation(hub: Hub) -> None:
    await added(hub, "one", 5)
    await hub.clock.advance(60)
    now = hub.clock.now()
    await added(hub, "one", 5)

    found = await hub.client.get_entity(ONE)
    assert found is not None
    assert (found.entity_id, found.exists, found.state) == (ONE, True, 10)
    assert timedelta(0) <= found.last_operation_time - now < timedelta(seconds=1)
    assert (found.locked_by, found.locked_since, found.waiters) == (None, None, ())
    bare = await hub.client.get_entity(ONE, include_state=False)
    assert bare == replace(found, state=None)


async def test_an_entity_without_a_state_is_told_as_long_as_it_is_locked(hub: Hub) -> None:
    await locked(hub, "one")
    found = await hub.client.get_entity(ONE)
    assert found is not None
    assert (found.exists, found.locked_by) == (False, "boss")
    assert await keys(hub) == ["one"]

    await hub.client.raise_event("boss", "Go")
    await hub.settle()
    assert await hub.client.get_entity(ONE) is None
    assert await keys(hub) == []


async def test_a_lock_is_told_with_its_age_and_with_who_waits(hub: Hub) -> None:
    await added(hub, "one", 5)
    begin = hub.clock.now()
    await locked(hub, "one", "first")
    await locked(hub, "one", "second")
    await added(hub, "one", 5)

    found = await hub.client.get_entity(ONE, include_state=False)
    assert found is not None
    assert found.locked_by == "first"
    assert found.locked_since is not None
    assert timedelta(0) <= found.locked_since - begin < timedelta(seconds=1)
    assert found.waiters == (LockWaiter("second", None), LockWaiter(None, "add"))
    assert found.backlog_queue_size == 2
    assert await hub.client.list_entities() == [found]


async def test_what_cannot_be_read_says_so_and_is_listed_without_its_state(idle: Hub) -> None:
    await stored(idle, "@counter@one", "no JSON")
    data = idle.backend._store.instances["@counter@one"]
    data.record = replace(data.record, custom_status='{"entityExists":true}')

    with pytest.raises(BackendError, match="stored of the entity '@counter@one' cannot be read"):
        await idle.client.read_entity_state(ONE)
    (found,) = await idle.client.list_entities(include_state=True)
    assert (found.entity_id, found.exists, found.state) == (ONE, True, None)


# Lists


async def test_entities_are_listed_by_name_and_key(hub: Hub) -> None:
    for key in ("b", "a", "a%", "a_1", "a@1", "ab"):
        await added(hub, key)
    await hub.client.signal_entity(EntityId("Recorder", "a"), "x")
    await hub.settle()
    await told(hub, "b", "delete")

    assert await keys(hub) == ["a", "a%", "a@1", "a_1", "ab", "a"]
    assert await keys(hub, "COUNTER") == ["a", "a%", "a@1", "a_1", "ab"]
    assert await keys(hub, "counter", "a%") == ["a%"]
    assert await keys(hub, "counter", "a_") == ["a_1"]
    assert await keys(hub, "counter", "a@") == ["a@1"]
    assert await keys(hub, "counter", "A") == []
    assert await keys(hub, "count") == []


@pytest.mark.parametrize("name", ["", "a@b", "a#"])
async def test_a_name_that_cannot_be_is_refused(hub: Hub, name: str) -> None:
    with pytest.raises(ValueError, match="Invalid entity id"):
        await hub.client.list_entities(name)


async def test_a_prefix_needs_a_name(hub: Hub) -> None:
    with pytest.raises(ValueError, match="A key prefix needs the name of an entity"):
        await hub.client.list_entities(None, "a")
    assert entity_prefix(None) == "@"
    assert entity_prefix("Counter", "A") == "@counter@A"


async def test_entities_are_listed_by_the_time_of_their_last_operation(hub: Hub) -> None:
    await added(hub, "early")
    await hub.clock.advance(60)
    await added(hub, "late")
    between = datetime(2026, 1, 1, 0, 0, 30)  # noqa: DTZ001 -- without a zone, as users write it

    after = await hub.client.list_entities(last_operation_from=between)
    before = await hub.client.list_entities(
        "Counter", last_operation_to=between.replace(tzinfo=UTC)
    )
    assert [one.entity_id.key for one in after] == ["late"]
    assert [one.entity_id.key for one in before] == ["early"]


async def test_a_list_has_states_where_they_are_asked_for(hub: Hub) -> None:
    await added(hub, "one", 5)

    (bare,) = await hub.client.list_entities()
    (full,) = await hub.client.list_entities(include_state=True)
    assert (bare.exists, bare.state, full.state) == (True, None, 5)


async def test_a_list_goes_on_beyond_a_page(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("func_host.durable.entity_client._PAGE_SIZE", 2)
    expected = [f"{number}" for number in range(7)]
    for key in expected:
        await added(hub, key)

    assert await keys(hub) == expected


# Repairs


async def cleaned(hub: Hub, **what: bool) -> tuple[int, int]:
    result = await hub.client.clean_entity_storage(**what)
    await hub.settle()
    assert isinstance(result, CleanEntityStorageResult)
    return result.empty_entities_removed, result.orphaned_locks_released


async def rows(hub: Hub) -> list[str]:
    return [status.instance_id for status in await hub.client.get_status_by(instance_id_prefix="@")]


async def test_empty_entities_are_deleted_and_others_stay(hub: Hub) -> None:
    await added(hub, "kept")
    await told(hub, "null", "nullify")
    for key in ("a", "b"):
        await told(hub, key, "delete")
    await locked(hub, "busy")

    assert await cleaned(hub, remove_empty_entities=False) == (0, 0)
    assert await cleaned(hub) == (2, 0)
    assert await rows(hub) == ["@counter@busy", "@counter@kept", "@counter@null"]
    assert await cleaned(hub) == (0, 0)
    await added(hub, "a", 5)
    assert await value_of(hub, "a") == 5


async def test_empty_entities_go_beyond_a_page(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("func_host.durable.entity_client._PAGE_SIZE", 2)
    for number in range(7):
        await told(hub, f"{number}", "delete")

    assert await cleaned(hub) == (7, 0)
    assert await rows(hub) == []


async def test_where_order_is_not_kept_an_empty_entity_is_kept_for_an_hour(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state tells which of the messages that still come are late."""

    def features(self: object) -> BackendFeatures:
        del self
        return replace(before, keeps_order=False)

    before = hub.backend.features
    await told(hub, "a", "delete")
    monkeypatch.setattr(type(hub.backend), "features", property(features))

    assert await cleaned(hub) == (0, 0)
    await hub.clock.advance(3601)
    assert await cleaned(hub) == (1, 0)


async def test_an_entity_that_something_waits_for_is_not_empty(idle: Hub) -> None:
    await idle.client.signal_entity(ONE, "add", 1)

    assert await cleaned(idle) == (0, 0)


@pytest.mark.parametrize("end", ["purged", "ended", "replaced"])
async def test_a_lock_is_freed_whose_owner_is_gone(hub: Hub, end: str) -> None:
    """The owner is changed in the store itself, as by another program."""
    await added(hub, "one", 5)
    await locked(hub, "one")
    await added(hub, "one", 5)
    assert await cleaned(hub) == (0, 0)
    data = hub.backend._store.instances
    if end == "purged":
        del data["boss"]
    elif end == "ended":
        data["boss"].record = replace(data["boss"].record, runtime_status=Status.Terminated)
    else:
        data["boss"].record = replace(data["boss"].record, execution_id="another")

    assert await cleaned(hub, release_orphaned_locks=False) == (0, 0)
    assert await value_of(hub) == 5
    assert await cleaned(hub) == (0, 1)
    assert await value_of(hub) == 10
    found = await hub.client.get_entity(ONE)
    assert found is not None
    assert (found.locked_by, found.waiters) == (None, ())


async def test_a_lock_is_taken_from_its_owner(hub: Hub) -> None:
    await added(hub, "one", 5)
    await locked(hub, "one", "first")
    await locked(hub, "one", "second")
    await added(hub, "one", 5)

    assert await hub.client.unlock_entity(ONE)
    await hub.settle()
    found = await hub.client.get_entity(ONE)
    assert found is not None
    assert found.locked_by == "second"
    assert await hub.client.unlock_entity(ONE)
    await hub.settle()
    assert await value_of(hub) == 10
    assert not await hub.client.unlock_entity(ONE)


async def test_where_nothing_is_locked_nothing_is_unlocked(hub: Hub) -> None:
    await added(hub, "one")

    assert not await hub.client.unlock_entity(ONE)
    assert not await hub.client.unlock_entity(EntityId("Counter", "none"))


async def test_an_owner_whose_lock_was_taken_ends_in_peace(hub: Hub) -> None:
    await locked(hub, "one")
    await hub.client.unlock_entity(ONE)
    await locked(hub, "one", "next")
    await hub.client.raise_event("boss", "Go")
    await hub.settle()

    status = await hub.client.get_status("boss")
    found = await hub.client.get_entity(ONE)
    assert status is not None
    assert found is not None
    assert (status.runtime_status.value, found.locked_by) == ("Completed", "next")
