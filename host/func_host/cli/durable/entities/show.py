"""`func-host durable entities show ID`: one entity with its state and its lock."""

from __future__ import annotations

import json

import click

from func_host.cli.durable.asking import fail
from func_host.cli.durable.entities.asking import Asked, ask_entities, entity_of, entity_options
from func_host.cli.durable.output import print_json


@click.command()
@click.argument("entity_id", metavar="NAME@KEY")
@entity_options
def show(asked: Asked, *, entity_id: str) -> None:
    """Show the entity NAME@KEY: its state, who holds its lock since when, and who waits for it."""
    entity = entity_of(entity_id)
    found = ask_entities(asked, lambda desk: desk.show(entity))
    if found is None:
        fail(f"There is no entity {entity}: `func-host durable entities list` lists them.")
    if asked.hub.as_json:
        print_json(found)
        return
    click.echo(f"state:           {json.dumps(found['state']) if found['exists'] else '-'}")
    click.echo(f"last operation:  {found['lastOperationTime']}")
    click.echo(f"locked by:       {found['lockedBy'] or '-'}")
    click.echo(f"locked since:    {found['lockedSince'] or '-'}")
    for waiter in found["waiters"]:
        what = "a lock" if waiter["operation"] is None else f"operation {waiter['operation']!r}"
        click.echo(f"waiting:         {waiter['instanceId'] or 'a client'}, for {what}")
    if found["parked"]:
        click.echo(f"parked:          {found['parked']}")
