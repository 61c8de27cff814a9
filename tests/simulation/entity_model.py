"""The plain interpreter of entities: what one operation does, without worker, store or time."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from tests.simulation.frames import first_input
from tests.simulation.operations import launched_id


@dataclass(frozen=True, slots=True)
class Told:
    """A signal that an operation sends."""

    entity: str
    name: str
    delay_s: float | None
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Launched:
    """A program that an operation starts."""

    program: str
    instance_id: str
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Effect:
    """What an operation leaves behind: one that fails leaves the state as it was, and no more."""

    state: dict[str, int] | None
    result: Any = None
    failure: str | None = None
    told: tuple[Told, ...] = ()
    launched: Launched | None = None


def effect_of(
    entity: str, state: dict[str, int] | None, name: str, value: dict[str, Any]
) -> Effect:
    """Do an operation of an entity; one that is a class has its fields from then on."""
    if name == "fail":
        return Effect(state, failure=f"planned {value['key']}")
    after, result = _done(state or {"sum": 0, "count": 0, "trail": 0}, name, value)
    if name == "read" and not entity.startswith("@teller@"):
        after = state
    launches = value["launches"]
    return Effect(
        after,
        result,
        told=tuple(Told(*each) for each in value["tells"]),
        launched=None if launches is None else _launched(launches, value),
    )


def _done(
    before: dict[str, int], name: str, value: dict[str, Any]
) -> tuple[dict[str, int] | None, Any]:
    if name == "read":
        return before, [before["sum"], before["count"], before["trail"]]
    if name == "delete":
        return None, "deleted"
    after = {
        "sum": before["sum"] + (0 if name == "append" else value["amount"]),
        "count": before["count"] + 1,
        "trail": trail(before["trail"], value["key"]),
    }
    return after, [after["count"], after["trail"]] if name == "append" else after["sum"]


def _launched(program: str, value: dict[str, Any]) -> Launched:
    key = value["key"]
    return Launched(program, launched_id(key), first_input(f"{key}!", value["amount"]))


def trail(before: int, key: str) -> int:
    """Sum up all that has been done, in order."""
    return zlib.crc32(key.encode(), before)
