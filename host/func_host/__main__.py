"""`python -m func_host` is `func-host`."""

import os
import sys

if __name__ == "__main__":
    # `-m` puts the working directory first: an app's queue.py there is not Python's.
    if not sys.flags.safe_path and sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109 -- pathlib imports what the app might shadow
        del sys.path[0]

    from func_host.cli.group import main

    main(prog_name="func-host")
