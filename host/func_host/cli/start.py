"""`func-host start [APP_DIR]`: serve the functions of an app until told to stop."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("app_dir", default=".", type=click.Path(path_type=Path))
@click.option("--port", "-p", type=click.IntRange(0, 65_535), help="Port; 7071, 0 for a free one.")
@click.option("--host", help="Address to listen on; 127.0.0.1.")
@click.option("--storage", metavar="STORE", help="sqlite, sqlite:PATH, azure or memory.")
@click.option("--verbose", is_flag=True, help="Log requests and what the host does.")
@click.option("--json-logs", is_flag=True, help="Log one JSON object per line.")
def start(
    app_dir: Path,
    port: int | None,
    host: str | None,
    storage: str | None,
    *,
    verbose: bool,
    json_logs: bool,
) -> None:
    """Serve the functions of the app in the folder APP_DIR (this one by default)."""
    from func_host.cli.running import run  # noqa: PLC0415 -- --help does not wait for it
    from func_host.config import load_configuration  # noqa: PLC0415

    configuration = load_configuration(app_dir, storage=storage)
    sys.exit(run(configuration, port=port, address=host, verbose=verbose, json_logs=json_logs))
