"""Sets this checkout up and runs it: needs Python 3.11 or newer with pip, and nothing else.

    python3 run.py          count the words of the standard library, durably
    python3 run.py test     run every check and every test

What is needed is installed into `.venv` here, in the versions and with the hashes that the
constraints files name; nothing outside of this folder is changed. The second time is fast.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "func-host-environment.json"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

CONSTRAINTS = {"run": "constraints.txt", "test": "constraints-dev.txt"}


class Stamp(TypedDict):
    """What `.venv` is: the Python it was made with, and what has been installed completely."""

    python: str
    installed: list[str]


NOTHING = Stamp(python="", installed=[])


def main(arguments: list[str]) -> int:
    """Set up what the command needs, and run it there."""
    command, *rest = arguments or ["demo"]
    if sys.version_info < (3, 11):  # noqa: UP036 -- whoever has an older one shall read why
        return _fail(f"func-host needs Python 3.11 or newer, and this is {sys.version.split()[0]}.")
    if command == "demo":
        prepare("run")
        return _become([str(PYTHON), str(ROOT / "tools" / "demo.py"), *rest])
    if command == "test":
        prepare("test")
        return _become([str(PYTHON), str(ROOT / "tools" / "checks.py"), *rest])
    return _fail(__doc__ or "")


def prepare(kind: str) -> None:
    """Make `.venv` hold what the constraints file of this kind names, and this checkout."""
    wanted = _digest(kind)
    done = _read_stamp()
    is_made = done["python"] == _python_identity() and PYTHON.exists()
    if is_made and wanted in done["installed"]:
        return
    if not is_made:
        _make_environment()
        done = Stamp(python=_python_identity(), installed=[])
        _write_stamp(done)
    constraints = ROOT / CONSTRAINTS[kind]
    print(f"Installing what {constraints.name} names into {ENVIRONMENT} (once) ...", flush=True)
    _pip("install", "--require-hashes", "--no-deps", "--requirement", str(constraints))
    _pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    # The checks need all that a run needs, so whoever has them is ready for both.
    kinds = ["run", "test"] if kind == "test" else ["run"]
    _write_stamp(Stamp(python=done["python"], installed=[_digest(each) for each in kinds]))


def _make_environment() -> None:
    """Make an environment without pip in it: Debian's Python has no `ensurepip` of its own.

    The pip of the Python that runs this installs into it from outside.
    """
    if ENVIRONMENT.exists() and not STAMP.exists() and any(ENVIRONMENT.iterdir()):
        sys.exit(_fail(f"{ENVIRONMENT} was not made by this command: move it away and try again."))
    ENVIRONMENT.mkdir(exist_ok=True)
    _write_stamp(NOTHING)
    _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(ENVIRONMENT)])


def _pip(*arguments: str) -> None:
    options = ["--disable-pip-version-check", "--no-input", "--quiet", "--python", str(PYTHON)]
    _run([sys.executable, "-m", "pip", *options, *arguments])


def _run(command: list[str]) -> None:
    # A user's own pip settings must not send packages elsewhere or refuse the environment.
    settings = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__"):
        settings.pop(name, None)
    if subprocess.run(command, cwd=ROOT, env=settings, check=False).returncode:  # noqa: S603
        shown = subprocess.list2cmdline(command)
        hint = "does this Python have pip and venv, and is there a network?"
        sys.exit(_fail(f"This did not work: {shown}\n({hint})"))


def _become(command: list[str]) -> int:
    """Run the command instead of this one, so that signals and the exit code are its own."""
    if os.name == "nt":
        return subprocess.run(command, check=False).returncode  # noqa: S603
    os.execv(command[0], command)  # noqa: S606
    return 0


def _digest(kind: str) -> str:
    """Name what an environment of this kind is made of."""
    names = (CONSTRAINTS[kind], "pyproject.toml", "run.py")
    content = b"\0".join((ROOT / name).read_bytes() for name in names)
    return hashlib.sha256(content).hexdigest()


def _python_identity() -> str:
    """Name the Python and the place: an environment works with one Python, where it was made."""
    return f"{sys.implementation.name} {sys.version} {sys.base_prefix} {ROOT}"


def _read_stamp() -> Stamp:
    try:
        stamp: Stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return NOTHING
    return stamp


def _write_stamp(stamp: Stamp) -> None:
    STAMP.write_text(json.dumps(stamp), encoding="utf-8")


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
