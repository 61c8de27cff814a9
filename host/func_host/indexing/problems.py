"""Mistakes that indexing finds, each one line: where, what, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from func_host.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from func_bindings.metadata import SourceLocation


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake; without a line where it is about a whole folder."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        place = show_path(self.file)
        return f"{place}:{self.line}: {self.text}" if self.line else f"{place}: {self.text}"


class IndexingError(AppError):
    """The functions of the apps cannot be served as they are; `problems` holds a line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Carry every problem at once, in the order of the files and their lines."""
        self.problems = tuple(str(problem) for problem in sorted(set(problems)))
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


def problem_at(location: SourceLocation, text: str) -> Problem:
    """Make a problem of a function."""
    return Problem(location.file, location.line, text)
