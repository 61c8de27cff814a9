"""Mistakes that indexing finds, each one line: where, what, and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from func_host.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from func_bindings.metadata import SourceLocation


class IndexingError(AppError):
    """The functions of the apps cannot be served as they are; `problems` holds a line for each."""

    def __init__(self, problems: Iterable[str]) -> None:
        """Carry every problem at once."""
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class AppImportError(AppError):
    """Modules of an app raised while they were imported; the text shows the app's own frames."""


def show_path(path: str | Path) -> str:
    """Give a path as somebody in the working directory would write it."""
    path = Path(path)
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def problem_at(location: SourceLocation, text: str) -> str:
    """Write one problem with its place."""
    return f"{show_path(location.file)}:{location.line}: {text}"
