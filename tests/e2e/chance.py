"""Chance from a seed: it picks the moments at which hosts are killed."""

from __future__ import annotations

import os
from random import Random  # noqa: TID251 -- a test may draw, as long as its seed is told

Chance = Random


def seeded_chance() -> Chance:
    """Give chance from a seed that a failing test shows; E2E_SEED repeats it."""
    seed = int(os.environ.get("E2E_SEED") or int.from_bytes(os.urandom(4)))
    print(f"E2E_SEED={seed}")  # noqa: T201 -- pytest shows it with the failure
    return Chance(seed)
