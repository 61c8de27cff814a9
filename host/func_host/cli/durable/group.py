"""`func-host durable`: its commands."""

from __future__ import annotations

import click

from func_host.cli.durable.dead_letters.group import dead_letters
from func_host.cli.durable.entities.group import entities


@click.group()
def durable() -> None:
    """Look at the task hub of an app, and steer it."""


durable.add_command(dead_letters)
durable.add_command(entities)
