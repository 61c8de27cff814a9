"""Writes the constraints files anew: `uvx --from uv python tools/lock.py`, or with `uv` installed.

Every version for every platform and every Python from 3.11, with hashes and without the address of
a registry. The checks get the same versions that a run gets.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = [
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-annotate",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--upgrade",
    "--group=build",
]


def main() -> int:
    """Resolve what a run needs, then the same and what the checks need."""
    for target, more in {
        "constraints.txt": [],
        "constraints-dev.txt": ["--group=dev", "--constraints=constraints.txt"],
    }.items():
        command = ["uv", "pip", "compile", *OPTIONS, *more, "pyproject.toml", "-o", target]
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 -- uv of whoever runs this
    return 0


if __name__ == "__main__":
    sys.exit(main())
