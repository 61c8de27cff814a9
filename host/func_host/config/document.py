"""A JSON file of settings: parsed once, with environment variables laid over it.

Keys are matched whatever their case and a path is written with dots, as Azure's host does. Every
value can say where it came from: the file and the line, or the environment variable.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from func_host.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_STRING_OR_COMMENT: Final = re.compile(
    r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL
)


class ConfigError(AppError):
    """A setting that cannot be used: one line with file, path and remedy."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a settings file says, and where it says so.

    Args:
        file: The file, whether it exists or not.
        values: Its content; empty where there is no file.
        text: Its text, to look up lines in.
        variables: Name of the environment variable by lower-case path, where one overrides.
    """

    file: Path
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    text: str = ""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def place(self, path: str) -> str:
        """Name where a value stands: `host.json:7`, or the environment variable."""
        variable = self.variables.get(path.lower())
        if variable is not None:
            return f"environment variable {variable}"
        line = self._line_of(path)
        return str(self.file) if line is None else f"{self.file}:{line}"

    def error(self, path: str, problem: str) -> ConfigError:
        """Make the error that tells a problem of the value at a path."""
        return ConfigError(f"{self.place(path)}: {path}: {problem}")

    def _line_of(self, path: str) -> int | None:
        """Find the line of a key: the first one of its name behind the keys that lead to it."""
        position = 0
        for name in path.split("."):
            key = re.compile(re.escape(json.dumps(name)) + r"\s*:", re.IGNORECASE)
            match = key.search(self.text, position)
            if match is None:
                return None
            position = match.end()
        return self.text.count("\n", 0, position) + 1


def read_document(file: Path) -> Document:
    """Parse a file; one that does not exist is empty. Comments and last commas are allowed.

    Raises:
        ConfigError: The file cannot be read, is not JSON, or is not an object.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return Document(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    try:
        values: object = json.loads(_without_comments(text))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{file}:{error.lineno}:{error.colno}: this is not JSON: {error.msg}. "
            "Correct it, or delete the file to get the defaults."
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{file}: this is nested too deeply to be settings.") from error
    if not isinstance(values, dict):
        raise ConfigError(f'{file}: expected a JSON object like {{"version": "2.0"}}.')
    return Document(file, cast("dict[str, Any]", values), text)


def override(document: Document, prefix: str, environment: Mapping[str, str]) -> Document:
    """Lay variables over a document: `{prefix}a__b=1` is the value of `a.b`.

    As in .NET, an item of a list is named by its index (`a__b__0`), and every value is text.
    """
    values, variables = document.values, dict[str, str]()
    for variable, value in sorted(environment.items()):
        if not variable.lower().startswith(prefix.lower()):
            continue
        names = [name for name in variable[len(prefix) :].split("__") if name]
        if names:
            values = _with_value(values, names, value)
            variables[".".join(names).lower()] = variable
    return Document(document.file, values, document.text, variables)


def _with_value(values: dict[str, Any], names: list[str], value: str) -> dict[str, Any]:
    name, *rest = names
    known = next((key for key in values if key.lower() == name.lower()), name)
    if not rest:
        return {**values, known: value}
    inner: dict[str, Any] | list[Any] | str | None = values.get(known)
    if isinstance(inner, list):
        inner = {str(index): item for index, item in enumerate(inner)}
    section = inner if isinstance(inner, dict) else {}
    return {**values, known: _with_value(section, rest, value)}


def _without_comments(text: str) -> str:
    """Blank out comments and last commas, so that lines and columns stay what they are."""

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return _STRING_OR_COMMENT.sub(blank, text)
