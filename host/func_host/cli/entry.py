"""How `python -m func_host` becomes `func-host`."""

from __future__ import annotations

import os
import sys


def run_as_module() -> None:
    """Run the command line; `-m` must not let an app's `queue.py` stand for Python's.

    It puts the working directory first in the path, which may be the folder of an app.
    """
    if not sys.flags.safe_path and sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109 -- pathlib imports what the app might shadow
        del sys.path[0]

    from func_host.cli.group import main  # noqa: PLC0415 -- not before the path is right

    main(prog_name="func-host")
