"""Runs many seeds: `python -m tests.simulation --start 0 --count 20000 --processes 2`."""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import Pool

from tests.simulation.simulating import SimulationError, simulate


def main() -> int:
    """Run the seeds and print those that fail; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=500, help="how many seeds")
    parser.add_argument("--processes", type=int, default=1, help="how many at the same time")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    options = parser.parse_args()
    seeds = range(options.start, options.start + options.count)
    began = time.perf_counter()
    failed = 0
    if options.trace:
        failures = (_traced(seed) for seed in seeds)
    elif options.processes == 1:
        failures = map(_failure_of, seeds)
    else:
        pool = Pool(options.processes)
        failures = pool.imap_unordered(_failure_of, seeds, chunksize=10)
    for failure in failures:
        if failure is not None:
            failed += 1
            print(failure, flush=True)  # noqa: T201 -- this is what it is for
    seconds = time.perf_counter() - began
    print(f"{options.count} seeds from {options.start}: {failed} failed, {seconds:.1f} s")  # noqa: T201
    return 1 if failed else 0


def _failure_of(seed: int) -> str | None:
    try:
        simulate(seed)
    except SimulationError as error:
        return str(error)
    return None


def _traced(seed: int) -> str | None:
    lines: list[str] = []
    try:
        return str(simulate(seed, lines))
    except SimulationError as error:
        return "".join(lines) + str(error)


if __name__ == "__main__":
    sys.exit(main())
