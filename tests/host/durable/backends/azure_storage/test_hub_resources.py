"""A hub is created where there is none, and an account that does not answer fails soon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from azure.core.exceptions import ResourceExistsError

from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.hub_resources import create_hub
from func_host.durable.backends.azure_storage.names import TaskHubNames

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.client_transport import RetrySettings

pytestmark = pytest.mark.anyio

CONNECTION = parse_connection_string("UseDevelopmentStorage=true", setting="AzureWebJobsStorage")
NAMES = TaskHubNames("Orders")
RESOURCES = {
    "OrdersHistory",
    "OrdersInstances",
    "orders-workitems",
    "orders-control-00",
    "orders-control-01",
}


class Account:
    """Stands for the clients of an account: notes what is created, with how many attempts."""

    def __init__(
        self,
        codes: dict[str, str] | None = None,
        attempts: int = 6,
        *,
        is_deaf: bool = False,
    ) -> None:
        self.connection = CONNECTION
        self.created: dict[str, int] = {}
        self._codes = codes or {}
        self._attempts = attempts
        self._is_deaf = is_deaf

    def with_retry(self, retry: RetrySettings) -> Account:
        hurried = Account(self._codes, retry.attempts, is_deaf=self._is_deaf)
        hurried.created = self.created
        return hurried

    def queue(self, name: str) -> Creating:
        return Creating(self, name)

    def table(self, name: str) -> Creating:
        return Creating(self, name)

    async def create(self, name: str) -> None:
        if self._is_deaf:
            await asyncio.Event().wait()
        self.created[name] = self._attempts
        if name in self._codes:
            error = ResourceExistsError("there already")
            cast("Any", error).error_code = self._codes[name]
            raise error


class Creating:
    """A queue or table that may be created."""

    def __init__(self, account: Account, name: str) -> None:
        self._account = account
        self._name = name

    async def create_queue(self) -> None:
        await self._account.create(self._name)

    async def create_table(self) -> None:
        await self._account.create(self._name)


async def create(account: Account) -> None:
    await create_hub(cast("StorageClients", account), NAMES, 2)


async def test_the_first_requests_are_tried_less_often_than_the_others() -> None:
    account = Account()
    await create(account)

    assert account.created.keys() == RESOURCES
    hurried = {name for name, attempts in account.created.items() if attempts < 6}
    assert hurried == {"OrdersHistory", "orders-workitems"}


async def test_what_is_there_stays() -> None:
    account = Account(
        {"OrdersHistory": "TableAlreadyExists", "orders-control-01": "QueueAlreadyExists"}
    )
    await create(account)

    assert account.created.keys() == RESOURCES


@pytest.mark.parametrize(
    ("name", "code"),
    [("OrdersInstances", "TableBeingDeleted"), ("orders-workitems", "QueueBeingDeleted")],
)
async def test_what_is_still_being_deleted_is_not_taken_for_there(name: str, code: str) -> None:
    with pytest.raises(ResourceExistsError):
        await create(Account({name: code}))


async def test_an_account_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("func_host.durable.backends.azure_storage.hub_resources.REACH_S", 0.01)

    with pytest.raises(TimeoutError):
        await create(Account(is_deaf=True))
