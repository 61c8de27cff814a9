"""Dead letters on a real emulator: set aside, listed, put back and dropped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import ResourceNotFoundError, ServiceResponseError

from func_bindings.durable.dead_letters import DeadLetter
from func_host.clock import SystemIds
from func_host.durable.backend import BackendUnavailableError
from func_host.durable.backends.azure_storage import dead_letters
from func_host.durable.backends.azure_storage.backend import AzureStorageBackend
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.dead_letters import DeadLetters
from func_host.testing.clock import SimulatedClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from azure.storage.queue.aio import QueueClient

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]

NOW = datetime(2026, 8, 1, 12, 0, 0, 123456, tzinfo=UTC)
TEXT = '{"Name": "\\u00fc <&>"}'


@pytest.fixture
async def clients(connection: StorageConnection) -> AsyncIterator[StorageClients]:
    async with StorageClients(connection) as clients:
        yield clients


@pytest.fixture
def letters(clients: StorageClients, names: TaskHubNames) -> DeadLetters:
    return DeadLetters(clients, names)


@pytest.fixture
async def queue(clients: StorageClients, names: TaskHubNames) -> QueueClient:
    queue = clients.queue(names.control_queue(0))
    await queue.create_queue()
    return queue


async def bury(
    letters: DeadLetters,
    names: TaskHubNames,
    message_id: str = "6f96-19ff",
    *,
    text: str = TEXT,
    instance_id: str | None = "one",
    now: datetime = NOW,
) -> str:
    queue = names.control_queue(0)
    await letters.bury(
        queue,
        message_id,
        text,
        instance_id=instance_id,
        reason="ValueError: no",
        attempts=5,
        now=now,
    )
    return f"{queue}/{message_id}"


async def waiting(queue: QueueClient) -> list[str | None]:
    return [message.content async for message in queue.receive_messages(messages_per_page=32)]


async def test_where_nothing_was_set_aside_there_is_nothing_and_no_container(
    letters: DeadLetters, clients: StorageClients, names: TaskHubNames
) -> None:
    letter_id = f"{names.control_queue(0)}/6f96"

    assert list(await letters.all()) == []
    assert await letters.get(letter_id) is None
    assert not await letters.retry(letter_id)
    assert not await letters.drop(letter_id)
    with pytest.raises(ResourceNotFoundError):
        await clients.container(names.dead_letters_container).get_container_properties()


async def test_a_letter_tells_what_was_to_be_known_of_it(
    letters: DeadLetters, names: TaskHubNames
) -> None:
    letter_id = await bury(letters, names)

    letter = DeadLetter(
        id=letter_id,
        queue=names.control_queue(0),
        instance_id="one",
        reason="ValueError: no",
        attempts=5,
        since=NOW,
        text=TEXT,
    )
    assert list(await letters.all()) == [letter]
    assert await letters.get(letter_id) == letter


async def test_what_is_set_aside_twice_lies_there_once(
    letters: DeadLetters, names: TaskHubNames
) -> None:
    await bury(letters, names)
    await bury(letters, names, now=NOW + timedelta(seconds=1))

    assert [letter.since for letter in await letters.all()] == [NOW + timedelta(seconds=1)]


async def test_the_oldest_letter_comes_first(letters: DeadLetters, names: TaskHubNames) -> None:
    ids = [
        await bury(letters, names, f"{9 - age}", instance_id=None, now=NOW - timedelta(hours=-age))
        for age in range(3)
    ]

    assert [letter.id for letter in await letters.all()] == ids


async def test_no_more_than_a_limit_are_listed(
    letters: DeadLetters, names: TaskHubNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "DEAD_LETTERS_LISTED_MAX", 20)
    for number in range(21):
        await bury(letters, names, f"{number}")

    assert len(await letters.all()) == 20


@pytest.mark.parametrize("text", [TEXT, "eyJOYW1lIjogMX0=", "no message at all", "{broken <&"])
async def test_a_retried_message_lies_in_its_queue_as_it_was(
    letters: DeadLetters, names: TaskHubNames, queue: QueueClient, text: str
) -> None:
    letter_id = await bury(letters, names, text=text)

    assert await letters.retry(letter_id)

    assert await waiting(queue) == [text]
    assert list(await letters.all()) == []
    assert not await letters.retry(letter_id)


async def test_a_retried_message_does_not_expire(
    letters: DeadLetters, names: TaskHubNames, queue: QueueClient
) -> None:
    await letters.retry(await bury(letters, names))

    (message,) = [message async for message in queue.receive_messages()]
    assert message.expires_on is not None
    assert message.expires_on.year == 9999


async def test_a_dropped_message_is_nowhere(
    letters: DeadLetters, names: TaskHubNames, queue: QueueClient
) -> None:
    kept = await bury(letters, names, "1")
    dropped = await bury(letters, names, "2")

    assert await letters.drop(dropped)

    assert [letter.id for letter in await letters.all()] == [kept]
    assert not await letters.drop(dropped)
    assert await waiting(queue) == []


async def test_a_letter_whose_queue_is_gone_stays(
    letters: DeadLetters, names: TaskHubNames
) -> None:
    letter_id = await bury(letters, names)

    with pytest.raises(ResourceNotFoundError):
        await letters.retry(letter_id)

    assert [letter.id for letter in await letters.all()] == [letter_id]


async def test_a_crash_while_retrying_loses_nothing(
    letters: DeadLetters,
    names: TaskHubNames,
    queue: QueueClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    letter_id = await bury(letters, names)

    async def die(_letter_id: str) -> bool:
        raise ServiceResponseError("the line broke")

    with monkeypatch.context() as dying:
        dying.setattr(letters, "drop", die)
        with pytest.raises(ServiceResponseError):
            await letters.retry(letter_id)

    assert await letters.retry(letter_id)
    assert await waiting(queue) == [TEXT, TEXT]


async def test_a_letter_that_cannot_be_read_hides_no_other_and_can_be_dropped(
    letters: DeadLetters,
    clients: StorageClients,
    names: TaskHubNames,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = await bury(letters, names)
    broken = f"{names.control_queue(0)}/broken"
    container = clients.container(names.dead_letters_container)
    await container.upload_blob(f"{broken}.json", b"{}")
    await container.upload_blob("not-ours.txt", b"")

    assert [letter.id for letter in await letters.all()] == [good]
    assert "a dead letter cannot be read" in caplog.messages
    assert not await letters.retry(broken)
    assert await letters.drop(broken)


async def test_the_backend_lists_retries_and_drops(
    clients: StorageClients, connection: StorageConnection, names: TaskHubNames
) -> None:
    clock = SimulatedClock()
    letters = DeadLetters(clients, names)
    backend = AzureStorageBackend(StorageClients(connection), names, clock, SystemIds())
    async with backend:
        first, second = await bury(letters, names, "1"), await bury(letters, names, "2")

        assert [letter.id for letter in await backend.dead_letters()] == [first, second]
        assert await backend.drop_dead_letter(first)
        assert await backend.retry_dead_letter(second)
        assert list(await backend.dead_letters()) == []
    with pytest.raises(BackendUnavailableError):
        await backend.dead_letters()
