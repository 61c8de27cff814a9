"""Log levels by logger: from `logging.logLevel` of host.json, and from `--verbose`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from func_host.config import LogLevel

_HOST_LOGGERS: Final = ("func_host", "uvicorn")
_TALKATIVE: Final = ("azure.core.pipeline.policies.http_logging_policy", "azure.identity")
"""Loggers of the storage clients that tell of every request, a dozen lines each."""


def log_levels(categories: Mapping[str, LogLevel], *, verbose: bool) -> dict[str, int]:
    """Give the level of each logger that has one of its own; `""` is every other.

    Azure's categories `default` and `Function` are the loggers of user code, `Host` and what
    begins with `Host.` are this host's; any other category is the logger of that name. Without
    settings user code logs from INFO, the host and what it tells of its requests from WARNING.
    """
    host_level = logging.INFO if verbose else logging.WARNING
    levels = {"": logging.INFO, **dict.fromkeys(_TALKATIVE, logging.WARNING)}
    levels |= dict.fromkeys(_HOST_LOGGERS, host_level)
    for category, level in categories.items():
        lower = category.lower()
        if lower in {"default", "function"}:
            levels[""] = level.number
        elif lower == "host":
            levels |= dict.fromkeys(_HOST_LOGGERS, level.number)
        elif not lower.startswith(("host.", "function.")):
            levels[category] = level.number
    return levels
