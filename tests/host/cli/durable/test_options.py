"""The options that all commands on a hub share."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from func_host.cli.durable.options import HubOptions, hub_options


@click.command()
@click.argument("word")
@hub_options
def say(options: HubOptions, word: str) -> None:
    """Say a word."""
    click.echo(f"{word} {options.app_dir} {options.storage} {options.as_json}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], HubOptions(app_dir=Path())),
        (
            ["--app-dir", "shop", "--storage", "azure", "--json"],
            HubOptions(app_dir=Path("shop"), storage="azure", as_json=True),
        ),
    ],
)
def test_they_come_as_one_value(arguments: list[str], told: HubOptions) -> None:
    result = CliRunner().invoke(say, ["hello", *arguments])

    assert result.output == f"hello {told.app_dir} {told.storage} {told.as_json}\n"


def test_the_help_tells_them() -> None:
    output = CliRunner().invoke(say, ["--help"]).output

    assert "Say a word." in output
    assert all(option in output for option in ("--app-dir DIR", "--storage STORE", "--json"))
