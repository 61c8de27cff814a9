"""`func-host durable entities unlock ID`: take a lock from an orchestration."""

from __future__ import annotations

import click

from func_host.cli.durable.asking import fail
from func_host.cli.durable.entities.asking import Asked, ask_entities, entity_of, entity_options
from func_host.cli.durable.output import print_json


@click.command()
@click.argument("entity_id", metavar="NAME@KEY")
@entity_options
def unlock(asked: Asked, *, entity_id: str) -> None:
    """Take the lock of the entity NAME@KEY from its owner, who is not told.

    Others go on at once, in the middle of what the owner does: look first who it is (`show`).
    """
    entity = entity_of(entity_id)
    if not ask_entities(asked, lambda desk: desk.unlock(entity)):
        fail(f"The entity {entity} is not locked.")
    if asked.hub.as_json:
        print_json({"entityId": {"name": entity.name, "key": entity.key}, "unlocked": True})
    else:
        click.echo(f"{entity} is unlocked as soon as a host takes note of it.")
