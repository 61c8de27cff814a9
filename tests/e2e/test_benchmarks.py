"""The benchmark measures what it says, and calls a wrong answer an error."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from benchmarks.host_process import started_host
from benchmarks.http_client import HttpConnection, WrongAnswerError
from benchmarks.report import Measurement, figures, medians, percentile
from benchmarks.workloads import Workload, azurite_workloads, named_workloads
from tests.e2e.host_process import REPOSITORY, environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1), (50, 50), (95, 95), (99, 99), (100, 100)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


def test_figures_are_told_in_milliseconds_and_per_second() -> None:
    measured = Measurement(elapsed_s=2.0, operations=10, unit="chains", latencies_s=[0.1, 0.3])

    told = figures(measured, 40.0, None)

    assert told["throughput_per_s"] == 5.0
    assert told["p50_ms"] == pytest.approx(100)
    assert told["p99_ms"] == pytest.approx(300)
    assert told["peak_rss_mb"] is None


def test_medians_leave_out_what_is_not_known() -> None:
    runs = [{"rss": 1.0, "peak": None}, {"rss": 9.0, "peak": None}, {"rss": 2.0, "peak": None}]

    assert medians(runs) == {"rss": 2.0, "peak": None}


def test_the_workloads_of_the_programme_are_there() -> None:
    assert set(dict(named_workloads())) == {
        "chain-1",
        "chain-20",
        "chain-100",
        "fan-out-1000",
        "fan-out-5000",
        "sequence-2000",
        "sequence-10000",
        "events-200",
        "timers-1000",
    }


def test_an_emulator_is_asked_for_what_it_can_do_within_a_minute() -> None:
    assert set(dict(azurite_workloads())) == {
        "chain-1",
        "chain-20",
        "fan-out-1000",
        "sequence-200",
        "sequence-2000",
        "echo-100",
        "events-200",
    }


@pytest.mark.e2e
@pytest.mark.slow
def test_the_command_prints_a_json_line_for_each_workload() -> None:
    names = ["startup", "chain-20", "fan-out-1000", "sequence-2000", "events-200"]
    ended = subprocess.run(  # noqa: S603 -- our own command line
        [sys.executable, "-m", "benchmarks", *names],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["workload"] for line in lines] == names
    for line in lines:
        assert line["throughput_per_s"] > 0
        assert 0 < line["p50_ms"] <= line["p95_ms"] <= line["p99_ms"]
    assert lines[3]["last_to_first"] > 0


@pytest.mark.e2e
@pytest.mark.slow
async def test_a_wrong_answer_is_an_error(tmp_path: Path) -> None:
    never = Workload(orchestrator="bench_chain", unit="chains", expected=lambda _: False)
    with started_host(tmp_path) as host, anyio.fail_after(30):
        with pytest.raises(ExceptionGroup) as wrong:
            await never.run(host, is_async=False)
        assert wrong.group_contains(WrongAnswerError)

        async with HttpConnection(host.address, host.port) as connection:
            assert (await connection.request("GET", "/nothing/here")).status == 404
            assert (await connection.request("GET", "/admin/host/ping")).status == 200


@pytest.mark.azurite
@pytest.mark.e2e
@pytest.mark.slow
def test_the_same_workloads_run_on_an_emulator_and_chains_beside_their_bare_requests() -> None:
    names = ["startup", "chain-20", "sequence-200", "echo-100"]
    ended = subprocess.run(  # noqa: S603 -- our own command line
        [sys.executable, "-m", "benchmarks", "--storage", "azurite", *names],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["workload"] for line in lines] == names
    assert all(line["throughput_per_s"] > 0 for line in lines)
    assert lines[1]["share_of_bare"] == pytest.approx(
        lines[1]["throughput_per_s"] / lines[1]["bare_per_s"], abs=0.01
    )


@pytest.mark.azurite
@pytest.mark.e2e
@pytest.mark.slow
def test_requests_are_told_as_a_table() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.requests", "5 sequential", "--idle-s", "0"],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    (row,) = ended.stdout.splitlines()[2:]
    _, name, measured, goal, *provider, _ = (cell.strip() for cell in row.split("|"))
    assert (name, goal) == ("5 sequential activities, with the start", "9")
    assert 9 <= float(measured) <= 12  # a lease may be renewed meanwhile
    assert provider == ["54", "9N + 9"]
