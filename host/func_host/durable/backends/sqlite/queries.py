"""The SQL of the store by name, from `queries.sql`, and the numbered migrations of its schema."""

from __future__ import annotations

import re
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE = "func_host.durable.backends.sqlite"
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def parse_queries(text: str) -> Mapping[str, str]:
    """Split a file of statements at its `-- name: …` lines; comments are left out."""
    parts = _NAME.split(text)
    return MappingProxyType(
        {
            name: "\n".join(
                line for line in statement.splitlines() if not line.lstrip().startswith("--")
            ).strip()
            for name, statement in zip(parts[1::2], parts[2::2], strict=True)
        }
    )


def _load_migrations() -> tuple[str, ...]:
    folder = files(_PACKAGE) / "migrations"
    scripts = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return tuple(script.read_text("utf-8") for script in scripts)


SQL = parse_queries((files(_PACKAGE) / "queries.sql").read_text("utf-8"))
MIGRATIONS = _load_migrations()
"""The schema's versions: the first script makes version 1, each further one the next."""
