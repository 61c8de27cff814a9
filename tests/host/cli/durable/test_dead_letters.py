"""`func-host durable dead-letters`, over a store that holds some, and over those that never do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from func_host import host
from func_host.cli.group import main
from func_host.durable.backend import DEAD_LETTERS_LISTED_MAX
from tests.host.durable.holding_backend import LETTER, HoldingBackend

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from func_host.config import Configuration
    from func_host.durable.backend import Backend


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> HoldingBackend:
    """The store that every app has now."""
    backend = HoldingBackend(LETTER, replace(LETTER, id="hub-control-01/77", instance_id=None))

    def open_client_backend(_configuration: Configuration) -> Backend:
        return backend

    monkeypatch.setattr(host, "open_client_backend", open_client_backend)
    return backend


def run(app_dir: Path, *arguments: str) -> Result:
    command = ["durable", "dead-letters", *arguments, "--app-dir", str(app_dir)]
    return CliRunner().invoke(main, command)


@pytest.mark.usefixtures("holding")
def test_the_list_is_a_table(tmp_path: Path) -> None:
    result = run(tmp_path, "list")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "ID                   INSTANCE  ATTEMPTS  SINCE                 REASON",
        "hub-control-00/6f96  one       5         2026-08-01T12:00:00Z  ValueError: no",
        "hub-control-01/77    -         5         2026-08-01T12:00:00Z  ValueError: no",
    ]


@pytest.mark.usefixtures("holding")
def test_the_list_for_programs_holds_everything(tmp_path: Path) -> None:
    first, second = json.loads(run(tmp_path, "list", "--json").stdout)

    assert first == {
        "id": "hub-control-00/6f96",
        "queue": "hub-control-00",
        "instanceId": "one",
        "reason": "ValueError: no",
        "attempts": 5,
        "since": "2026-08-01T12:00:00Z",
        "text": '{"Name": "ü"}',
    }
    assert second["instanceId"] is None


def test_a_list_that_is_cut_says_so(tmp_path: Path, holding: HoldingBackend) -> None:
    for number in range(DEAD_LETTERS_LISTED_MAX - 2):
        since = LETTER.since + timedelta(seconds=number)
        holding.letters[f"{number}"] = replace(LETTER, id=f"{number}", since=since)

    *_, last = run(tmp_path, "list").stdout.splitlines()

    assert last == "There may be more: they are listed when these are gone."


def test_a_letter_is_retried(tmp_path: Path, holding: HoldingBackend) -> None:
    result = run(tmp_path, "retry", LETTER.id)

    assert result.output == "hub-control-00/6f96 was put back into its queue.\n"
    assert holding.retried == [LETTER.id]
    assert LETTER.id not in holding.letters


def test_a_letter_is_dropped(tmp_path: Path, holding: HoldingBackend) -> None:
    result = run(tmp_path, "drop", LETTER.id)

    assert result.output == "hub-control-00/6f96 was deleted.\n"
    assert holding.retried == []
    assert LETTER.id not in holding.letters


@pytest.mark.usefixtures("holding")
@pytest.mark.parametrize(("verb", "done"), [("retry", "retried"), ("drop", "dropped")])
def test_a_program_learns_what_was_done(tmp_path: Path, verb: str, done: str) -> None:
    result = run(tmp_path, verb, LETTER.id, "--json")

    assert json.loads(result.stdout) == {"id": LETTER.id, done: True}


@pytest.mark.usefixtures("holding")
@pytest.mark.parametrize("arguments", [["retry", "nothing"], ["drop", "nothing", "--json"]])
def test_an_id_that_is_not_there_exits_1(tmp_path: Path, arguments: list[str]) -> None:
    result = run(tmp_path, *arguments)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "There is no dead letter nothing: `func-host durable dead-letters list` lists them.\n"
    )


@pytest.mark.parametrize("storage", ["sqlite", "memory"])
def test_other_stores_have_none_and_are_not_opened(tmp_path: Path, storage: str) -> None:
    listed = run(tmp_path, "list", "--storage", storage)
    as_json = run(tmp_path, "list", "--storage", storage, "--json")
    retried = run(tmp_path, "retry", "x", "--storage", storage)

    assert (listed.exit_code, listed.output) == (0, "There are no dead letters.\n")
    assert (as_json.exit_code, as_json.output) == (0, "[]\n")
    assert retried.exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_an_id_is_asked_for(tmp_path: Path, verb: str) -> None:
    result = run(tmp_path, verb)

    assert result.exit_code == 2
    assert "Missing argument 'ID'" in result.stderr


def test_a_mistake_in_the_settings_exits_2(tmp_path: Path) -> None:
    result = run(tmp_path, "list", "--storage", "floppy")

    assert result.exit_code == 2
    assert "--storage: expected" in result.stderr
