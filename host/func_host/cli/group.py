"""`func-host` itself: its options, its commands, and the exit code of what goes wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from func_host import __version__
from func_host.cli.durable.group import durable
from func_host.cli.new import new
from func_host.cli.start import start
from func_host.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_INTERRUPTED: Final = 130
"""Ctrl-C before there is anything to stop in order."""

EXIT_APP_ERROR: Final = 2
"""A mistake in the app, its settings or the command line: correcting it is up to its author."""


class CommandGroup(click.Group):
    """A group that tells a mistake in lines of its own, without a traceback."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Any:
        """Run a command; a mistake in the app ends with exit code 2."""
        try:
            return super().main(args, *others, **options)
        except AppError as error:
            click.echo(str(error), err=True)
            sys.exit(EXIT_APP_ERROR)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C while it loads the app ends it without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(EXIT_INTERRUPTED)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """Run serverless functions and durable orchestrations."""


main.add_command(start)
main.add_command(new)
main.add_command(durable)
