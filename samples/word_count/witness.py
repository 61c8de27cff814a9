"""Writes what an activity was asked to do into the file that the setting WITNESS_LOG names, if any.

Not needed to count words: with it one can see that a host that was killed repeats nothing that was
already recorded.
"""

import json
import os
import time
from pathlib import Path


def record(activity: str, value: str | None) -> None:
    """Append one line; a single write, so that lines of several threads do not mix."""
    log = os.environ.get("WITNESS_LOG")
    if not log:
        return
    entry = {"activity": activity, "value": value, "at_ns": time.time_ns()}
    with Path(log).open("ab", buffering=0) as file:
        file.write(json.dumps(entry).encode() + b"\n")
