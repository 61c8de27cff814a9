"""Five hundred seeds: whatever goes wrong, every promise holds and every program ends right."""

import pytest

from tests.simulation.simulating import simulate

SEEDS = 500
CHUNK = 50
UNJUDGED_MAX = 5


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_promise_holds_in_the_seeds_from(first: int) -> None:
    """A failure names the seed, the promise, and the command that shows it again."""
    reports = [simulate(seed) for seed in range(first, first + CHUNK)]

    assert sum(report.runs for report in reports) > CHUNK
    assert sum(report.unjudged for report in reports) <= UNJUDGED_MAX
