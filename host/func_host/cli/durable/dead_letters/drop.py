"""`func-host durable dead-letters drop ID`: delete a message for good."""

from __future__ import annotations

import click

from func_host.cli.durable.dead_letters.asking import ask_dead_letters, fail_unknown
from func_host.cli.durable.options import HubOptions, hub_options
from func_host.cli.durable.output import print_json


@click.command()
@click.argument("letter_id", metavar="ID")
@hub_options
def drop(options: HubOptions, letter_id: str) -> None:
    """Delete the dead letter ID for good."""
    if not ask_dead_letters(options, lambda backend: backend.drop_dead_letter(letter_id)):
        fail_unknown(letter_id)
    if options.as_json:
        print_json({"id": letter_id, "dropped": True})
    else:
        click.echo(f"{letter_id} was deleted.")
