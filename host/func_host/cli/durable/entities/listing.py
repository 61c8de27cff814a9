"""`func-host durable entities list`: which entities there are, and who holds them."""

from __future__ import annotations

from typing import Any

import click

from func_host.cli.durable.entities.asking import (
    Asked,
    ask_entities,
    check_filter,
    entity_options,
)
from func_host.cli.durable.output import print_json, print_table

_HEADINGS = ("NAME", "KEY", "LAST OPERATION", "LOCKED BY", "SINCE", "WAITING")


@click.command("list")
@click.option("--name", metavar="NAME", help="Only entities of this name.")
@click.option("--prefix", default="", metavar="TEXT", help="Only keys that begin so; needs --name.")
@click.option("--locked", is_flag=True, help="Only those that an orchestration has locked.")
@entity_options
def list_(asked: Asked, *, name: str | None, prefix: str, locked: bool) -> None:
    """List the entities with their locks."""
    check_filter(name, prefix)
    found = ask_entities(asked, lambda desk: desk.find(name, prefix, is_locked=locked))
    if asked.hub.as_json:
        print_json(found)
    elif found:
        print_table(_HEADINGS, [_row(one) for one in found])
    else:
        click.echo("There are no such entities.")


def _row(entity: dict[str, Any]) -> tuple[str, ...]:
    names = entity["entityId"]
    return (
        names["name"],
        names["key"],
        _to_the_second(entity["lastOperationTime"]),
        entity["lockedBy"] or "-",
        _to_the_second(entity["lockedSince"]),
        str(len(entity["waiters"])),
    )


def _to_the_second(moment: str | None) -> str:
    return "-" if moment is None else f"{moment[:19]}Z"
