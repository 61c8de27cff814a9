"""A start of an id that was used before says how often, in its message, its row and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from func_bindings.errors import InstanceAlreadyExistsError
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from tests.azurite.golden_host import GoldenHost, running
from tests.azurite.recorded_hubs import HubContent, content_of
from tests.azurite.wire import Wire

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from tests.azurite.emulator import Azurite

pytestmark = [pytest.mark.anyio, pytest.mark.azurite]


@pytest.mark.parametrize("is_owner", [True, False])
async def test_each_use_of_an_id_is_counted(
    azurite: Azurite, names: TaskHubNames, is_owner: bool
) -> None:
    """A message that its sender is to handle stays as the claim, and is what others would find."""
    async with Wire(azurite.connection_string) as wire:
        connection = parse_connection_string(wire.connection_string, setting="test")
        worker = GoldenHost(connection, names, held={"third"})
        other = GoldenHost(connection, names, works=False)
        starter = worker if is_owner else other
        async with running(other), running(worker):
            for text in ("first", "second"):
                await starter.client.start_new("EchoActivity", "one", text)
                await starter.end("one")
            await starter.client.start_new("EchoActivity", "one", "third")
            await worker.until(lambda: bool(worker.invoker.running))
            claims = [held.envelope["TaskMessage"]["Event"] for held in wire.messages.values()]
        async with StorageClients(connection) as clients:
            left = await content_of(clients, names)

    assert [(claim["Input"], claim["Generation"]) for claim in claims] == [('"third"', 2)]
    assert generations(left) == [2, 2]


def generations(content: HubContent) -> list[object]:
    rows = [*content.instances, *content.history]
    return [row["Generation"] for row in rows if "Generation" in row]


async def test_a_start_that_is_refused_elsewhere_puts_no_message(
    azurite: Azurite, names: TaskHubNames
) -> None:
    """Whoever owns the instance would see it before it is deleted."""
    async with Wire(azurite.connection_string) as wire:
        connection = parse_connection_string(wire.connection_string, setting="test")
        worker = GoldenHost(connection, names)
        other = GoldenHost(connection, names, works=False)
        async with running(other), running(worker):
            await other.client.start_new("WaitOne", "one")
            with pytest.raises(InstanceAlreadyExistsError):
                await other.client.start_new("WaitOne", "one", "again")

    assert [put.envelope["TaskMessage"]["Event"]["Input"] for put in wire.puts] == [None]
