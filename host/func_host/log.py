"""The names of log fields, and the two forms a log record is written in: for people and as JSON.

A message is constant and its facts are fields: `logger.info("ended", extra={FUNCTION_NAME: name})`.
What belongs to an invocation is bound once with `bind_log_fields` and goes with every record
written inside, the user's own included. Secrets are struck out of everything that is written.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

FUNCTION_NAME: Final = "function_name"
INSTANCE_ID: Final = "instance_id"
STORE: Final = "store"
TASK_HUB: Final = "task_hub"
PARTITION: Final = "partition"
WORKER_ID: Final = "worker_id"
DELAY_S: Final = "delay_s"
DURATION_S: Final = "duration_s"
SOURCE_LINE: Final = "source_line"
METHOD: Final = "method"
PATH: Final = "path"
REASON: Final = "reason"
REQUESTS: Final = "requests"
OPERATIONS: Final = "operations"

_STANDARD_ATTRIBUTES: Final = frozenset(
    (*logging.makeLogRecord({}).__dict__, "message", "asctime", "color_message")
)

_SECRETS: Final = re.compile(
    r"(?P<name>[?&]code=|[?&]sig=|x-functions-key['\"]?\s*[:=]\s*['\"]?|AccountKey="
    r"|SharedAccessSignature=|Authorization['\"]?\s*[:=]\s*['\"]?(?:Bearer |Basic )?)"
    r"(?P<value>[^&\s;'\"<>]+)",
    re.IGNORECASE,
)

_no_fields: Mapping[str, object] = {}
_bound_fields: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default=_no_fields)


@contextmanager
def bind_log_fields(**fields: object) -> Generator[None]:
    """Add the fields to every record that is written inside, in this task and its threads."""
    token = _bound_fields.set({**_bound_fields.get(), **fields})
    try:
        yield
    finally:
        _bound_fields.reset(token)


def redact(text: str) -> str:
    """Strike out keys and signatures: `?code=…`, `x-functions-key`, `AccountKey=…`, `sig=…`."""
    return _SECRETS.sub(lambda match: f"{match['name']}***", text)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Give what is bound here and now and what the record itself says in `extra`."""
    own = {key: value for key, value in vars(record).items() if key not in _STANDARD_ATTRIBUTES}
    return {**_bound_fields.get(), **own}


class JsonFormatter(logging.Formatter):
    """One JSON object per record on one line: timestamp, level, logger, message and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; a value that JSON has no form for as its text."""
        written: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        written |= {key: value for key, value in fields_of(record).items() if key not in written}
        if record.exc_info:
            written["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(written, ensure_ascii=False, default=str))


class PlainFormatter(logging.Formatter):
    """A line for people: time, level where it matters, message, fields; coloured on a terminal."""

    _COLOURS: Final = {
        logging.DEBUG: "2",
        logging.WARNING: "33",
        logging.ERROR: "31",
        logging.CRITICAL: "1;31",
    }

    def __init__(self, *, coloured: bool) -> None:
        """Write with or without the terminal's colours."""
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """Write the record, its traceback below it."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        line = f"[{moment:%Y-%m-%d %H:%M:%S}.{int(record.msecs):03d}] "
        if record.levelno != logging.INFO:
            line += f"{record.levelname}: "
        line += record.getMessage()
        fields = fields_of(record)
        if fields:
            line += " (" + ", ".join(f"{key}={value}" for key, value in fields.items()) + ")"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        colour = self._COLOURS.get(record.levelno)
        text = redact(line)
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured and colour else text


def configure_logging(
    levels: Mapping[str, int],
    *,
    json_logs: bool = False,
    coloured: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Send every record to one stream (stderr), at the level of the nearest logger named.

    Args:
        levels: Level by logger name; `""` is every logger that none other is named for.
        json_logs: One JSON object per line instead of lines for people.
        coloured: Colour the lines for people.
        stream: Where to, if not to stderr.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if json_logs else PlainFormatter(coloured=coloured))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)


def is_coloured(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether to colour: a terminal that can, unless `NO_COLOR` is set to anything."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return stream.isatty() and (os.name != "nt" or "WT_SESSION" in environment)
