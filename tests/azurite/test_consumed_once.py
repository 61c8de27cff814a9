"""A message that a run has consumed is not read by the run that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.exceptions import ServiceResponseError

from func_host.durable.backend import BackendUnavailableError, Fence
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.client_transport import StorageTransport
from func_host.durable.history import OrchestratorCompleted, OrchestratorStarted
from func_host.testing.clock import SimulatedClock
from func_host.testing.conformance.world import Run, Status, World, ids_of, names_of
from tests.azurite.store import AzuriteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]


@pytest.fixture
async def world(connection: StorageConnection, names: TaskHubNames) -> AsyncIterator[World]:
    clock = SimulatedClock()
    world = World(AzuriteStore(connection, names, clock), clock)
    await world.open()
    yield world
    await world.close()


async def show(connection: StorageConnection, url: str) -> None:
    """Let a message that was to be deleted be seen at once, and not after a minute."""
    parts = urlsplit(url)
    _, queue, _, message_id = parts.path.strip("/").split("/")
    (receipt,) = parse_qs(parts.query)["popreceipt"]
    async with StorageClients(connection) as clients:
        await clients.queue(queue).update_message(message_id, receipt, visibility_timeout=0)


async def test_an_event_read_before_continue_as_new_is_not_read_after_it(
    world: World, connection: StorageConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its message could not be deleted, and the host died."""
    left: list[str] = []
    send = StorageTransport.send
    run = await world.begin("one")
    await world.backend.send_message("one", world.raised("go"))
    item = await world.take()
    assert names_of(item) == ["go"]

    async def delete_nothing(transport: StorageTransport, request: Any, **config: Any) -> Any:
        if request.method == "DELETE":
            left.append(request.url)
            raise ServiceResponseError("the line broke")
        return await send(transport, request, **config)

    now = world.clock.now()
    second = world.start_of("one", execution_id="second")
    events = (OrchestratorStarted(timestamp=now), second, OrchestratorCompleted(timestamp=now))
    step = run.plan(*events, started=second, consumed=ids_of(item))
    with monkeypatch.context() as patch:
        patch.setattr(StorageTransport, "send", delete_nothing)
        with pytest.raises(BackendUnavailableError):
            await run.commit(step)
    world.store.crash()
    for url in left:
        await show(connection, url)
    await world.crash()

    await world.expect_idle()
    assert list(await world.backend.get_history("one")) == list(events)


async def test_a_run_that_has_followed_one_of_which_no_status_was_written_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row may still say that the first one is to begin: it does not begin again."""
    send = StorageTransport.send
    first = await world.create("one")
    item = await world.take()
    now = world.clock.now()
    second = world.start_of("one", execution_id="second")
    run = Run(world, first, Fence("first", 0))
    begun = (OrchestratorStarted(timestamp=now), first, OrchestratorCompleted(timestamp=now))
    await run.commit(run.plan(*begun, started=first, consumed=ids_of(item), open_activities=1))

    async def merge_nothing(transport: StorageTransport, request: Any, **config: Any) -> Any:
        if request.method == "PATCH":
            raise ServiceResponseError("the line broke")
        return await send(transport, request, **config)

    followed = (OrchestratorStarted(timestamp=now), second, OrchestratorCompleted(timestamp=now))
    step = run.plan(*followed, started=second)
    with monkeypatch.context() as patch:
        patch.setattr(StorageTransport, "send", merge_nothing)
        with pytest.raises(BackendUnavailableError):
            await run.commit(step)
    await world.crash()

    stored = await world.backend.load("one")
    assert stored is not None
    assert (stored.fence.execution_id, list(stored.history)) == ("second", list(followed))
    assert (await world.status_of("one")).runtime_status is Status.Running
