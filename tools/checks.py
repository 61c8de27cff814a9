"""Every check and every test, on the Python that runs this; the tests come last.

What is said behind `python3 run.py test` goes to pytest: `python3 run.py test tests/host`. With
nothing said all tests run, those on the emulator of Azure Storage last. The emulator stops
answering for up to a minute now and then, so what fails there is tried once more; both are told.
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

TESTS_FAILED = 1
"""Pytest's exit code where tests ran and some failed."""

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
    code = _pytest(*pytest_arguments) if pytest_arguments else _all_tests()
    return code or (1 if failed else 0)


def _all_tests() -> int:
    code = _pytest("-m", "not azurite")
    on_emulator = _pytest("-m", "azurite")
    if on_emulator == TESTS_FAILED:
        print("Once more, what failed on the emulator:", flush=True)
        again = ["--last-failed", "--last-failed-no-failures", "none"]
        on_emulator = _pytest("-m", "azurite", *again)
    return code or on_emulator


def _pytest(*arguments: str) -> int:
    return _run([sys.executable, "-m", "pytest", *arguments]).returncode


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
