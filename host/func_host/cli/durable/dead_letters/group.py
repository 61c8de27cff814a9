"""`func-host durable dead-letters`: its commands."""

from __future__ import annotations

import click

from func_host.cli.durable.dead_letters.drop import drop
from func_host.cli.durable.dead_letters.listing import list_
from func_host.cli.durable.dead_letters.retry import retry


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that were set aside because handling them kept failing."""


dead_letters.add_command(list_)
dead_letters.add_command(retry)
dead_letters.add_command(drop)
