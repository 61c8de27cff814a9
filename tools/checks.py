"""Every check and every test, on the Python that runs this; the tests come last.

What is said behind `python3 run.py test` goes to pytest: `python3 run.py test tests/host`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))

CHECKS = {
    "ruff check": ["ruff", "check"],
    "ruff format": ["ruff", "format", "--check"],
    "mypy": ["mypy"],
    "pyright": ["pyright", "--pythonpath", sys.executable],
    "pyright --verifytypes": [
        "pyright",
        "--pythonpath",
        sys.executable,
        "--verifytypes",
        "func_bindings",
        "--ignoreexternal",
    ],
    "import contracts": ["lint-imports", "--no-cache"],
}


def main(pytest_arguments: list[str]) -> int:
    """Run all of them, tell which failed, and give an exit code that says whether any did."""
    failed = [name for name, command in CHECKS.items() if not _passes(name, command)]
    for name in failed:
        print(f"FAILED: {name}", flush=True)
    tests = _run([sys.executable, "-m", "pytest", *pytest_arguments])
    return tests.returncode or (1 if failed else 0)


def _passes(name: str, command: list[str]) -> bool:
    program, *arguments = command
    print(f"{name} ...", flush=True)
    began = time.monotonic()
    result = _run([str(SCRIPTS / program), *arguments], quiet=True)
    if result.returncode:
        print(result.stdout, flush=True)
    print(f"{name}: {'failed' if result.returncode else 'ok'} ({time.monotonic() - began:.1f} s)")
    return result.returncode == 0


def _run(command: list[str], *, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout; a quiet one keeps its output to itself."""
    path = os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", "")])
    settings = {**os.environ, "PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    return subprocess.run(  # noqa: S603 -- the commands above
        command,
        cwd=ROOT,
        env=settings,
        check=False,
        text=True,
        encoding="utf-8",
        errors="replace",
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
