"""Notices when user code blocks the event loop, and says which function and which line.

The loop shows that it is alive by a heartbeat; a thread looks for it. When it is late, the stack of
the loop's thread is read: if a function of the app is on it, that one is named, while it still
blocks, so that an endless loop is named too. A late heartbeat without user code (a busy machine, a
suspended process) is nobody's fault and is not mentioned.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import threading
from typing import TYPE_CHECKING, Self

from func_host import log

if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

    from func_host.clock import Clock
    from func_host.indexing.functions import FunctionIndex

logger = logging.getLogger(__name__)

HEARTBEAT_S = 0.1
BLOCKED_AFTER_S = 0.25
"""How late a heartbeat may be before somebody is named; each warning more waits twice as long."""


class LoopWatchdog:
    """Watches the loop it is entered on; a context manager."""

    def __init__(self, index: FunctionIndex, clock: Clock) -> None:
        """Look for the functions of this index."""
        self._clock = clock
        self._names = _names_by_code(index)
        self._files = {code.co_filename for code in self._names}
        self._beat_at = 0.0
        self._stop = threading.Event()
        self._heartbeat: asyncio.TimerHandle | None = None
        self._loop_thread = 0

    def __enter__(self) -> Self:
        """Start watching."""
        self._loop_thread = threading.get_ident()
        self._beat()
        threading.Thread(target=self._watch, name="func-host-watchdog", daemon=True).start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self._stop.set()
        if self._heartbeat is not None:
            self._heartbeat.cancel()

    def _beat(self) -> None:
        self._beat_at = self._clock.monotonic()
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._beat)

    def _watch(self) -> None:
        warn_after_s = BLOCKED_AFTER_S
        while not self._stop.wait(HEARTBEAT_S):
            late_s = self._clock.monotonic() - self._beat_at - HEARTBEAT_S
            if late_s < BLOCKED_AFTER_S:
                warn_after_s = BLOCKED_AFTER_S
            elif late_s >= warn_after_s and self._warn(late_s):
                warn_after_s *= 2

    def _warn(self, late_s: float) -> bool:
        culprit = self._culprit()
        if culprit is not None:
            name, line = culprit
            logger.warning(
                "a function blocks the event loop, so every other one waits: let it await, or make "
                "it a plain def (those run in threads)",
                extra={
                    log.FUNCTION_NAME: name,
                    log.SOURCE_LINE: line,
                    log.DURATION_S: round(late_s, 1),
                },
            )
        return culprit is not None

    def _culprit(self) -> tuple[str, str] | None:
        """Give name and line of the function of the app that the loop's thread is in."""
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- the one way to see another thread
        line: str | None = None
        while frame is not None:
            if line is None and frame.f_code.co_filename in self._files:
                line = _line_of(frame)
            name = self._names.get(frame.f_code)
            if name is not None:
                return name, line or _line_of(frame)
            frame = frame.f_back
        return None


def _line_of(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _names_by_code(index: FunctionIndex) -> dict[CodeType, str]:
    names: dict[CodeType, str] = {}
    for function in index.functions:
        entity = function.entity_class
        methods = () if entity is None else entity.methods.values()
        for called in (function.function, *(each.function for each in methods)):
            code = getattr(inspect.unwrap(called), "__code__", None)
            if code is not None:
                names[code] = function.name
    return names
