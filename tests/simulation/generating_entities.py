"""Draws what entities are asked to do, and what clients signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.chance import stream
from tests.simulation.operations import NAMES, Operation, Tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.chance import Chance

ENTITY_RATE = 0.5
"""How many seeds have entities."""

_TARGETS = ("@clerk@a", "@clerk@b", "@ledger@a", "@ledger@b", "@teller@a")
_DELAYS_S = (0.0, 0.2, 1.0, 1.0, 30.0, 400.0)


def draw_entities(seed: int) -> tuple[str, ...]:
    """Draw which entities there are: few, so that they are fought for; often none."""
    chance = stream(seed, "entities")
    if chance.random() >= ENTITY_RATE:
        return ()
    return tuple(chance.sample(_TARGETS, chance.choice((1, 2, 2, 3, 4))))


class OperationDraw:
    """Draws operations on some entities; what they start is one of some programs."""

    def __init__(self, chance: Chance, entities: Sequence[str], programs: Sequence[str]) -> None:
        self._chance = chance
        self._entities = entities
        self._programs = programs

    def entity(self) -> str:
        return self._chance.choice(self._entities)

    def some_entities(self) -> tuple[str, ...]:
        """Draw what is to be locked, in any order, maybe with one of them twice."""
        count = self._chance.randint(1, min(3, len(self._entities)))
        drawn = self._chance.sample(self._entities, count)
        if self._chance.random() < 0.1:
            drawn.append(drawn[0])
        return tuple(drawn)

    def other_entity(self, entities: Sequence[str]) -> str | None:
        """Draw one that is not among these."""
        others = [each for each in self._entities if each not in entities]
        return self._chance.choice(others) if others else None

    def delay_s(self) -> float | None:
        return self._chance.choice(_DELAYS_S) if self._chance.random() < 0.25 else None

    def operation(self, depth: int = 0) -> Operation:
        chance = self._chance
        name = chance.choice(("add", "append", *NAMES))
        tells = chance.choice((0, 0, 0, 1, 2)) if depth < 2 else 0
        launches = bool(self._programs) and depth == 0 and chance.random() < 0.04
        return Operation(
            name=name,
            tells=tuple(self._tell(depth + 1) for _ in range(tells)),
            launches=chance.choice(self._programs) if launches else None,
        )

    def _tell(self, depth: int) -> Tell:
        return Tell(entity=self.entity(), operation=self.operation(depth), delay_s=self.delay_s())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSignal:
    """What a client sends, and how long it waits before."""

    pause_s: float
    entity: str
    operation: Operation
    delay_s: float | None


def draw_signals(
    seed: int, entities: Sequence[str], programs: Sequence[str]
) -> tuple[tuple[ClientSignal, ...], ...]:
    """Draw the signals of each client, in the order in which it sends them."""
    chance = stream(seed, "signals")
    if not entities:
        return ()
    draw = OperationDraw(chance, entities, programs)
    return tuple(
        tuple(_signal(chance, draw) for _ in range(chance.randint(1, 6)))
        for _ in range(chance.choice((0, 1, 2, 3)))
    )


def _signal(chance: Chance, draw: OperationDraw) -> ClientSignal:
    pause_s = chance.choice((0.0, 0.0, 0.0, 0.05, 1.0, round(chance.uniform(0, 30), 6)))
    return ClientSignal(
        pause_s=pause_s,
        entity=draw.entity(),
        operation=draw.operation(),
        delay_s=draw.delay_s(),
    )
