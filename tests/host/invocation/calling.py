"""Functions as indexing gives them, for tests that call them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from func_bindings.metadata import ActivityTrigger, SourceLocation
from func_host.indexing.functions import IndexedFunction

if TYPE_CHECKING:
    from collections.abc import Callable


def indexed(function: Callable[..., Any]) -> IndexedFunction:
    """Give a function as an activity of an app."""
    return IndexedFunction(
        name=getattr(function, "__name__", "function"),
        function=function,
        trigger=ActivityTrigger(parameter="value"),
        client_inputs=(),
        location=SourceLocation(__file__, 1),
        app="app",
        app_dir=Path(),
        is_async=inspect.iscoroutinefunction(function),
    )
