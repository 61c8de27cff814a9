"""The entities of the simulated app, as a user might write them: two functions and a class."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from func_bindings.durable.entities import EntityId
from tests.simulation.entity_model import trail
from tests.simulation.frames import first_input
from tests.simulation.operations import launched_id

if TYPE_CHECKING:
    from func_bindings.durable.entities import EntityContext

_NAP_S = 0.4


def ledger(context: EntityContext) -> None:
    """Do an operation."""
    _send(context, context.get_input())
    _work(context)


async def clerk(context: EntityContext) -> None:
    """Do an operation, and take a while for some."""
    _send(context, context.get_input())
    if context.operation_name in {"nap", "delete"}:
        await asyncio.sleep(_NAP_S)  # noqa: TID251 -- user code, in virtual time
    _work(context)


@dataclass
class Teller:
    """An entity whose fields are the state."""

    sum: int = 0
    count: int = 0
    trail: int = 0

    def add(self, value: dict[str, Any], context: EntityContext) -> int:
        """Add an amount."""
        _send(context, value)
        self.sum += value["amount"]
        self._note(value)
        return self.sum

    def nap(self, value: dict[str, Any], context: EntityContext) -> int:
        """Do the same under another name."""
        return self.add(value, context)

    def append(self, value: dict[str, Any], context: EntityContext) -> list[int]:
        """Note the key alone."""
        _send(context, value)
        self._note(value)
        return [self.count, self.trail]

    def read(self, value: dict[str, Any], context: EntityContext) -> list[int]:
        """Tell the state."""
        _send(context, value)
        return [self.sum, self.count, self.trail]

    def fail(self, value: dict[str, Any], context: EntityContext) -> None:
        """Fail after everything has been done."""
        self.add(value, context)
        raise ValueError(f"planned {value['key']}")

    def delete(self, value: dict[str, Any], context: EntityContext) -> str:
        """Leave nothing."""
        _send(context, value)
        context.destruct_on_exit()
        return "deleted"

    def _note(self, value: dict[str, Any]) -> None:
        self.count += 1
        self.trail = trail(self.trail, value["key"])


def _send(context: EntityContext, value: dict[str, Any]) -> None:
    for entity, name, delay_s, told in value["tells"]:
        at = None if delay_s is None else timedelta(seconds=delay_s)
        context.signal_entity(EntityId.parse(entity), name, told, at=at)
    if value["launches"] is not None:
        start = first_input(f"{value['key']}!", value["amount"])
        context.start_new(value["launches"], launched_id(value["key"]), start)


def _work(context: EntityContext) -> None:
    """Change the state in place where there is one; what fails has done so before."""
    value: dict[str, Any] = context.get_input()
    state: dict[str, int] = context.get_state(lambda: {"sum": 0, "count": 0, "trail": 0})
    name = context.operation_name
    if name == "read":
        context.set_result([state["sum"], state["count"], state["trail"]])
        return
    if name != "append":
        state["sum"] += value["amount"]
    state["count"] += 1
    state["trail"] = trail(state["trail"], value["key"])
    if context.is_newly_constructed or value["amount"] % 2:
        context.set_state(state)
    if name == "fail":
        context.set_result("never told")
        raise ValueError(f"planned {value['key']}")
    if name == "delete":
        context.destruct_on_exit()
        context.set_result("deleted")
    elif name == "append":
        context.set_result([state["count"], state["trail"]])
    else:
        context.set_result(state["sum"])


ENTITY_FUNCTIONS = (clerk, ledger, Teller)
