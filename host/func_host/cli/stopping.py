"""Ctrl-C and SIGTERM: the first stops the host in order, the second quits at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

EXIT_QUIT: Final = 130
"""Exit code of a host that was told twice to stop."""

EXIT_OVERDUE: Final = 1
"""Exit code of a host that did not manage to stop in time."""

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGBREAK")  # the last one exists on Windows only


@contextlib.contextmanager
def stop_signals(on_first: Callable[[], None], *, deadline_s: float) -> Generator[asyncio.Event]:
    """Give an event that the first signal sets; later the process ends whatever still runs.

    What is stored is complete at any moment, so quitting loses no more than a crash does: nothing.

    Args:
        on_first: Called at the first signal, to tell the user.
        deadline_s: So long after the first signal the process ends, whatever still runs.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    overdue = threading.Timer(deadline_s, os._exit, [EXIT_OVERDUE])
    overdue.daemon = True

    # A handler of Python's own and not one of the loop's: it also runs while user code blocks the
    # loop, and it is there on Windows.
    def handle(_signal: int, _frame: FrameType | None) -> None:
        if overdue.ident is not None:  # it has been started: this is not the first
            os._exit(EXIT_QUIT)
        else:
            overdue.start()
            on_first()
            loop.call_soon_threadsafe(stop.set)

    known = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, handle) for number in known}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        overdue.cancel()


@contextlib.contextmanager
def leaving_threads_behind(after_s: float) -> Generator[None]:
    """End the process after so long, although threads that functions have begun still run.

    `asyncio.to_thread` takes threads that the loop waits for when it is closed, for minutes. The
    drain has waited for them already, and everything else is closed.
    """
    leave = threading.Timer(after_s, os._exit, [0])
    leave.daemon = True
    leave.start()
    try:
        yield
    finally:
        leave.cancel()
