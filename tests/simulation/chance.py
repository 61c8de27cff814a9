"""Where the simulation's chance comes from: one seed, and a stream of its own for each part.

Streams are named by text, so that one part drawing more does not change what the others get.
"""

from __future__ import annotations

import random  # noqa: TID251 -- the one home of chance in the simulation, always from a seed

Chance = random.Random


def stream(seed: int, *names: object) -> Chance:
    """Give the stream of this name, the same for the same seed on every machine."""
    return Chance("/".join(str(name) for name in (seed, *names)))


class SeededIds:
    """An `IdSource` that draws from a stream."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def new_id(self) -> str:
        return f"{self._chance.getrandbits(128):032x}"

    def jitter(self) -> float:
        return self._chance.random()
