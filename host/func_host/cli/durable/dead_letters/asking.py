"""Asks the hub of an app about its dead letters."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from func_host.cli.durable.asking import ask_hub, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from func_host.cli.durable.options import HubOptions
    from func_host.durable.backend import Backend

T = TypeVar("T")


def ask_dead_letters(
    options: HubOptions, question: Callable[[Backend], Coroutine[Any, Any, T]]
) -> T:
    """Put a question about dead letters to the hub of an app.

    A store that never has any is not opened for that: it may be that of a host that runs.
    """

    async def ask(backend: Backend) -> T:
        async with AsyncExitStack() as stack:
            if backend.features.dead_letters:
                await stack.enter_async_context(backend)
            return await question(backend)

    return ask_hub(options, ask)


def fail_unknown(letter_id: str) -> NoReturn:
    """Say that there is no such dead letter, and end with exit code 1."""
    fail(f"There is no dead letter {letter_id}: `func-host durable dead-letters list` lists them.")
