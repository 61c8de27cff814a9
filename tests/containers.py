"""What the Dockerfile, .dockerignore and azurite-compose.yml say, read for tests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.e2e.host_process import environment, func_host, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

ROOT: Final = Path(__file__).parent.parent
IMAGE_PORT: Final = "7071"
_DEFAULT: Final = re.compile(r"\$\{\w+:-(?P<default>[^}]*)\}")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The command; fails where it is not in exec form."""
        words: list[str] = json.loads(self.text)
        return words


def dockerfile() -> list[Instruction]:
    """Give the instructions, their continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()]


def instructions(name: str) -> list[Instruction]:
    """Give those of one name."""
    return [each for each in dockerfile() if each.name == name]


def health_check_of_image() -> list[str]:
    """Give the command of the image's HEALTHCHECK."""
    (check,) = instructions("HEALTHCHECK")
    return Instruction(*check.text[check.text.index("CMD ") :].split(maxsplit=1)).words


def copied_into(folder: str) -> list[str]:
    """Give what is copied while the folder is the working one."""
    sources: list[str] = []
    where = ""
    for each in dockerfile():
        if each.name == "WORKDIR":
            where = each.text
        elif each.name == "COPY" and where == folder:
            sources += each.text.split()[:-1]
    return sources


def is_sent(path: str) -> bool:
    """Tell whether .dockerignore lets a file or folder into the build; the last line wins."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    is_sent = True
    for line in lines:
        if line and not line.startswith("#") and _is_named(path, line.removeprefix("!")):
            is_sent = line.startswith("!")
    return is_sent


def _is_named(path: str, pattern: str) -> bool:
    """Tell whether the pattern names the path or a folder that holds it."""
    anywhere = pattern.startswith("**/")
    return any(
        fnmatchcase(part.name, pattern.removeprefix("**/"))
        if anywhere
        else len(part.parts) == 1 and fnmatchcase(part.name, pattern)
        for part in (PurePosixPath(path), *PurePosixPath(path).parents)
    )


def services() -> dict[str, Any]:
    """Give the services of the compose file by name."""
    text = (ROOT / "azurite-compose.yml").read_text(encoding="utf-8")
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


def environment_of(service: str) -> dict[str, str]:
    """Give the variables of a service, where nobody has set those that they are taken from."""
    variables: dict[str, str] = services()[service]["environment"]
    return {name: _DEFAULT.sub(r"\g<default>", value) for name, value in variables.items()}


def replaced(words: list[str], replacements: dict[str, str]) -> list[str]:
    """Give a command with parts of its words replaced; each of them must be there."""
    for old, new in replacements.items():
        assert any(old in word for word in words), f"{old} is not in {words}"
        words = [word.replace(old, new) for word in words]
    return words


@contextmanager
def running_image(
    app: Path, port: int, settings: Mapping[str, str]
) -> Generator[subprocess.Popen[str]]:
    """Run the image's command on what is copied into it, from when it is healthy."""
    app.mkdir()
    for source in copied_into("/app"):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, app / source)
        else:
            shutil.copy(ROOT / source, app)
    (command,) = instructions("CMD")
    arguments = replaced(command.words, {"/app": str(app), IMAGE_PORT: str(port)})
    with subprocess.Popen(  # noqa: S603 -- the command of our own Dockerfile
        func_host(*arguments),
        cwd=app,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as host:
        try:
            wait_until(lambda: is_image_healthy(port) or host.poll() is not None, "it is healthy")
            assert host.poll() is None, host.communicate()
            yield host
        finally:
            host.kill()


def is_image_healthy(port: int) -> bool:
    """Run the image's health check."""
    check = replaced(health_check_of_image(), {IMAGE_PORT: str(port)})
    assert check[0] == "python"
    command = [sys.executable, *check[1:]]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603
