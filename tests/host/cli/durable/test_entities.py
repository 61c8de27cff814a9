"""`func-host durable entities`: straight at a hub, and at a host that runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from func_bindings.durable.entities import EntityId
from func_host.cli.group import main
from func_host.clock import SystemClock
from func_host.testing.harness import AppHarness

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from click.testing import Result

    from func_bindings.durable.client import DurableClient

pytestmark = pytest.mark.anyio

APP = """
from func_bindings import EntityContext, EntityId, OrchestrationContext
from func_bindings import entity_trigger, orchestration_trigger


@entity_trigger(name="Counter")
async def counter(context: EntityContext) -> None:
    if context.operation_name == "delete":
        context.destruct_on_exit()
    else:
        context.set_state(context.get_state(int) + context.get_input())


@orchestration_trigger(name="Call")
async def call(context: OrchestrationContext) -> None:
    key, operation = context.get_input()
    await context.call_entity(EntityId("Counter", key), operation, 5)


@orchestration_trigger(name="Locks")
async def locks(context: OrchestrationContext) -> None:
    async with await context.lock(EntityId("Counter", "held")):
        await context.wait_for_external_event("Go")
"""


HELD = EntityId("Counter", "held")


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP, "utf-8")
    return tmp_path


def run(app_dir: Path, *arguments: str, env: dict[str, str] | None = None) -> Result:
    command = ["durable", "entities", *arguments, "--app-dir", str(app_dir)]
    return CliRunner().invoke(main, command, env={"FUNC_HOST_MASTER_KEY": None, **(env or {})})


async def run_beside(app_dir: Path, *arguments: str, env: dict[str, str] | None = None) -> Result:
    """Run a command while a host of the test runs."""
    return await asyncio.to_thread(run, app_dir, *arguments, env=env)


@asynccontextmanager
async def running(app_dir: Path, storage: str = "memory") -> AsyncGenerator[AppHarness]:
    """A host with the counters `free` (5), `gone` and `held` (5); `boss` has locked the last."""
    async with AppHarness(app_dir, listen=True, storage=storage) as harness:
        for key, operation in (("free", "add"), ("held", "add"), ("gone", "delete")):
            await called(harness.client, key, operation)
        await harness.client.start_new("Locks", "boss")
        await until_locked(harness.client)
        yield harness


async def until_locked(client: DurableClient) -> None:
    async with asyncio.timeout(20):
        while (found := await client.get_entity(HELD)) is None or found.locked_by is None:
            await SystemClock().sleep(0.01)


async def called(client: DurableClient, key: str, operation: str) -> None:
    """Let an operation be done."""
    instance_id = await client.start_new("Call", None, [key, operation])
    status = await client.wait_for_completion(instance_id, 20)
    assert status.runtime_status.value == "Completed", status.output


@pytest.fixture
def stopped(app_dir: Path) -> Path:
    """The app of a host that has stopped and left its store behind."""

    async def live() -> None:
        async with running(app_dir, "sqlite"):
            pass

    asyncio.run(live())
    return app_dir


def views(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_list_is_a_table(stopped: Path) -> None:
    result = run(stopped, "list")

    assert result.exit_code == 0
    heading, free, held = result.stdout.splitlines()
    assert heading.split("  ")[0] == "NAME"
    assert free.split()[:2] + free.split()[3:] == ["counter", "free", "-", "-", "0"]
    assert held.split()[:2] == ["counter", "held"]
    assert held.split()[3] == "boss"
    assert held.split()[4].endswith("Z")


def test_the_list_is_filtered(stopped: Path) -> None:
    assert [one["entityId"]["key"] for one in views(run(stopped, "list", "--json"))] == [
        "free",
        "held",
    ]
    locked = views(run(stopped, "list", "--locked", "--json"))
    assert [one["lockedBy"] for one in locked] == ["boss"]
    prefixed = views(run(stopped, "list", "--name", "COUNTER", "--prefix", "f", "--json"))
    assert [one["entityId"]["key"] for one in prefixed] == ["free"]
    assert run(stopped, "list", "--name", "nobody").output == "There are no such entities.\n"


def test_one_is_shown(stopped: Path) -> None:
    lines = run(stopped, "show", "Counter@held").stdout.splitlines()
    view = views(run(stopped, "show", "@counter@held", "--json"))

    assert lines[0] == "state:           5"
    assert lines[2] == "locked by:       boss"
    assert (view["state"], view["lockedBy"], view["waiters"]) == (5, "boss", [])


def test_a_lock_is_taken_and_the_host_takes_note_when_it_starts(stopped: Path) -> None:
    result = run(stopped, "unlock", "counter@held")
    assert result.output == "@counter@held is unlocked as soon as a host takes note of it.\n"

    async def go_on() -> None:
        async with AppHarness(stopped, storage="sqlite") as harness:
            await called(harness.client, "held", "add")

    asyncio.run(go_on())
    assert views(run(stopped, "show", "counter@held", "--json"))["state"] == 10


def test_a_program_learns_what_was_done(stopped: Path) -> None:
    unlocked = views(run(stopped, "unlock", "counter@held", "--json"))
    cleaned = views(run(stopped, "clean", "--json"))

    assert unlocked == {"entityId": {"name": "counter", "key": "held"}, "unlocked": True}
    assert cleaned == {"emptyEntitiesRemoved": 1, "orphanedLocksReleased": 0}


def test_a_cleaning_says_what_it_has_done(stopped: Path) -> None:
    assert run(stopped, "clean").output == (
        "1 empty entities were deleted, 0 orphaned locks released.\n"
    )
    assert run(stopped, "clean").output.startswith("0 empty entities")


async def test_a_running_host_is_asked_by_its_url(app_dir: Path) -> None:
    async with running(app_dir) as harness:
        at = ("--url", f"{harness.url}/")
        listed = views(await run_beside(app_dir, "list", "--locked", "--json", *at))
        shown = await run_beside(app_dir, "show", "counter@held", *at)
        unlocked = await run_beside(app_dir, "unlock", "Counter@held", *at)
        cleaned = await run_beside(app_dir, "clean", *at)
        missing = await run_beside(app_dir, "show", "counter@none", *at)
        free = await run_beside(app_dir, "unlock", "counter@free", *at)
        prefixed = views(
            await run_beside(app_dir, "list", "--name", "counter", "--prefix", "f", "--json", *at)
        )

    assert [one["lockedBy"] for one in listed] == ["boss"]
    assert "locked by:       boss" in shown.stdout
    assert unlocked.exit_code == 0
    assert cleaned.output == "1 empty entities were deleted, 0 orphaned locks released.\n"
    assert (missing.exit_code, missing.stderr) == (
        1,
        "There is no entity @counter@none: `func-host durable entities list` lists them.\n",
    )
    assert (free.exit_code, free.stderr) == (1, "The entity @counter@free is not locked.\n")
    assert [one["entityId"]["key"] for one in prefixed] == ["free"]


@pytest.mark.parametrize("key", ["", ".", "..", "a b+c&d%2Fe", "æ☃"])
async def test_every_key_can_be_asked_for(app_dir: Path, key: str) -> None:
    async with AppHarness(app_dir, listen=True) as harness:
        await called(harness.client, key, "add")
        shown = views(
            await run_beside(app_dir, "show", f"counter@{key}", "--json", "--url", harness.url)
        )

    assert (shown["entityId"]["key"], shown["state"]) == (key, 5)


async def test_a_store_that_a_host_has_for_itself_tells_how_to_ask_that_host(
    app_dir: Path,
) -> None:
    async with running(app_dir, "sqlite"):
        result = await run_beside(app_dir, "list")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "is in use by another host" in result.stderr
    assert result.stderr.endswith(
        " To ask the host that runs, give its address: --url http://127.0.0.1:7071.\n"
    )


def test_what_is_not_there_exits_1(stopped: Path) -> None:
    missing = run(stopped, "show", "counter@none")
    free = run(stopped, "unlock", "counter@free")

    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr.startswith("There is no entity @counter@none: ")
    assert (free.exit_code, free.stderr) == (1, "The entity @counter@free is not locked.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nobody"], "'nobody' is not the id of an entity: it looks like 'name@key'."),
        (["unlock", "@"], "'@' is not the id of an entity"),
        (["show"], "Missing argument 'NAME@KEY'"),
        (["list", "--prefix", "a"], "--prefix needs --name"),
        (["list", "--name", "a@b"], "must not hold '@'"),
        (["list", "--name", "a/b"], "must not contain /"),
        (["list", "--storage", "floppy"], "--storage: expected"),
    ],
)
def test_a_mistake_in_what_was_typed_exits_2(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    result = run(tmp_path, *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["localhost:7071", "ftp://localhost", "http://", "http://[", "http://a:b", ""]
)
def test_a_url_that_is_none_exits_1(tmp_path: Path, url: str) -> None:
    result = run(tmp_path, "list", "--url", url)

    assert result.exit_code == 1
    assert result.stderr == (
        f"--url {url} is not the address of a host: it looks like http://127.0.0.1:7071.\n"
    )


def test_a_key_that_is_none_exits_1(tmp_path: Path) -> None:
    result = run(
        tmp_path, "list", "--url", "http://127.0.0.1:1", env={"FUNC_HOST_MASTER_KEY": "k\n"}
    )

    assert result.exit_code == 1
    assert result.stderr == "--key holds a character that no key has, such as a line's end.\n"


def test_a_host_that_does_not_run_exits_1(tmp_path: Path) -> None:
    result = run(tmp_path, "clean", "--url", "http://127.0.0.1:1")

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("The host at http://127.0.0.1:1 cannot be asked: ")
    assert line.endswith(" Is it running, and is --url right?")


async def answers(status: int, body: bytes, head: str = "") -> tuple[asyncio.Server, str]:
    """Serve one answer to whatever is asked; with the name of a key, only where it is given."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        code = status if head.encode() in asked else 401
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (code, len(body)) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return server, f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b""), (200, b"<html>"), (302, b""), (500, b""), (404, b'["no"]'), (204, b"")],
)
async def test_what_is_no_func_host_is_told(tmp_path: Path, status: int, body: bytes) -> None:
    server, url = await answers(status, body)
    async with server:
        result = await run_beside(tmp_path, "show", "counter@k", "--url", url)

    assert result.exit_code == 1
    assert result.stderr == (
        f"What answers at {url} (status {status}) is no func-host that tells about entities: "
        "check --url.\n"
    )


