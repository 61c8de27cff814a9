"""Tracebacks that begin where the user's code does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import func_host

if TYPE_CHECKING:
    from types import TracebackType

_OWN = str(Path(func_host.__file__).parent)


def user_frames_only(error: Exception) -> Exception:
    """Cut the host's frames off the start of a traceback; all stay where nothing else is there."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN):
        trace = trace.tb_next
    return error if trace is None else error.with_traceback(trace)
