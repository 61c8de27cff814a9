"""Answers of commands: tables for people, JSON for programs."""

import json
from datetime import UTC, datetime

import pytest

from func_host.cli.durable.output import moment_text, print_json, table


def test_columns_are_as_wide_as_what_they_hold() -> None:
    assert list(table(["ID", "REASON"], [["long-id", "no"], ["b", "a long reason"]])) == [
        "ID       REASON",
        "long-id  no",
        "b        a long reason",
    ]


def test_a_table_without_rows_is_its_headings() -> None:
    assert list(table(["ID", "REASON"], [])) == ["ID  REASON"]


def test_a_cell_cannot_steer_the_terminal() -> None:
    assert list(table(["ID"], [["\x1b[31mred\nü"]])) == ["ID", "?[31mred?ü"]


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"id": "ü…"})

    output = capsys.readouterr().out
    assert output.isascii()
    assert json.loads(output) == {"id": "ü…"}


def test_a_moment_is_shown_to_the_second() -> None:
    assert moment_text(datetime(2026, 8, 1, 12, 0, 5, 999, tzinfo=UTC)) == "2026-08-01T12:00:05Z"
