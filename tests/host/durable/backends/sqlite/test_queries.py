"""The statements of the store: each is named, each compiles, each is used."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from func_host.durable.backends.sqlite import queries
from func_host.durable.backends.sqlite.queries import MIGRATIONS, SQL, parse_queries

FOLDER = Path(queries.__file__).parent


@pytest.mark.parametrize("name", SQL)
def test_a_statement_compiles(name: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in MIGRATIONS:
            connection.executescript(script)
        named = set(re.findall(r":(\w+)", SQL[name]))
        values = dict.fromkeys(named, 0) if named else [0] * SQL[name].count("?")
        connection.execute(f"EXPLAIN {SQL[name]}", values).close()


def test_no_statement_is_left_over() -> None:
    code = "\n".join(file.read_text("utf-8") for file in FOLDER.glob("*.py"))
    unused = [name for name in SQL if f'"{name.removesuffix("_bulk")}' not in code]
    assert unused == []


def test_a_statement_is_kept_without_its_comments() -> None:
    text = "-- A file.\n\n-- name: one\n-- What for.\nSELECT 1;\n\n-- name: two\nSELECT\n2;\n"
    assert dict(parse_queries(text)) == {"one": "SELECT 1;", "two": "SELECT\n2;"}


@pytest.mark.parametrize(
    ("name", "values", "index"),
    [
        ("head", ["x"], "USING INDEX sqlite_autoindex_instances_1 (instance_id=?)"),
        ("cancel_timer", [1, 2], "USING INDEX messages_by_instance (instance=? AND timer_id=?)"),
        ("history_chunk", [1, 2, 3], "USING PRIMARY KEY (instance=? AND sequence>?)"),
        ("due", [1, 2, 3, 4], "USING INDEX messages_by_time"),
        ("next_due", [1, 2], "USING INDEX messages_by_time (arrives_at>?)"),
        ("waiting", ["x", 2, "[]", 4], "USING INDEX messages_by_instance (instance=?)"),
        ("summary", [], "USING COVERING INDEX instances_by_filter"),
    ],
)
def test_a_statement_uses_its_index(name: str, values: list[object], index: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in MIGRATIONS:
            connection.executescript(script)
        names = dict.fromkeys(re.findall(r":(\w+)", SQL[name]))
        parameters = dict(zip(names, values, strict=False))
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {SQL[name]}", parameters or values
        ).fetchall()
    assert index in "\n".join(row[3] for row in plan)
