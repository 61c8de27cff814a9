"""The main job: starts the samples and counts the words of the standard library, durably.

    python3 run.py demo [FOLDER] [--storage STORE]

counts those of the Python files below another folder. One process is the host and who asks it. Kill
it in the middle (`kill -9`) and start it again: the orchestration goes on where it was, because its
state lies in `.func-host/Samples.db`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from func_host.cli.stopping import stop_signals
from func_host.config import export_app_settings, load_configuration
from func_host.durable.backend import BackendError
from func_host.errors import AppError
from func_host.host import load_functions, serve
from func_host.log import configure_logging
from func_host.server import HostFaultError, ListeningSocket

if TYPE_CHECKING:
    from func_host.host import Host

ROOT = Path(__file__).resolve().parent.parent
INSTANCE_ID = "word-count"
DRAIN_S = 20.0
SHOWN = 10
WEBHOOK = "/runtime/webhooks/durabletask"


def main() -> int:
    """Count, and give the exit code."""
    parser = argparse.ArgumentParser(prog="run.py demo")
    parser.add_argument("folder", nargs="?", help="count here; default: the standard library")
    parser.add_argument("--storage", default="sqlite", help="sqlite, sqlite:PATH or memory")
    arguments = parser.parse_args()
    try:
        return asyncio.run(count_words(arguments.folder, arguments.storage))
    except (AppError, BackendError, HostFaultError) as error:
        print(error, file=sys.stderr)
        return 1


async def count_words(folder: str | None, storage: str) -> int:
    """Start a host, ask it over HTTP, and stop it."""
    configuration = load_configuration(ROOT, storage=storage)
    configure_logging({"": logging.WARNING})
    export_app_settings(configuration.app_settings, ROOT)
    started: asyncio.Future[Host] = asyncio.get_running_loop().create_future()
    with (
        closing(ListeningSocket("127.0.0.1", 0)) as listening,
        stop_signals(lambda: print("Stopping ..."), deadline_s=DRAIN_S) as stop,
    ):
        serving = serve(
            configuration,
            load_functions(configuration),
            listening=listening,
            on_started=started.set_result,
            stop=stop,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serving)
            await started
            print(f"The samples run at {listening.origin}; their state: {configuration.store}")
            status = await asyncio.to_thread(_count_by_http, listening.origin, folder)
            stop.set()
    return _report(status)


def _count_by_http(origin: str, folder: str | None) -> dict[str, Any]:
    """Start the orchestration, or find the one that a killed process has left, and wait."""
    status_url = f"{origin}{WEBHOOK}/instances/{INSTANCE_ID}"
    found = _ask(status_url)
    if found.get("runtimeStatus") in {"Pending", "Running"}:
        print(f"Going on with '{INSTANCE_ID}', which was started at {found['createdTime']} ...")
    else:
        print(f"Counting the words of {folder or 'the standard library'}: one activity a file ...")
        order = {"folder": folder and str(Path(folder).absolute())}
        _ask(f"{origin}{WEBHOOK}/orchestrators/word_count/{INSTANCE_ID}", order)
    began = time.monotonic()
    while (status := _ask(status_url))["runtimeStatus"] in {"Pending", "Running"}:
        time.sleep(0.2)
    print(f"{status['runtimeStatus']} after {time.monotonic() - began:.1f} s.")
    return status


def _ask(url: str, order: object = None) -> dict[str, Any]:
    """Ask, or where there is an order, send it."""
    data = None if order is None else json.dumps(order).encode()
    request = urllib.request.Request(url, data)  # noqa: S310 -- our own host
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            body: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 404:  # noqa: PLR2004 -- not found: it has never been started
                raise
        return {}
    return body


def _report(status: dict[str, Any]) -> int:
    if status["runtimeStatus"] != "Completed":
        print(json.dumps(status, indent=2), file=sys.stderr)
        return 1
    for word, count in status["output"][:SHOWN]:
        print(f"{count:10,}  {word}")
    program = Path(sys.executable).with_name("func-host")
    print(
        f"\nThe whole answer is stored. To look at it again, and to start the other samples:\n"
        f'    "{program}" start "{ROOT}"\n'
        f"    curl http://localhost:7071{WEBHOOK}/instances/{INSTANCE_ID}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
