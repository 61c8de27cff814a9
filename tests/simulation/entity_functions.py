"""The entities of the simulated app, as a user might write them: one plain, one `async def`."""

from __future__ import annotations

import asyncio
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
    _send(context)
    _work(context)


async def clerk(context: EntityContext) -> None:
    """Do an operation, and take a while for some."""
    _send(context)
    if context.operation_name in {"nap", "delete"}:
        await asyncio.sleep(_NAP_S)  # noqa: TID251 -- user code, in virtual time
    _work(context)


def _send(context: EntityContext) -> None:
    value: dict[str, Any] = context.get_input()
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
