"""The command `func-host`: a module per command, whose heavy imports wait until it runs."""

from func_host.cli.group import main

__all__ = ["main"]
