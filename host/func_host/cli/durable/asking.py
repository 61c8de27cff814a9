"""Opens the task hub of an app for one command, and tells what goes wrong in a line."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from func_host.cli.durable.options import HubOptions
    from func_host.durable.backend import Backend

T = TypeVar("T")

EXIT_FAULT: Final = 1
"""The hub cannot be asked, or what was named is not there."""


def ask_hub(
    options: HubOptions,
    question: Callable[[Backend], Coroutine[Any, Any, T]],
    *,
    in_use_hint: str = "",
) -> T:
    """Put a question to the hub of an app, which the question itself opens.

    A hub that cannot be asked ends the command with exit code 1.

    Args:
        options: Which app, in which store.
        question: What to ask.
        in_use_hint: What else to do where a host that runs has the store for itself.

    Raises:
        AppError: There is a mistake in the settings.
    """
    from func_host.config import load_configuration  # noqa: PLC0415 -- --help does not wait for it
    from func_host.durable.backend import BackendError, StoreInUseError  # noqa: PLC0415
    from func_host.host import open_client_backend  # noqa: PLC0415

    configuration = load_configuration(options.app_dir, storage=options.storage)
    backend = open_client_backend(configuration)
    try:
        return asyncio.run(question(backend))
    except StoreInUseError as error:
        fail(f"{error}{in_use_hint}")
    except BackendError as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Say what went wrong, and end with exit code 1."""
    click.echo(message, err=True)
    sys.exit(EXIT_FAULT)