async def test_what_the_host_has_to_say_is_passed_on(tmp_path: Path) -> None:
    server, url = await answers(503, b'{"Message": "Out of order."}')
    async with server:
        result = await run_beside(tmp_path, "list", "--url", url)

    assert result.exit_code == 1
    assert result.stderr == f"The host at {url} refuses: Out of order.\n"


async def test_the_key_of_a_host_is_given_or_stands_in_the_environment(tmp_path: Path) -> None:
    server, url = await answers(200, b"[]", "x-functions-key: k-1")
    async with server:
        without = await run_beside(tmp_path, "list", "--url", url)
        wrong = await run_beside(tmp_path, "list", "--url", url, "--key", "no")
        given = await run_beside(tmp_path, "list", "--url", url, "--key", "k-1")
        known = await run_beside(
            tmp_path, "list", "--url", url, env={"FUNC_HOST_MASTER_KEY": "k-1"}
        )

    for refused in (without, wrong):
        assert refused.exit_code == 1
        assert refused.stderr == (
            f"The host at {url} does not take this key: give its FUNC_HOST_MASTER_KEY with --key.\n"
        )
    assert given.output == known.output == "There are no such entities.\n"


def test_help_waits_for_nothing_heavy() -> None:
    """A library that asks hosts or stores would take longer than the rest."""
    code = (
        "import sys\n"
        "import func_host.cli.durable.entities.group\n"
        "heavy = {'aiohttp', 'starlette', 'msgspec', 'func_host.host', 'azure'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 -- our own

    assert done.stdout == "[]\n"


@pytest.mark.parametrize("verb", ["list", "show", "unlock", "clean"])
def test_every_command_tells_of_the_url(verb: str) -> None:
    result = CliRunner().invoke(main, ["durable", "entities", verb, "--help"])

    assert result.exit_code == 0
    assert "--url URL" in result.stdout
