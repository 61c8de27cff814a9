import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from func_host import __version__
from func_host.cli.group import main


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(main, ["--version"])

    assert result.output.strip() == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_help_names_every_command(option: str) -> None:
    result = CliRunner().invoke(main, [option])

    assert result.exit_code == 0
    assert "start" in result.output
    assert "new" in result.output
    assert "durable" in result.output


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["strat"], "start"),
        (["start", "--prot", "1"], "--port"),
        (["start", "--jsonlogs"], "--json-logs"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_likely_one(
    arguments: list[str], suggestion: str
) -> None:
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert suggestion in result.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_is_a_number(port: str) -> None:
    assert CliRunner().invoke(main, ["start", "--port", port]).exit_code == 2


def test_a_mistake_in_the_app_is_its_text_alone_and_exits_2(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "1.0"}')

    result = CliRunner().invoke(main, ["start", str(tmp_path)])

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        f'{tmp_path / "host.json"}:1: version: must be "2.0", and it is "1.0".\n'
    )


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["start", str(tmp_path / "missing")])

    assert result.exit_code == 2
    assert "missing does not exist: give the folder of a function app" in result.stderr
