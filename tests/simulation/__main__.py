"""Runs many seeds: `python -m tests.simulation --start 0 --count 20000 --processes 2`."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from tests.simulation.simulating import SimulationError, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable


def main() -> int:
    """Run the seeds and print those that fail; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=500, help="how many seeds")
    parser.add_argument("--processes", type=int, default=1, help="how many at the same time")
    parser.add_argument("--hashes", action="store_true", help="print a hash of each run instead")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    options = parser.parse_args()
    seeds = range(options.start, options.start + options.count)
    if options.hashes:
        for seed in seeds:
            _say(simulate(seed).trace_hash)
        return 0
    began = time.perf_counter()
    if options.trace:
        failed = _tell(map(_traced, seeds))
    elif options.processes == 1:
        failed = _tell(map(_failure_of, seeds))
    else:
        with ProcessPoolExecutor(options.processes) as pool:
            failed = _tell(pool.map(_failure_of, seeds, chunksize=20))
    seconds = time.perf_counter() - began
    _say(f"{options.count} seeds from {options.start}: {failed} failed, {seconds:.1f} s")
    return 1 if failed else 0


def _tell(failures: Iterable[str]) -> int:
    """Print failures as they come; give how many there were."""
    count = 0
    for failure in failures:
        if failure:
            count += 1
            _say(failure)
    return count


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _failure_of(seed: int) -> str:
    try:
        simulate(seed)
    except SimulationError as error:
        return str(error)
    return ""


def _traced(seed: int) -> str:
    lines: list[str] = []
    failure = ""
    try:
        report = simulate(seed, lines)
        lines.append(f"{report}\n")
    except SimulationError as error:
        failure = str(error)
    _say("".join(lines))
    return failure


if __name__ == "__main__":
    sys.exit(main())
