"""What clients do to entities while hosts are killed, and what must hold afterwards."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.e2e.host_process import wait_until
from tests.e2e.insisting import kill_again_and_again

if TYPE_CHECKING:
    from tests.e2e.chance import Chance
    from tests.e2e.insisting import Clients

BASE = "/runtime/webhooks/durabletask"
ADMIN = "/admin/entities"
KEY = "Idempotency-Key"
CLIENTS = 16
OPENING = 1_000
AMOUNT_MAX = 900
MARK = 1_000_000
TOKEN = "x-ms-continuation-token"  # noqa: S105 -- the name of a header


class Order(NamedTuple):
    """A transfer that a customer wants."""

    payer: str
    payee: str
    amount: int


def pages(clients: Clients, path: str) -> list[Any]:
    """Read a list to its end, page by page."""
    rows: list[Any] = []
    token: str | None = ""
    while token is not None:
        answer = clients.ask("GET", path, headers={TOKEN: token}, expected=200)
        rows += answer.json()
        token = answer.headers.get(TOKEN)
    return rows


def states(clients: Clients, entity: str) -> dict[str, Any]:
    """Give the states of all entities of a name by key, as the management API lists them."""
    rows = pages(clients, f"{BASE}/entities/{entity}?fetchState=true")
    return {row["entityId"]["key"]: row["state"] for row in rows}


def locked(clients: Clients) -> list[Any]:
    """Give the entities that somebody holds."""
    found: list[Any] = clients.ask("GET", f"{ADMIN}?locked=true", expected=200).json()
    return found


@dataclass
class Bank:
    """Accounts, and customers who move money between them."""

    clients: Clients
    accounts: list[str]
    orders: list[Order]
    receipts: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])

    @classmethod
    def draw(cls, clients: Clients, chance: Chance, accounts: int, transfers: int) -> Bank:
        """Draw random transfers between so many accounts."""
        names = [f"account-{number:03}" for number in range(accounts)]
        orders: list[Order] = []
        for _ in range(transfers):
            payer, payee = chance.sample(names, 2)
            orders.append(Order(payer, payee, chance.randint(1, AMOUNT_MAX)))
        return cls(clients, names, orders)

    def open(self) -> None:
        """Open all accounts, each with the same amount."""

        def open_one(number: int) -> None:
            name = self.accounts[number]
            opening = {"owner": name, "balance": OPENING}
            self.clients.ask("PUT", f"/api/accounts/{name}", json=opening)

        with self.clients.side_by_side(open_one, range(len(self.accounts)), CLIENTS):
            pass
        opened = dict.fromkeys(self.accounts, OPENING)
        wait_until(lambda: self.balances() == opened, "all are open", self.clients.timeout_s)

    def transfer_all(self, chance: Chance, kills: int) -> None:
        """Make all transfers while hosts are killed."""
        numbers = range(len(self.orders))
        with self.clients.side_by_side(self._transfer, numbers, CLIENTS) as tasks:
            kill_again_and_again(self.clients, tasks, len(numbers), chance, kills)

    def _transfer(self, number: int) -> None:
        """Order one transfer until its end is told: its id makes it one, however often."""
        order = self.orders[number]._asdict()
        path = f"/api/transfers/transfer-{number}"
        self.clients.ask("POST", path, json=order, expected=200, again_on=202)

    def check(self) -> None:
        """Hold what is stored against the receipts: each transfer wholly, or not at all."""
        wait_until(lambda: not locked(self.clients), "all locks are given back", 60)
        self._read_receipts()
        expected = Counter(dict.fromkeys(self.accounts, OPENING))
        for number, order in enumerate(self.orders):
            receipt = self.receipts[number]
            if receipt["state"] == "applied":
                expected[order.payer] -= order.amount
                expected[order.payee] += order.amount
            else:
                assert receipt["reason"].startswith("payer: there are "), receipt
        balances = self.balances()

        assert sum(balances.values()) == OPENING * len(self.accounts)
        assert balances == dict(expected)
        listed = self.clients.ask("GET", "/api/accounts", expected=200).json()
        assert listed == balances

    def _read_receipts(self) -> None:
        path = f"{BASE}/instances?instanceIdPrefix=transfer-&showInput=false"
        rows = pages(self.clients, path)
        assert {row["runtimeStatus"] for row in rows} == {"Completed"}
        self.receipts = {
            int(row["instanceId"].removeprefix("transfer-")): row["output"] for row in rows
        }
        assert len(rows) == len(self.receipts) == len(self.orders)

    def balances(self) -> dict[str, int]:
        """Give what is in each account."""
        return {key: state["balance"] for key, state in states(self.clients, "account").items()}


def count_exactly(clients: Clients, chance: Chance, increments: int, kills: int) -> None:
    """Add one so often to one counter while hosts are killed; each must count once.

    Every tenth increment is sent a second time although it was answered.
    """
    path = f"{BASE}/entities/counter/hot?op=add"

    def add(number: int) -> None:
        for _ in range(2 if number % 10 == 0 else 1):
            clients.ask("POST", path, json=1, headers={KEY: f"add-{number}"})

    with clients.side_by_side(add, range(increments), CLIENTS) as tasks:
        kill_again_and_again(clients, tasks, increments, chance, kills)
    # What comes after all increments shows that all of them have been done: one that counted twice
    # would be seen.
    clients.ask("POST", path, json=MARK, headers={KEY: "last"})
    wait_until(lambda: _value(clients) >= MARK, "all are counted", clients.timeout_s)

    assert _value(clients) - MARK == increments


def _value(clients: Clients) -> int:
    state = states(clients, "counter").get("hot")
    return 0 if state is None else state["value"]
