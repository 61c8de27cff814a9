"""Answers of commands: tables for people, JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

_GAP = "  "


def print_json(value: object) -> None:
    """Print a value in ASCII, which every terminal and pipe can take."""
    click.echo(json.dumps(value, indent=2))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings, in columns as wide as what they hold."""
    for line in table(headings, rows):
        click.echo(line)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Give the lines of a table; what could steer a terminal is shown as a question mark."""
    cells = [headings, *([_printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield _GAP.join(padded).rstrip()


def moment_text(moment: datetime) -> str:
    """Give a moment in UTC to the second, as ISO 8601 writes it."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
