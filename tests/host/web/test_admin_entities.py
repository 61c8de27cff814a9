"""`/admin/entities`: locks are shown and taken, and what is empty is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from func_bindings.durable.entities import EntityId
from func_host.durable.backend import BackendUnavailableError
from func_host.web import WebSettings
from tests.host.web.hub import Hub
from tests.host.web.orchestrators import ALL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub() -> AsyncGenerator[Hub]:
    """A hub with the counters `free` and `held`; `boss` has locked the latter."""
    async with Hub(*ALL).open() as hub:
        for key in ("free", "held"):
            await added(hub, key, 5)
        await hub.client.start("Locks", '"held"', "boss")
        await hub.settle()
        yield hub


async def added(hub: Hub, key: str, value: int) -> None:
    await hub.client.signal_entity(EntityId("Counter", key), "add", value)
    await hub.settle()


async def keys(hub: Hub, query: str = "") -> list[str]:
    answer = await hub.http.get(f"/admin/entities{query}")
    assert answer.status_code == 200
    return [row["entityId"]["key"] for row in answer.json()]


def refused(answer: httpx.Response) -> tuple[int, Any]:
    assert answer.json().keys() == {"Message"}
    return answer.status_code, answer.json()["Message"]


async def test_an_entity_is_shown_with_its_state_its_lock_and_who_waits(hub: Hub) -> None:
    await added(hub, "held", 1)
    free = (await hub.http.get("/admin/entities/@counter@free")).json()
    held = (await hub.http.get("/Admin/Entities/@COUNTER@held/")).json()

    assert free.pop("lastOperationTime").endswith("Z")
    assert free == {
        "entityId": {"name": "counter", "key": "free"},
        "exists": True,
        "lockedBy": None,
        "lockedSince": None,
        "waiters": [],
        "parked": None,
        "state": 5,
    }
    assert (held["lockedBy"], held["state"]) == ("boss", 5)
    assert held["lockedSince"].startswith("2026-01-01T00:00:00.")
    assert held["waiters"] == [{"instanceId": None, "operation": "add"}]


async def test_a_list_has_locks_and_no_states(hub: Hub) -> None:
    free, held = (await hub.http.get("/admin/entities")).json()

    assert (free["lockedBy"], held["lockedBy"]) == (None, "boss")
    assert "state" not in free


async def test_a_list_is_filtered_by_name_key_and_lock(hub: Hub) -> None:
    await hub.client.signal_entity(EntityId("Recorder", "held"), "x")
    await hub.settle()

    assert await keys(hub) == ["free", "held", "held"]
    assert await keys(hub, "?name=Counter") == ["free", "held"]
    assert await keys(hub, "?name=counter&keyPrefix=f") == ["free"]
    assert await keys(hub, "?locked=true") == ["held"]
    assert await keys(hub, "?name=recorder&locked=true") == []


async def test_a_filter_that_no_entity_can_match_is_refused(hub: Hub) -> None:
    prefix = await hub.http.get("/admin/entities?keyPrefix=f")
    name = await hub.http.get("/admin/entities?name=a@b")

    assert refused(prefix) == (
        400,
        "A key prefix needs the name of an entity: give both, or the name alone.",
    )
    assert refused(name) == (400, "Invalid entity id: the name 'a@b' must not hold '@'.")


@pytest.mark.parametrize("key", ["", ".", "..", "a b", "a+b", "a@b", "a%2Fb", "æ☃"])
async def test_every_key_has_an_address(hub: Hub, key: str) -> None:
    await added(hub, key, 3)
    answer = await hub.http.get(f"/admin/entities/@counter@{key.replace('%', '%25')}")

    assert answer.json()["entityId"]["key"] == key
    assert answer.json()["state"] == 3


async def test_a_lock_is_taken_from_its_owner(hub: Hub) -> None:
    await added(hub, "held", 1)
    answer = await hub.http.post("/admin/entities/@counter@held/unlock")
    await hub.settle()

    assert (answer.status_code, answer.json()) == (202, {"unlocked": True})
    assert await keys(hub, "?locked=true") == []
    state = await hub.client.read_entity_state(EntityId("Counter", "held"))
    assert state.entity_state == 6


async def test_what_is_not_there_or_not_locked_is_404_with_a_message(hub: Hub) -> None:
    missing = await hub.http.get("/admin/entities/@counter@none")
    nothing = await hub.http.post("/admin/entities/@counter@none/unlock")
    free = await hub.http.post("/admin/entities/@counter@free/Unlock")

    assert refused(missing) == (404, "There is no entity @counter@none.")
    assert refused(nothing) == (404, "The entity @counter@none is not locked.")
    assert refused(free) == (404, "The entity @counter@free is not locked.")


async def test_a_cleaning_tells_what_it_has_done(hub: Hub) -> None:
    await hub.client.signal_entity(EntityId("Counter", "free"), "delete")
    await hub.settle()
    answer = await hub.http.post("/admin/entities/clean")

    assert answer.json() == {"emptyEntitiesRemoved": 1, "orphanedLocksReleased": 0}
    assert [row["instanceId"] for row in (await hub.get("/instances")).json()] == [
        "@counter@held",
        "boss",
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("DELETE", "/@counter@free"),
        ("GET", "/@counter@free/unlock"),
        ("POST", "/@counter@free/lock"),
        ("POST", "/@counter@free"),
        ("GET", "/@counter@free/unlock/now"),
    ],
)
async def test_what_matches_no_endpoint_is_404_without_a_body(
    hub: Hub, method: str, path: str
) -> None:
    answer = await hub.http.request(method, f"/admin/entities{path}")

    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("path", ["clean", "counter", "@counter", "@@k"])
async def test_what_is_no_id_of_an_entity_is_refused(hub: Hub, path: str) -> None:
    status, message = refused(await hub.http.get(f"/admin/entities/{path}"))

    assert status == 400
    assert "entity" in message


async def test_the_key_of_the_host_is_needed() -> None:
    async with Hub(*ALL, settings=WebSettings(master_key="k")).open() as hub:
        headers = {"x-functions-key": "k"}

        assert (await hub.http.get("/admin/entities")).status_code == 401
        assert (await hub.http.post("/admin/entities/clean")).status_code == 401
        assert (await hub.http.get("/admin/entities", headers=headers)).json() == []


async def test_a_store_that_does_not_answer_is_503(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise BackendUnavailableError("no answer")

    monkeypatch.setattr(hub.backend, "query_instances", broken)
    answer = await hub.http.get("/admin/entities")

    assert answer.status_code == 503
    assert "try again" in answer.json()["ExceptionMessage"]
