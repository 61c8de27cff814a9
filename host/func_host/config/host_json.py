"""`host.json` as values: Azure's schema, and `funcHost` for what only this host has.

The defaults stand in the classes. Which keys Azure knows and this host has no use for is said in
`known_keys`; any other key is reported with its path.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from func_host.config.document import ConfigError
from func_host.config.durable_task import DurableTaskSettings, read_durable_task
from func_host.config.known_keys import UNUSED_KEYS
from func_host.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from func_host.config.app_settings import AppSettings
    from func_host.config.document import Document

SCHEMA_VERSION: Final = "2.0"
BODY_SIZE_LIMIT: Final = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"

_SECOND: Final = timedelta(seconds=1)
_RESULT_DELAY_MS_MAX: Final = 200


class LogLevel(Enum):
    """The levels of .NET, as Python's numbers."""

    TRACE = "Trace"
    DEBUG = "Debug"
    INFORMATION = "Information"
    WARNING = "Warning"
    ERROR = "Error"
    CRITICAL = "Critical"
    NONE = "None"

    @property
    def number(self) -> int:
        """What `logging` calls it."""
        return _NUMBERS[self]


_NUMBERS: Final = {
    LogLevel.TRACE: logging.DEBUG,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFORMATION: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.CRITICAL: logging.CRITICAL,
    LogLevel.NONE: logging.CRITICAL + 10,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """`extensions.http`.

    Args:
        route_prefix: First part of the URL of every function; empty for none.
        request_body_bytes_max: A longer body is answered 413; Azure's app setting
            `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`.
    """

    route_prefix: str = "api"
    request_body_bytes_max: int = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """`funcHost`: limits of the part that runs functions, which Azure has no setting for.

    Args:
        session_cache_size: How many orchestrations stay in memory between their steps; evicting
            one costs a replay.
        result_commit_delay: Longest time for which the result of an activity may wait for the
            commit that makes it durable; 0 to 200 ms.
        function_threads: Threads that run HTTP functions that are not async; activities have as
            many of their own as may run at a time.
        drain_timeout: How long a stop waits for what runs.
    """

    session_cache_size: int = 1_000
    result_commit_delay: timedelta = timedelta(milliseconds=10)
    function_threads: int = field(default_factory=lambda: 10 * (os.cpu_count() or 1))
    drain_timeout: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostJson:
    """All of `host.json`.

    Args:
        function_timeout: A function that runs longer fails; None for no limit.
        functions: Load only these functions; None for all.
        log_levels: Level by category, as in `logging.logLevel`.
        app_patterns: Folders of apps (`funcHost.apps`), as patterns below the folder of host.json;
            None where that folder is the app.
    """

    function_timeout: timedelta | None = timedelta(minutes=30)
    functions: tuple[str, ...] | None = None
    log_levels: Mapping[str, LogLevel] = field(default_factory=lambda: MappingProxyType({}))
    http: HttpSettings = HttpSettings()
    durable_task: DurableTaskSettings = field(default_factory=DurableTaskSettings)
    worker: WorkerLimits = field(default_factory=WorkerLimits)
    app_patterns: tuple[str, ...] | None = None


def read_host_json(document: Document, settings: AppSettings) -> tuple[HostJson, list[str]]:
    """Read the settings of a parsed `host.json`, and a line for each key that has no effect.

    Raises:
        ConfigError: A value cannot be used.
    """
    root = Section(document, document.values)
    version = root.string("version")
    if version != SCHEMA_VERSION and document.text:
        found = "missing" if version is None else f'"{version}"'
        raise root.error("version", f'must be "{SCHEMA_VERSION}", and it is {found}.')
    extensions = root.section("extensions")
    func_host = root.section("funcHost")
    host_json = HostJson(
        function_timeout=root.limit("functionTimeout", timedelta(minutes=30), at_least=_SECOND),
        functions=root.strings("functions"),
        log_levels=_read_log_levels(root.section("logging")),
        http=_read_http(extensions.section("http"), settings),
        durable_task=read_durable_task(extensions.section("durableTask"), settings),
        worker=_read_worker_limits(func_host),
        app_patterns=_read_app_patterns(func_host),
    )
    return host_json, root.unknown(UNUSED_KEYS)


def _read_log_levels(section: Section) -> Mapping[str, LogLevel]:
    known = {level.value.lower(): level for level in LogLevel}
    levels: dict[str, LogLevel] = {}
    for category, name in section.texts("logLevel").items():
        level = known.get(name.strip().lower())
        if level is None:
            names = ", ".join(level.value for level in LogLevel)
            raise section.error(f"logLevel.{category}", f'expected one of {names}, not "{name}".')
        levels[category] = level
    return MappingProxyType(levels)


def _read_http(section: Section, settings: AppSettings) -> HttpSettings:
    defaults = HttpSettings()
    prefix = section.string("routePrefix", defaults.route_prefix)
    return HttpSettings(
        route_prefix=(prefix or "").strip("/"),
        request_body_bytes_max=_read_body_limit(settings, defaults.request_body_bytes_max),
    )


def _read_body_limit(settings: AppSettings, default: int) -> int:
    written = settings.get(BODY_SIZE_LIMIT)
    if written is None:
        return default
    if not written.isdecimal():
        raise ConfigError(
            f'app setting {BODY_SIZE_LIMIT}: expected a number of bytes, not "{written}".'
        )
    return int(written)


def _read_worker_limits(section: Section) -> WorkerLimits:
    defaults = WorkerLimits()
    millisecond = timedelta(milliseconds=1)
    delay_ms = section.integer(
        "resultCommitDelayInMilliseconds",
        defaults.result_commit_delay // millisecond,
        at_least=0,
        at_most=_RESULT_DELAY_MS_MAX,
    )
    return WorkerLimits(
        session_cache_size=section.integer(
            "sessionCacheSize", defaults.session_cache_size, at_least=0
        ),
        result_commit_delay=delay_ms * millisecond,
        function_threads=section.integer(
            "functionThreads", defaults.function_threads, at_least=1, at_most=10_000
        ),
        drain_timeout=section.duration(
            "drainTimeout", defaults.drain_timeout, at_least=0 * _SECOND
        ),
    )


def _read_app_patterns(section: Section) -> tuple[str, ...] | None:
    patterns = section.strings("apps")
    if patterns is not None and not patterns:
        raise section.error("apps", 'expected at least one folder, as in ["samples/*"].')
    return patterns
