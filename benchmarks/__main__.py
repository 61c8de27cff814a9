"""`python -m benchmarks [WORKLOAD ...]`: measure, and print a JSON line for each workload."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from benchmarks.bare import run_bare
from benchmarks.host_process import Host, HostFailedError, started_host, sync_ms
from benchmarks.http_client import WrongAnswerError
from benchmarks.loops import run_fast
from benchmarks.report import Measurement, figures, medians
from benchmarks.workloads import Workload, azurite_workloads, named_workloads
from tests.azurite.emulator import Azurite, AzuriteError

if TYPE_CHECKING:
    from collections.abc import Generator

    from benchmarks.report import Figure
    from benchmarks.workloads import AnyWorkload

STARTUP = "startup"
SQLITE = "sqlite"
AZURITE = "azurite"
_MANY_FILES = 8_192


class Arguments(argparse.Namespace):
    """The command line, as parsed."""

    workloads: list[str]
    url: str | None
    storage: str
    repeat: int
    async_activities: bool
    store_folder: Path | None


def main() -> int:
    """Run what the command line names; give the exit code."""
    arguments = _parse()
    workloads = _workloads(arguments.storage)
    names = arguments.workloads or [STARTUP, *workloads]
    _allow_many_connections()
    exit_code = 0
    try:
        for name in names:
            if name == STARTUP and arguments.url:
                continue
            print(json.dumps(_line(name, workloads.get(name), arguments)), flush=True)
    except* (HostFailedError, WrongAnswerError, AzuriteError, OSError) as errors:
        print(f"benchmarks: {_first(errors)}", file=sys.stderr)
        exit_code = 1
    return exit_code


def _first(error: BaseException) -> BaseException:
    """Give the first error of what failed side by side: the others follow from it."""
    cause = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cast("BaseExceptionGroup[BaseException]", cause).exceptions[0]
    return cause


def _workloads(storage: str) -> dict[str, AnyWorkload]:
    return dict(azurite_workloads() if storage == AZURITE else named_workloads())


def _parse() -> Arguments:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help="see the README; default: all"
    )
    parser.add_argument(
        "--storage",
        choices=[SQLITE, AZURITE],
        default=SQLITE,
        help="what the host stores in; with azurite each run has a fresh one in memory",
    )
    parser.add_argument("--url", help="measure this host, which serves benchmarks/app")
    parser.add_argument("--repeat", type=int, default=1, help="print medians of so many runs")
    parser.add_argument(
        "--async-activities", action="store_true", help="async activities instead of threads"
    )
    parser.add_argument(
        "--store-folder", type=Path, help="where the store lies; default: temporary"
    )
    arguments = parser.parse_args(namespace=Arguments())
    names = [STARTUP, *_workloads(arguments.storage)]
    for name in arguments.workloads:
        if name not in names:
            parser.error(f"unknown workload '{name}': choose from {', '.join(names)}")
    return arguments


def _line(name: str, workload: AnyWorkload | None, arguments: Arguments) -> dict[str, object]:
    """Measure one workload so many times, each with a fresh host; give the line to print."""
    runs: list[dict[str, Figure]] = []
    unit = ""
    for _ in range(arguments.repeat):
        with _host(arguments) as host:
            measurement = _measure(host, workload, is_async=arguments.async_activities)
            unit = measurement.unit
            runs.append(figures(measurement, *host.memory_mb()))
        if arguments.storage == AZURITE and name == "chain-20" and isinstance(workload, Workload):
            runs[-1] |= _compared(workload, runs[-1])
    parameters: dict[str, object] = {} if workload is None else dict(workload.parameters())
    parameters |= {
        "activities": "async" if arguments.async_activities else "sync",
        "runs": arguments.repeat,
        "storage": arguments.storage,
    }
    if not arguments.url and arguments.storage == SQLITE:
        parameters["disk_sync_ms"] = _disk_sync_ms(arguments.store_folder)
    return {"workload": name, "unit": unit, **medians(runs), "parameters": parameters}


def _disk_sync_ms(store_folder: Path | None) -> float:
    with tempfile.TemporaryDirectory(dir=store_folder) as folder:
        return round(sync_ms(Path(folder)), 3)


def _compared(workload: Workload, measured: dict[str, Figure]) -> dict[str, Figure]:
    """Make the same requests without a host, on an emulator that is as fresh."""
    with Azurite() as azurite:
        rate = run_fast(
            run_bare(
                azurite.connection_string,
                chains=workload.instances,
                in_flight=workload.in_flight,
                warm_up=workload.warm_up,
            )
        )
    throughput = measured["throughput_per_s"]
    assert throughput is not None
    return {"bare_per_s": rate, "share_of_bare": throughput / rate}


def _measure(host: Host, workload: AnyWorkload | None, *, is_async: bool) -> Measurement:
    if workload is not None:
        return run_fast(workload.run(host, is_async=is_async))
    startup_s = host.startup_s or 0.0
    return Measurement(elapsed_s=startup_s, operations=1, unit="starts", latencies_s=[startup_s])


@contextlib.contextmanager
def _host(arguments: Arguments) -> Generator[Host]:
    if arguments.url:
        url = urlsplit(arguments.url)
        yield Host(url.hostname or "127.0.0.1", url.port or 80)
        return
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.store_folder))
        connection_string = None
        if arguments.storage == AZURITE:
            connection_string = stack.enter_context(Azurite()).connection_string
        yield stack.enter_context(started_host(Path(folder), connection_string))


def _allow_many_connections() -> None:
    """Raise the limit of open files, also for the host, as far as the system lets us."""
    try:
        import resource  # noqa: PLC0415 -- not there on Windows
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _MANY_FILES:
        wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(_MANY_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    raise SystemExit(main())
