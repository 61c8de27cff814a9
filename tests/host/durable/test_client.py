"""The durable client: what it stores, what it gives back, what it refuses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_bindings.errors import (
    FunctionNotFoundError,
    InstanceAlreadyExistsError,
    InstanceCompletedError,
    InstanceConflictError,
    InstanceNotFoundError,
    SerializationError,
)
from func_bindings.http import HttpRequest
from func_host.config.durable_task import OverridableStates
from func_host.durable.client import InvalidInstanceIdError, TaskHubClient
from func_host.durable.history import ExecutionStarted, OrchestrationInstance
from func_host.durable.links import ManagementLinks
from func_host.indexing import FunctionIndex
from func_host.testing.clock import SimulatedClock
from tests.host.durable.holding_backend import LETTER, HoldingBackend
from tests.host.web.hub import ORIGIN, CountedIds, Hub
from tests.host.web.orchestrators import ALL, echo, fail, say_hello, wait_event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from func_host.durable.backend import WorkItem

pytestmark = pytest.mark.anyio


@dataclass
class Order:
    item: str


@pytest.fixture
async def hub() -> AsyncGenerator[Hub]:
    async with Hub(*ALL).open() as hub:
        yield hub


@pytest.fixture
async def idle() -> AsyncGenerator[Hub]:
    """A hub without a worker: what is started stays as it was stored."""
    async with Hub(*ALL).open(with_worker=False) as hub:
        yield hub


async def start_message(hub: Hub) -> ExecutionStarted:
    item: WorkItem = await hub.backend.next_work_item()
    event = item.messages[0].event
    assert isinstance(event, ExecutionStarted)
    return event


async def test_a_start_is_stored_with_the_time_and_ids_it_was_given(idle: Hub) -> None:
    instance_id = await idle.client.start_new("eCHO", client_input=Order("pen"))

    assert instance_id == f"{1:032x}"
    assert await start_message(idle) == ExecutionStarted(
        timestamp=idle.clock.now(),
        orchestration_instance=OrchestrationInstance(instance_id, f"{2:032x}"),
        name="eCHO",
        input='{"item":"pen"}',
        generation=0,
    )


async def test_a_start_without_input_has_none_and_takes_the_default_version(idle: Hub) -> None:
    await idle.client.start_new("Echo", "a")
    event = await start_message(idle)

    assert (event.input, event.version) == (None, "")


async def test_a_function_is_started_by_its_name(hub: Hub) -> None:
    instance_id = await hub.client.start_new(echo, "", {"a": 1})
    status = await hub.client.wait_for_completion(instance_id)

    assert len(instance_id) == 32
    assert (status.name, status.output) == ("Echo", {"a": 1})


async def test_an_unknown_orchestrator_is_refused_with_the_known_ones(idle: Hub) -> None:
    for unknown in ("Nope", "SayHello", say_hello):
        with pytest.raises(FunctionNotFoundError, match=r"is not an orchestrator.*'Echo'"):
            await idle.client.start_new(unknown)
    with pytest.raises(FunctionNotFoundError, match="No orchestrator functions are currently"):
        await Hub().client.start_new("Nope")


@pytest.mark.parametrize(
    ("instance_id", "words"),
    [
        ("@a", "must not start with @"),
        ("a/b", "must not contain"),
        ("a\\b", "must not contain"),
        ("a#b", "must not contain"),
        ("a?b", "must not contain"),
        ("a\x00b", "must not contain"),
        ("a\x85b", "must not contain"),
        ("a" * 257, "must not exceed 256 characters"),
    ],
)
async def test_an_id_that_cannot_be_is_refused(idle: Hub, instance_id: str, words: str) -> None:
    with pytest.raises(InvalidInstanceIdError, match=words):
        await idle.client.start_new("Echo", instance_id)


async def test_what_no_store_can_hold_is_refused(idle: Hub) -> None:
    half = "\ud800"
    client = idle.client
    await client.start_new("Echo", "a")

    with pytest.raises(InvalidInstanceIdError, match="UTF-8"):
        await client.start_new("Echo", half)
    with pytest.raises(InvalidInstanceIdError, match="UTF-8"):
        await client.start_new("Echo", version=half)
    with pytest.raises(ValueError, match="UTF-8"):
        await client.raise_event("a", half)
    for send in (client.terminate, client.suspend, client.resume):
        with pytest.raises(ValueError, match="UTF-8"):
            await send("a", half)


@pytest.mark.parametrize("instance_id", ["a" * 256, "q'$:1 b+%@", "æ☃😀"])
async def test_any_other_id_is_taken(hub: Hub, instance_id: str) -> None:
    await hub.client.start_new("Echo", instance_id)

    assert (await hub.client.wait_for_completion(instance_id)).instance_id == instance_id


async def test_an_input_that_is_no_json_is_refused_by_its_place(idle: Hub) -> None:
    with pytest.raises(SerializationError, match=r"\$\.a"):
        await idle.client.start_new("Echo", client_input={"a": object()})


async def test_a_live_id_is_refused_unless_every_state_may_be_replaced(idle: Hub) -> None:
    await idle.client.start_new("Echo", "a")
    with pytest.raises(InstanceAlreadyExistsError):
        await idle.client.start_new("Echo", "a")

    async with Hub(*ALL, overridable=OverridableStates.ANY_STATE).open() as hub:
        await hub.client.start_new("WaitEvent", "a")
        await hub.settle()
        await hub.client.start_new("Echo", "a", 1)
        assert (await hub.client.wait_for_completion("a")).output == 1


async def test_the_status_decodes_what_is_stored_and_hides_what_is_not_asked_for(hub: Hub) -> None:
    await hub.client.start_new("Chain", "a", {"city": "Oslo"})
    await hub.settle()
    shown = await hub.client.get_status("a", show_input=True)
    hidden = await hub.client.get_status("a")

    assert shown is not None
    assert hidden is not None
    assert shown.runtime_status is Status.Completed
    assert shown.input_ == {"city": "Oslo"}
    assert shown.output == ["Hello Oslo!", "Hello Lima!", "Hello nobody!"]
    assert shown.custom_status == "done"
    assert (hidden.input_, hidden.history) == (None, None)
    assert await hub.client.get_status("none") is None


async def test_the_history_comes_with_its_results_where_they_are_asked_for(hub: Hub) -> None:
    await hub.client.start_new("Chain", "a")
    await hub.settle()
    bare = await hub.client.get_status("a", show_history=True)
    full = await hub.client.get_status("a", show_history=True, show_history_output=True)

    assert bare is not None
    assert full is not None
    assert bare.history is not None
    assert full.history is not None
    assert [event["EventType"] for event in bare.history].count("TaskCompleted") == 3
    assert "Result" not in bare.history[1]
    assert full.history[1]["Result"] == "Hello Oslo!"


async def test_every_instance_is_listed_and_filters_are_inclusive(hub: Hub) -> None:
    await hub.client.start_new("Echo", "b")
    created = hub.clock.now()
    await hub.clock.advance(timedelta(hours=1))
    await hub.client.start_new("WaitEvent", "a")
    await hub.settle()
    client = hub.client

    async def ids(**filters: object) -> list[str]:
        found = await client.get_status_by(**filters)  # type: ignore[arg-type]
        return [status.instance_id for status in found]

    assert [status.instance_id for status in await client.get_status_all()] == ["a", "b"]
    assert await ids(created_time_to=created) == ["b"]
    assert await ids(created_time_from=created.replace(tzinfo=None)) == ["a", "b"]
    assert await ids(runtime_status=[Status.Running]) == ["a"]
    assert await ids(instance_id_prefix="b") == ["b"]


async def test_a_list_follows_the_pages_to_the_end(
    idle: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("func_host.durable.client._PAGE_SIZE", 2)
    for number in range(5):
        await idle.client.start_new("Echo", str(number))

    assert len(await idle.client.get_status_all()) == 5


async def test_an_event_reaches_the_orchestrator(hub: Hub) -> None:
    await hub.client.start_new("WaitEvent", "a")
    await hub.settle()
    await hub.client.raise_event("a", "approve", {"ok": True})

    assert (await hub.client.wait_for_completion("a")).output == {"ok": True}


async def test_an_event_without_data_is_null(hub: Hub) -> None:
    await hub.client.start_new("WaitEvent", "a")
    await hub.client.raise_event("a", "Approve")

    assert (await hub.client.wait_for_completion("a")).output is None


async def test_nothing_can_be_sent_to_what_is_not_there_or_has_ended(hub: Hub) -> None:
    client = hub.client
    await client.start_new("Echo", "ended")
    await client.wait_for_completion("ended")

    for instance_id, error in (("none", InstanceNotFoundError), ("ended", InstanceCompletedError)):
        for send in (client.terminate, client.suspend, client.resume):
            with pytest.raises(error):
                await send(instance_id)
        with pytest.raises(error):
            await client.raise_event(instance_id, "x")


async def test_terminate_suspend_and_resume_carry_their_reason(hub: Hub) -> None:
    await hub.client.start_new("WaitEvent", "a")
    await hub.settle()
    seen: list[tuple[Status, object]] = []
    for act in (hub.client.suspend, hub.client.resume, hub.client.terminate):
        await act("a", act.__name__)
        await hub.settle()
        status = await hub.client.get_status("a")
        assert status is not None
        seen.append((status.runtime_status, status.output))

    assert seen == [
        (Status.Suspended, "suspend"),
        (Status.Running, "resume"),
        (Status.Terminated, "terminate"),
    ]


async def test_only_what_has_ended_is_purged(hub: Hub) -> None:
    await hub.client.start_new("WaitEvent", "runs")
    await hub.client.start_new("Echo", "ended")
    await hub.settle()

    with pytest.raises(InstanceConflictError):
        await hub.client.purge_instance_history("runs")
    assert (await hub.client.purge_instance_history("ended")).instances_deleted == 1
    assert (await hub.client.purge_instance_history("ended")).instances_deleted == 0


async def test_a_purge_by_filter_takes_what_matches_and_has_ended(hub: Hub) -> None:
    for name, instance_id in (("WaitEvent", "runs"), ("Echo", "done"), ("Fail", "failed")):
        await hub.client.start_new(name, instance_id)
    await hub.settle()
    client = hub.client

    failed = await client.purge_instance_history_by(runtime_status=[Status.Failed, Status.Running])
    nothing = await client.purge_instance_history_by(datetime(2099, 1, 1, tzinfo=UTC))
    rest = await client.purge_instance_history_by(hub.clock.now().replace(year=2000))

    deleted = [each.instances_deleted for each in (failed, nothing, rest)]
    assert deleted == [1, 0, 1]
    assert [status.instance_id for status in await client.get_status_all()] == ["runs"]


async def test_a_wait_is_over_when_its_time_is(hub: Hub) -> None:
    await hub.client.start_new("WaitEvent", "a")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(hub.client.ended("a", 10))
        await hub.clock.advance(9)
        assert not waiting.done()
        await hub.clock.advance(2)
    assert waiting.result() is None

    with pytest.raises(TimeoutError, match="'a' has not ended within 0 seconds"):
        await hub.client.wait_for_completion("a", 0)


async def test_a_wait_of_no_time_looks_once(hub: Hub) -> None:
    await hub.client.start_new("Echo", "a", 1)
    await hub.settle()

    assert (await hub.client.wait_for_completion("a", 0)).output == 1
    for timeout_s in (0, None, 5):
        with pytest.raises(InstanceNotFoundError):
            await hub.client.wait_for_completion("none", timeout_s)


async def test_links_stand_on_the_origin_of_the_request_or_of_the_host(idle: Hub) -> None:
    request = HttpRequest("GET", "https://my.example:8443/api/x?y=1")
    theirs = idle.client.create_http_management_payload("a b", request)
    ours = idle.client.create_http_management_payload("a b")

    base = "/runtime/webhooks/durabletask/instances/a+b"
    query = "taskHub=TestHubName&connection=Storage"
    assert ours["statusQueryGetUri"] == f"{ORIGIN}{base}?{query}"
    assert theirs["terminatePostUri"] == (
        f"https://my.example:8443{base}/terminate?reason={{text}}&{query}"
    )
    assert ours["sendEventPostUri"] == f"{ORIGIN}{base}/raiseEvent/{{eventName}}?{query}"
    assert list(ours) == [
        "id",
        "statusQueryGetUri",
        "sendEventPostUri",
        "terminatePostUri",
        "rewindPostUri",
        "purgeHistoryDeleteUri",
        "restartPostUri",
        "suspendPostUri",
        "resumePostUri",
    ]


async def test_the_wait_helper_answers_for_every_end() -> None:
    async with Hub(echo, fail, wait_event).open() as hub:
        for name in ("Echo", "Fail", "WaitEvent"):
            await hub.client.start_new(name, name, "text")
        await hub.settle()
        await hub.client.start_new("WaitEvent", "ended")
        await hub.settle()
        await hub.client.terminate("ended", "enough")
        await hub.settle()
        wait = hub.client.wait_for_completion_or_create_check_status_response
        statuses = {
            name: (await wait(None, name, 0)).status_code
            for name in ("Echo", "Fail", "WaitEvent", "ended", "none")
        }
        output = await wait(None, "Echo", 0)

    assert statuses == {"Echo": 200, "Fail": 500, "WaitEvent": 202, "ended": 200, "none": 202}
    assert output.get_body() == b'"text"'
    assert output.content_type == "application/json"


async def test_dead_letters_are_those_of_the_store() -> None:
    other = replace(LETTER, id="hub-control-01/77")
    async with HoldingBackend(LETTER, other) as backend:
        client = TaskHubClient(
            backend=backend,
            clock=SimulatedClock(),
            ids=CountedIds(),
            orchestrators=FunctionIndex([]),
            entities=FunctionIndex([]),
            links=ManagementLinks(origin=ORIGIN, task_hub="hub", key=None),
        )

        assert await client.get_dead_letters() == [LETTER, other]
        assert await client.retry_dead_letter(LETTER.id)
        assert backend.retried == [LETTER.id]
        assert await client.drop_dead_letter(other.id)
        assert await client.get_dead_letters() == []


async def test_a_store_that_sets_nothing_aside_has_no_dead_letters(idle: Hub) -> None:
    assert await idle.client.get_dead_letters() == []
    assert await idle.client.retry_dead_letter("one") is False
    assert await idle.client.drop_dead_letter("one") is False
