"""Accounts: each is an entity that refuses what it cannot do, and keeps its state then."""

from dataclasses import dataclass

from func_bindings import Blueprint, EntityContext

blueprint = Blueprint()


class RefusedError(Exception):
    """The account does not do this, and asking again would not help."""


@dataclass(frozen=True)
class Opening:
    """Who opens an account, and with how much; money is in cents."""

    owner: str
    balance: int = 0


@blueprint.entity_trigger
@dataclass
class Account:
    owner: str | None = None
    balance: int = 0

    def open(self, opening: Opening) -> None:
        if self.owner is not None:
            raise RefusedError(f"the account belongs to {self.owner}")
        self.owner, self.balance = opening.owner, opening.balance

    def deposit(self, amount: int) -> int:
        self._check(amount)
        self.balance += amount
        return self.balance

    def withdraw(self, amount: int) -> int:
        self._check(amount)
        if amount > self.balance:
            raise RefusedError(f"there are {self.balance} cents, and {amount} were asked for")
        self.balance -= amount
        return self.balance

    def delete(self, context: EntityContext) -> None:
        # Instead of the `delete` that every entity has: no money goes with an account.
        if self.balance:
            raise RefusedError(f"there are still {self.balance} cents")
        context.destruct_on_exit()

    def _check(self, amount: int) -> None:
        if self.owner is None:
            raise RefusedError("there is no such account")
        if amount <= 0:
            raise RefusedError(f"{amount} is no amount")
