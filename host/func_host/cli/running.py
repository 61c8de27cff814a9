"""Runs a host from the command line: what it prints, when it stops, and its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from typing import TYPE_CHECKING, Final

import click

from func_host.cli.announcement import announcement
from func_host.cli.levels import log_levels
from func_host.cli.stopping import leaving_threads_behind, stop_signals
from func_host.config import export_app_settings, other_store, process_environment
from func_host.durable.backend import BackendError
from func_host.host import (
    DEFAULT_ADDRESS,
    DEFAULT_PORT,
    load_functions,
    required_key,
    serve,
    unfinished_in,
)
from func_host.log import REASON, configure_logging, is_coloured
from func_host.server import HostFaultError, ListeningSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from func_host.config import Configuration
    from func_host.host import Host
    from func_host.indexing import FunctionIndex

EXIT_FAULT: Final = 1
"""The machine or the host failed: a port in use, a second owner of the hub, a broken part."""

_CLOSING_S: Final = 10.0
"""What closing may take beyond `drainTimeout`: functions are cancelled, the store is closed."""

_THREADS_S: Final = 1.0
"""What threads may take beyond all that: nobody waits for what they give."""

logger = logging.getLogger(__name__)


def run(
    configuration: Configuration,
    *,
    port: int | None,
    address: str | None,
    verbose: bool,
    json_logs: bool,
) -> int:
    """Run a host until it is told to stop; give the exit code.

    Raises:
        AppError: There is a mistake in the app.
    """
    coloured = is_coloured(sys.stderr, process_environment())
    levels = log_levels(configuration.host_json.log_levels, verbose=verbose)
    configure_logging(levels, json_logs=json_logs, coloured=coloured)
    _warn(configuration.warnings)
    settings = configuration.app_settings
    address = address or settings.local_address or DEFAULT_ADDRESS
    required_key(configuration, address)  # refused before anything of the app runs
    export_app_settings(settings, configuration.root)
    if port is None:
        port = settings.local_port or DEFAULT_PORT
    try:
        with contextlib.closing(ListeningSocket(address, port)) as listening:
            index = load_functions(configuration)
            _warn(index.warnings)
            _warn_of_other_store(configuration)
            with (
                contextlib.ExitStack() as leaving,
                asyncio.Runner(loop_factory=_loop_factory()) as runner,
            ):
                runner.run(_serve(configuration, index, listening, verbose=verbose))
                leaving.enter_context(leaving_threads_behind(_THREADS_S))
    except (BackendError, HostFaultError) as error:
        return _fail(str(error))
    except ExceptionGroup as failures:
        logger.critical("a part of the host failed", exc_info=failures)
        return _fail("The host stopped, because a part of it failed. What is stored is complete.")
    return 0


async def _serve(
    configuration: Configuration,
    index: FunctionIndex,
    listening: ListeningSocket,
    *,
    verbose: bool,
) -> None:
    drain_s = configuration.host_json.worker.drain_timeout.total_seconds()
    with stop_signals(_say_stopping, deadline_s=drain_s + _CLOSING_S) as stop:
        await serve(
            configuration,
            index,
            listening=listening,
            access_log=verbose,
            on_started=lambda host: _started(configuration, host, listening),
            stop=stop,
        )


def _started(configuration: Configuration, host: Host, listening: ListeningSocket) -> None:
    _announce(configuration, host, listening)
    # Modules and the app live as long as the process: without this every full collection walks
    # them again, which stops everything for tens of milliseconds.
    gc.freeze()


def _announce(configuration: Configuration, host: Host, listening: ListeningSocket) -> None:
    coloured = is_coloured(sys.stdout, process_environment())
    lines = announcement(
        host.index.functions,
        origin=listening.origin,
        route_prefix=configuration.host_json.http.route_prefix,
    )
    for line in lines:
        click.echo(line, color=coloured)
    click.echo(f"Task hub {configuration.host_json.durable_task.hub_name}: {configuration.store}")
    click.echo(f"Listening on {listening.origin} (press Ctrl-C to stop)")
    sys.stdout.flush()


def _say_stopping() -> None:
    click.echo("Stopping; what has not ended goes on at the next start. Ctrl-C quits at once.")


def _warn_of_other_store(configuration: Configuration) -> None:
    """Tell of orchestrations that wait in a store of this app that was not chosen."""
    durable = configuration.host_json.durable_task
    other = other_store(configuration.store, configuration.root, durable)
    if other is None:
        return
    try:
        unfinished = unfinished_in(other)
    except BackendError as error:
        logger.warning("another store of this app cannot be read", extra={REASON: str(error)})
        return
    if unfinished:
        line = (
            f"{other.path} holds {unfinished} orchestrations that have not ended and do not go on "
            f'here: to open it, start with `--storage "sqlite:{other.path}"`.'
        )
        _warn((line,))


def _warn(lines: tuple[str, ...]) -> None:
    for line in lines:
        logger.warning(line)


def _fail(message: str) -> int:
    click.echo(message, err=True)
    return EXIT_FAULT


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give uvloop's loop where it is installed: it halves the cost of a request."""
    try:
        import uvloop  # noqa: PLC0415 -- it is not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop
