"""`python -m benchmarks [WORKLOAD ...]`: measure, and print a JSON line for each workload."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from benchmarks.host_process import Host, HostFailedError, started_host, sync_ms
from benchmarks.http_client import WrongAnswerError
from benchmarks.report import Measurement, figures, medians
from benchmarks.workloads import EventsWorkload, Workload, named_workloads

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from benchmarks.report import Figure

STARTUP = "startup"
_MANY_FILES = 8_192


class Arguments(argparse.Namespace):
    """The command line, as parsed."""

    workloads: list[str]
    url: str | None
    repeat: int
    async_activities: bool
    store_folder: Path | None


def main() -> int:
    """Run what the command line names; give the exit code."""
    workloads = dict(named_workloads())
    arguments = _parse([STARTUP, *workloads])
    names = arguments.workloads or [STARTUP, *workloads]
    _allow_many_connections()
    exit_code = 0
    try:
        for name in names:
            if name == STARTUP and arguments.url:
                continue
            print(json.dumps(_line(name, workloads.get(name), arguments)), flush=True)
    except* (HostFailedError, WrongAnswerError, OSError) as errors:
        print(f"benchmarks: {_first(errors)}", file=sys.stderr)
        exit_code = 1
    return exit_code


def _first(error: BaseException) -> BaseException:
    """Give the first error of what failed side by side: the others follow from it."""
    cause = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cast("BaseExceptionGroup[BaseException]", cause).exceptions[0]
    return cause


def _parse(names: list[str]) -> Arguments:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"any of {', '.join(names)}; default: all"
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
    for name in arguments.workloads:
        if name not in names:
            parser.error(f"unknown workload '{name}': choose from {', '.join(names)}")
    return arguments


def _line(
    name: str, workload: Workload | EventsWorkload | None, arguments: Arguments
) -> dict[str, object]:
    """Measure one workload so many times, each with a fresh host; give the line to print."""
    runs: list[dict[str, Figure]] = []
    unit = ""
    for _ in range(arguments.repeat):
        with _host(arguments) as host:
            measurement = _measure(host, workload, is_async=arguments.async_activities)
            unit = measurement.unit
            runs.append(figures(measurement, *host.memory_mb()))
    parameters: dict[str, object] = {} if workload is None else dict(workload.parameters())
    parameters |= {
        "activities": "async" if arguments.async_activities else "sync",
        "runs": arguments.repeat,
    }
    if not arguments.url:
        parameters["disk_sync_ms"] = _disk_sync_ms(arguments.store_folder)
    return {"workload": name, "unit": unit, **medians(runs), "parameters": parameters}


def _disk_sync_ms(store_folder: Path | None) -> float:
    with tempfile.TemporaryDirectory(dir=store_folder) as folder:
        return round(sync_ms(Path(folder)), 3)


def _measure(
    host: Host, workload: Workload | EventsWorkload | None, *, is_async: bool
) -> Measurement:
    if workload is not None:
        return _run(workload.run(host, is_async=is_async))
    startup_s = host.startup_s or 0.0
    return Measurement(elapsed_s=startup_s, operations=1, unit="starts", latencies_s=[startup_s])


@contextlib.contextmanager
def _host(arguments: Arguments) -> Generator[Host]:
    if arguments.url:
        url = urlsplit(arguments.url)
        yield Host(url.hostname or "127.0.0.1", url.port or 80)
        return
    with (
        tempfile.TemporaryDirectory(dir=arguments.store_folder) as folder,
        started_host(Path(folder)) as host,
    ):
        yield host


def _run(measuring: Coroutine[object, object, Measurement]) -> Measurement:
    """Run on the fastest loop there is: what the client takes, the host does not get."""
    try:
        import uvloop  # noqa: PLC0415 -- not there on Windows
    except ImportError:
        return asyncio.run(measuring)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measuring)


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
