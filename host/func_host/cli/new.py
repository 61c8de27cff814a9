"""`func-host new NAME`: write an app that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from func_host.errors import AppError

_FILES: Final = {
    "function_app.py": "function_app.py",
    "host.json": "host.json",
    "local_settings.json": "local.settings.json",
    "gitignore": ".gitignore",
    "funcignore": ".funcignore",
    "README.md": "README.md",
}
"""What lies in the template folder, and the name it gets in an app."""


@click.command()
@click.argument("name", type=click.Path(path_type=Path))
def new(name: Path) -> None:
    """Write an app that runs into the new folder NAME."""
    write_app(name)
    click.echo(f"Wrote {name}: {', '.join(_FILES.values())}.")
    click.echo(f"Start it with: func-host start {_quoted(name)}")


def write_app(folder: Path) -> None:
    """Write the app into a folder that does not exist or is empty.

    Raises:
        AppError: The folder is in use or cannot be written.
    """
    from importlib.resources import files  # noqa: PLC0415 -- `start` does not wait for it

    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise AppError(f"{folder} exists and is not an empty folder: give another name.")
        folder.mkdir(parents=True, exist_ok=True)
        for source, target in _FILES.items():
            text = files("func_host.cli").joinpath("template", source).read_text(encoding="utf-8")
            (folder / target).write_text(
                text.replace("{name}", folder.absolute().name), encoding="utf-8"
            )
    except OSError as error:
        raise AppError(f"{folder} cannot be written: {error.strerror}.") from error


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
