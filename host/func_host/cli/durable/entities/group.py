"""`func-host durable entities`: its commands."""

from __future__ import annotations

import click

from func_host.cli.durable.entities.clean import clean
from func_host.cli.durable.entities.listing import list_
from func_host.cli.durable.entities.show import show
from func_host.cli.durable.entities.unlock import unlock


@click.group()
def entities() -> None:
    """Entities: who holds their locks, and the repairs that they may need."""


entities.add_command(list_)
entities.add_command(show)
entities.add_command(unlock)
entities.add_command(clean)
