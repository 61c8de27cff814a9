"""The benchmark of entities measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.e2e.host_process import REPOSITORY, environment


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- our own command line
        [sys.executable, "-m", "benchmarks.entities", *arguments],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize("storage", ["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
def test_each_workload_gives_a_line_of_operations_per_second(storage: str) -> None:
    ended = run("--storage", storage)

    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["workload"] for line in lines] == ["signals-1", "signals-100"]
    assert [line["parameters"]["counters"] for line in lines] == [1, 100]
    for line in lines:
        assert 0 < line["slowest_run_per_s"] <= line["throughput_per_s"] <= line["stored_per_s"]
        assert 0 < line["p50_ms"] <= line["p99_ms"]


def test_an_unknown_workload_is_refused_with_those_that_are_known() -> None:
    ended = run("signals-7")

    assert ended.returncode == 2
    assert "unknown workload 'signals-7': choose from signals-1, signals-100" in ended.stderr
