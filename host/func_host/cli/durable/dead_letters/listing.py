"""`func-host durable dead-letters list`: show the messages that were set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from func_host.cli.durable.dead_letters.asking import ask_dead_letters
from func_host.cli.durable.options import HubOptions, hub_options
from func_host.cli.durable.output import moment_text, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_bindings.durable.dead_letters import DeadLetter

_HEADINGS = ("ID", "INSTANCE", "ATTEMPTS", "SINCE", "REASON")


@click.command("list")
@hub_options
def list_(options: HubOptions) -> None:
    """List the dead letters, oldest first; --json also shows what they say."""
    letters = ask_dead_letters(options, lambda backend: backend.dead_letters())
    if options.as_json:
        print_json([_members(letter) for letter in letters])
    elif letters:
        print_table(_HEADINGS, [_row(letter) for letter in letters])
        _tell_of_more(letters)
    else:
        click.echo("There are no dead letters.")


def _members(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "queue": letter.queue,
        "instanceId": letter.instance_id,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "since": moment_text(letter.since),
        "text": letter.text,
    }


def _row(letter: DeadLetter) -> tuple[str, ...]:
    since = moment_text(letter.since)
    return letter.id, letter.instance_id or "-", str(letter.attempts), since, letter.reason


def _tell_of_more(letters: Sequence[DeadLetter]) -> None:
    from func_host.durable.backend import DEAD_LETTERS_LISTED_MAX  # noqa: PLC0415 -- --help does not wait

    if len(letters) >= DEAD_LETTERS_LISTED_MAX:
        click.echo("There may be more: they are listed when these are gone.")
