"""The outside world that the activities talk to: pretended services, busy now and then.

SERVICE_TROUBLE_PERCENT says how often a call finds its service busy (default 10), and WITNESS_LOG
names a file that every call is written to before anything else happens.
"""

import json
import os
import secrets
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class ServiceBusyError(Exception):
    """The service cannot answer now; a later attempt may go well."""


def call_service(operation: str, request: "DataclassInstance") -> str:
    """Call a service: give the number under which it booked the request, another one every time."""
    _record(operation, request)
    if secrets.randbelow(100) < int(os.environ.get("SERVICE_TROUBLE_PERCENT", "10")):
        raise ServiceBusyError(f"{operation} is busy, try again later")
    return f"{operation}-{secrets.token_hex(6)}"


def _record(operation: str, request: "DataclassInstance") -> None:
    log = os.environ.get("WITNESS_LOG")
    if not log:
        return
    entry: dict[str, Any] = {
        "activity": operation,
        "value": asdict(request),
        "at_ns": time.time_ns(),
    }
    line = json.dumps(entry, default=datetime.isoformat, sort_keys=True).encode() + b"\n"
    with Path(log).open("ab", buffering=0) as file:  # one write, so that lines do not mix
        file.write(line)
