"""A simulation that finds nothing proves nothing: each planted bug is found, and soon."""

from collections.abc import Callable

import pytest

from tests.simulation.bugs import BUGS, Plant
from tests.simulation.simulating import SimulationError, simulate

SEEDS_MAX = 2_000


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: Callable[[], Plant]) -> None:
    with bug(), pytest.raises(SimulationError, match=r"promise \d|the program says"):
        _simulate_all()


def _simulate_all() -> None:
    for seed in range(SEEDS_MAX):
        simulate(seed)
