"""`func-host durable entities clean`: delete empty entities, free orphaned locks."""

from __future__ import annotations

import click

from func_host.cli.durable.entities.asking import Asked, ask_entities, entity_options
from func_host.cli.durable.output import print_json


@click.command()
@entity_options
def clean(asked: Asked) -> None:
    """Delete entities that have no state, and free locks whose owner is gone."""
    done = ask_entities(asked, lambda desk: desk.clean())
    if asked.hub.as_json:
        print_json(done)
    else:
        click.echo(
            f"{done['emptyEntitiesRemoved']} empty entities were deleted, "
            f"{done['orphanedLocksReleased']} orphaned locks released."
        )
