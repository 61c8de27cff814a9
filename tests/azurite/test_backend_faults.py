"""A step that fails on its way, before or after it took effect: it is taken up again, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ServiceResponseError

from func_host.clock import SystemIds
from func_host.durable.backend import BackendUnavailableError
from func_host.durable.backends.azure_storage.backend import AzureStorageBackend
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.client_transport import (
    RetrySettings,
    StorageTransport,
)
from func_host.durable.history import OrchestratorCompleted, OrchestratorStarted
from func_host.testing.clock import SimulatedClock
from func_host.testing.conformance.world import World, ids_of, names_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from func_host.durable.backend import Backend
    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]


class _Store:
    def __init__(
        self, connection: StorageConnection, names: TaskHubNames, clock: SimulatedClock
    ) -> None:
        self._connection = connection
        self._names = names
        self._clock = clock

    def connect(self) -> Backend:
        clients = StorageClients(self._connection, retry=RetrySettings(attempts=1))
        return AzureStorageBackend(clients, self._names, self._clock, SystemIds())

    def crash(self) -> None:
        raise NotImplementedError("nothing crashes here")


class _Line:
    """The line to the storage: it breaks once, at the first request whose URL has a word."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._word: str | None = None
        self._is_lost_before = False
        self.broke = 0
        send = StorageTransport.send
        line = self

        async def send_or_break(transport: StorageTransport, request: Any, **config: Any) -> Any:
            word = line._word
            if word is None or word not in f"{request.method} {request.url}":
                return await send(transport, request, **config)
            line._word = None
            line.broke += 1
            if not line._is_lost_before:
                await send(transport, request, **config)
            raise ServiceResponseError("the line broke")

        monkeypatch.setattr(StorageTransport, "send", send_or_break)

    def breaks(self, word: str, *, before: bool) -> None:
        self._word = word
        self._is_lost_before = before


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> _Line:
    return _Line(monkeypatch)


@pytest.fixture
async def world(connection: StorageConnection, names: TaskHubNames) -> AsyncIterator[World]:
    clock = SimulatedClock()
    world = World(_Store(connection, names, clock), clock)
    await world.open()
    yield world
    await world.close()


@pytest.mark.parametrize("before", [True, False])
async def test_an_event_of_a_step_that_failed_is_read_once(
    world: World, line: _Line, before: bool
) -> None:
    """Where the step is stored after all, its event does not come again."""
    run = await world.begin("one")
    await world.backend.send_message("one", world.raised("go"))
    item = await world.take()
    (message,) = item.messages
    now = world.clock.now()
    events = (
        OrchestratorStarted(timestamp=now),
        message.event,
        OrchestratorCompleted(timestamp=now),
    )
    line.breaks("$batch", before=before)
    with pytest.raises(BackendUnavailableError):
        await run.commit(run.plan(*events, consumed=ids_of(item)))
    await world.backend.abandon("one")

    stored = await world.backend.load("one")
    assert stored is not None
    if before:
        assert list(stored.history) == run.events
        assert names_of(await world.take()) == ["go"]
    else:
        assert list(stored.history) == [*run.events, *events]
    await world.expect_idle()
    assert line.broke == 1


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("word", ["$batch", "PATCH ", "DELETE "])
async def test_an_end_that_failed_is_told_or_repeated(
    world: World, line: _Line, word: str, before: bool
) -> None:
    """History, status row or deletion: in the end the row says what the history says."""
    run = await world.begin("one", open_activities=1)
    line.breaks(word, before=before)
    with pytest.raises(BackendUnavailableError):
        await run.end(output='"done"')
    await world.backend.abandon("one")
    stored = await world.backend.load("one")
    assert stored is not None
    if len(stored.history) == len(run.events):
        await run.end(output='"done"')

    assert (await world.status_of("one")).output == '"done"'
    assert (await world.backend.wait_for_completion("one")).runtime_status.is_terminal


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("word", ["/messages", "Instances"])
async def test_a_creation_that_failed_can_be_repeated(
    world: World, line: _Line, word: str, before: bool
) -> None:
    """By the same call, or it is there already."""
    start = world.start_of("one")
    line.breaks(word, before=before)
    with pytest.raises(BackendUnavailableError):
        await world.backend.create_instance(start)
    if await world.backend.get_instance("one") is None:
        await world.backend.create_instance(start)
    assert (await world.status_of("one")).execution_id == "first"
