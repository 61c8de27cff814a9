"""`.funcignore`: what a scan of an app folder leaves out, in the patterns of `.gitignore`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    is_negated: bool
    only_folders: bool


class FuncIgnore:
    """The rules of one `.funcignore`; the last one that matches decides."""

    def __init__(self, text: str) -> None:
        """Read the rules, one a line; `#` begins a comment and `!` takes a match back."""
        self._rules = [rule for line in text.splitlines() if (rule := _parse(line)) is not None]

    @classmethod
    def of(cls, folder: Path) -> FuncIgnore:
        """Read the file of an app folder; without one, nothing is ignored."""
        try:
            return cls((folder / ".funcignore").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return cls("")

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether a path, relative to the app folder and with slashes, is left out."""
        ignored = False
        for rule in self._rules:
            if rule.pattern.fullmatch(path) and (is_folder or not rule.only_folders):
                ignored = not rule.is_negated
        return ignored


def _parse(line: str) -> _Rule | None:
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    is_negated = line.startswith("!")
    pattern = line.removeprefix("!").removeprefix("\\")
    only_folders = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    is_anchored = "/" in pattern
    prefix = "" if is_anchored else "(?:.*/)?"
    expression = prefix + _translate(pattern.lstrip("/"))
    try:
        return _Rule(re.compile(expression), is_negated, only_folders)
    except re.error:
        return None


def _translate(pattern: str) -> str:
    """Write a pattern as a regular expression: only `**` goes over slashes."""
    parts = re.split(r"(/\*\*/|\*\*/|/\*\*|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return "".join(_translate_part(part) for part in parts)


def _translate_part(part: str) -> str:
    if part in _WILDCARDS:
        return _WILDCARDS[part]
    if part.startswith("[") and part.endswith("]"):
        return "[" + part[1:-1].replace("!", "^", 1 if part[1:2] == "!" else 0) + "]"
    return re.escape(part)


_WILDCARDS = {
    "/**/": "/(?:.*/)?",
    "**/": "(?:.*/)?",
    "/**": "/.*",
    "**": "[^/]*",
    "*": "[^/]*",
    "?": "[^/]",
}
