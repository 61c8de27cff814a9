"""What every command on a task hub is told: whose hub it is, in which store, and how to answer."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """The options that all commands on a hub share.

    Args:
        app_dir: Folder of the app whose hub it is.
        storage: What was given to `--storage`.
        as_json: Whether a program reads the answer.
    """

    app_dir: Path
    storage: str | None = None
    as_json: bool = False


def hub_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options, as one value that is its first argument."""

    @click.option(
        "--app-dir",
        default=".",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Folder of the app; this one.",
    )
    @click.option("--storage", metavar="STORE", help="sqlite, sqlite:PATH, azure or memory.")
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
    @functools.wraps(command)
    def run(*, app_dir: Path, storage: str | None, as_json: bool, **others: Any) -> None:
        command(HubOptions(app_dir=app_dir, storage=storage, as_json=as_json), **others)

    return run
