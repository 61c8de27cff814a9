"""Reads the commands of a sample's README, and does what they say without a shell.

A `sh` block holds commands, one a line; a `json` block is what the command before it answers. The
commands are few: `func-host start`, `curl`, and `echo TEXT > FILE`. What only reads is asked again
for a moment: a signal has been stored when it is answered, and is done soon after.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.e2e.host_process import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

_BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_START = "func-host start "
_SOON_S = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and the JSON it answers where the README says so."""

    command: str
    expected: Any = None


@dataclass(frozen=True, slots=True)
class Readme:
    """The app that a README starts, and what it does then."""

    app: str
    steps: tuple[Step, ...]


def read_readme(path: Path) -> Readme:
    """Read a README; a block that is neither commands nor an answer is an error."""
    text = path.read_text()
    blocks = _BLOCK.findall(text)
    assert len(blocks) == text.count("```") // 2, f"{path}: a block is neither sh nor json"
    steps: list[Step] = []
    for language, body in blocks:
        if language == "json":
            steps[-1] = Step(steps[-1].command, json.loads(body))
        else:
            steps += [Step(line) for line in body.splitlines()]
    start = steps.pop(0).command
    assert start.startswith(_START), f"{path}: the first command is not {_START}"
    return Readme(start.removeprefix(_START), tuple(steps))


def run_step(step: Step, client: httpx.Client, folder: Path) -> None:
    """Do one step in this folder and check its answer."""
    words = shlex.split(step.command)
    match words:
        case ["echo", text, ">", file]:
            (folder / file).write_text(text + "\n")
        case ["curl", *arguments]:
            answer = _curl(arguments, client)
            if answer.request.method == "GET" and not _is_right(answer, step):
                with suppress(TimeoutError):
                    wait_until(lambda: _is_right(_curl(arguments, client), step), "", _SOON_S)
                answer = _curl(arguments, client)
            assert answer.is_success, f"{step.command}: {answer.status_code} {answer.text}"
            if step.expected is not None:
                assert answer.json() == step.expected, step.command
        case _:
            raise AssertionError(f"the test does not know how to do: {step.command}")


def _is_right(answer: httpx.Response, step: Step) -> bool:
    return answer.is_success and (step.expected is None or answer.json() == step.expected)


class _CurlOptions(argparse.Namespace):
    method: str | None
    headers: list[str]
    data: str | None
    url: str


def _curl(arguments: list[str], client: httpx.Client) -> httpx.Response:
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="data")
    parser.add_argument("url")
    options = parser.parse_args(arguments, _CurlOptions())
    url = urlsplit(options.url)
    assert url.netloc == "localhost:7071", f"{options.url} is not where a host listens"
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if options.data else {}
    for header in options.headers:
        name, _, value = header.partition(": ")
        headers[name] = value
    method = options.method or ("POST" if options.data else "GET")
    target = url.path + (f"?{url.query}" if url.query else "")
    return client.request(method, target, content=options.data, headers=headers)
