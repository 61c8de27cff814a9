"""A request path as segments, decoded exactly once.

Everything that decides by path (which part answers, who may ask) uses these segments, so that no
spelling of a path is read in two ways.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from starlette.types import Scope

_ESCAPED_SLASH = re.compile(r"%(?=2[fF])")


class BadPathError(ValueError):
    """The path holds a NUL, which no server takes."""


def path_segments(scope: Scope) -> list[str]:
    """Give the segments of the requested path, without the empty ones at both ends."""
    return split_path(raw_target(scope).decode("utf-8", "replace"))


def raw_target(scope: Scope) -> bytes:
    """Give the path as it was sent, still escaped."""
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"]).encode() if raw is None else raw


def split_path(path: str) -> list[str]:
    """Split an escaped path at its slashes and decode what is between them once.

    `%2F` stays as it is and so never makes a segment; `+` is a plus. Dot segments, escaped or not,
    are resolved. A slash at the end does not count.

    Raises:
        BadPathError: There is a NUL in it.
    """
    path = path.removeprefix("/").removesuffix("/")
    if not path:
        return []
    segments = path.split("/")
    if "%" in path:
        segments = [_decode(segment) for segment in segments]
    if "." in segments or ".." in segments:
        return _without_dots(segments)
    return segments


def _decode(segment: str) -> str:
    decoded = unquote(_ESCAPED_SLASH.sub("%25", segment), errors="replace")
    if "\0" in decoded:
        raise BadPathError("The path holds a NUL character.")
    return decoded


def _without_dots(segments: list[str]) -> list[str]:
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return kept
