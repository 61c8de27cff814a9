"""What entities are asked to do, as trees: the generator makes them, entities and the model read
their JSON.

The input of an operation says everything: who asks (`key`, unique in a seed), an amount, and what
the operation sends on before it does its own work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ENTITIES = ("Clerk", "Ledger", "Teller")
"""Names of the entities of the simulated app: an `async def`, a plain function, and a class."""

UNHEARD_ENTITY = "@unheard@x"
"""An entity that the app has no function for."""

NAMES = ("add", "append", "read", "fail", "delete", "nap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation: it sends its signals, starts a program, and then does what its name says."""

    name: str
    tells: tuple[Tell, ...] = ()
    launches: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """A signal to an entity, now or after a while."""

    entity: str
    operation: Operation
    delay_s: float | None = None


def operation_input(key: str, amount: int, operation: Operation) -> dict[str, Any]:
    """Give what an operation is sent with."""
    return {
        "key": key,
        "amount": amount,
        "tells": [
            [tell.entity, tell.operation.name, tell.delay_s, _told(key, amount, index, tell)]
            for index, tell in enumerate(operation.tells)
        ],
        "launches": operation.launches,
    }


def _told(key: str, amount: int, index: int, tell: Tell) -> dict[str, Any]:
    told = (amount * 7 + index) % 1_000
    return operation_input(f"{key}>{index}", told, tell.operation)


def launched_id(key: str) -> str:
    """Give the id of the instance that an operation starts."""
    return "launched-" + key.replace("/", ".").replace(":", ".")
