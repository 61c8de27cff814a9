"""The same seed gives the same run, to the last message and microsecond."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.simulating import simulate

SEEDS = 20
ROOT = Path(__file__).parents[2]


def test_the_same_seed_gives_the_same_run() -> None:
    first = [simulate(seed).trace_hash for seed in range(SEEDS)]

    assert [simulate(seed).trace_hash for seed in range(SEEDS)] == first
    assert len(set(first)) == SEEDS


@pytest.mark.slow
def test_another_process_with_another_hash_seed_gives_the_same_run() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--count", str(SEEDS), "--hashes"]
    path = os.pathsep.join(str(ROOT / folder) for folder in ("", "host", "bindings"))
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": path}

    answer = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)  # noqa: S603 -- our own command

    hashes = answer.stdout.decode().split()[:SEEDS]
    assert hashes == [simulate(seed).trace_hash for seed in range(SEEDS)]
