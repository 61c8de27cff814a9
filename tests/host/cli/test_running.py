import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from func_host.cli.running import run
from func_host.config import load_configuration
from func_host.errors import AppError
from func_host.server import ListeningSocket
from func_host.testing.harness import AppHarness
from tests.e2e.host_process import free_port

APP = """
from func_bindings import OrchestrationContext, orchestration_trigger

@orchestration_trigger
async def waits(context: OrchestrationContext) -> None:
    await context.wait_for_external_event("never")
"""


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    return tmp_path


def start(
    app_dir: Path, *, storage: str = "memory", port: int = 0, address: str | None = None
) -> int:
    configuration = load_configuration(app_dir, storage=storage, environment={})
    return run(configuration, port=port, address=address, verbose=False, json_logs=False)


def test_a_port_in_use_exits_1_with_one_line(
    app_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = ListeningSocket("127.0.0.1", 0)
    taken.socket.listen()
    try:
        code = start(app_dir, port=taken.port)
    finally:
        taken.close()

    errors = capsys.readouterr().err
    assert code == 1
    assert errors.count("\n") == 1
    assert f"Port {taken.port} on 127.0.0.1 cannot be used" in errors


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "example.invalid"])  # noqa: S104 -- refused
def test_an_address_that_others_reach_needs_a_key(app_dir: Path, address: str) -> None:
    with pytest.raises(AppError, match="FUNC_HOST_MASTER_KEY"):
        start(app_dir, address=address)


def test_a_port_in_use_changes_no_store(app_dir: Path) -> None:
    taken = ListeningSocket("127.0.0.1", 0)
    taken.socket.listen()
    try:
        start(app_dir, port=taken.port, storage="sqlite")
    finally:
        taken.close()

    assert not (app_dir / ".func-host").exists()


async def start_three(app_dir: Path) -> None:
    async with AppHarness(app_dir, storage="sqlite") as harness:
        for _ in range(3):
            await harness.client.start_new("waits")


def test_orchestrations_that_wait_in_the_other_store_are_told(
    app_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(start_three(app_dir))
    own = app_dir / ".func-host" / "TestHubName.db"
    (app_dir / "taken.db").mkdir()
    code = start(app_dir, storage=f"sqlite:{app_dir / 'taken.db'}")

    errors = capsys.readouterr().err
    assert code == 1  # a folder is no file to keep a store in
    assert f"{own} holds 3 orchestrations that have not ended" in errors
    assert f'--storage "sqlite:{own}"' in errors


def test_orchestrations_that_wait_in_the_file_are_told_when_azure_storage_is_chosen(
    app_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    asyncio.run(start_three(app_dir))
    own = app_dir / ".func-host" / "TestHubName.db"
    nowhere = "AccountName=devstoreaccount1;AccountKey=c2VjcmV0;" + ";".join(
        f"{service}Endpoint=http://127.0.0.1:{free_port()}/devstoreaccount1"
        for service in ("Queue", "Table", "Blob")
    )
    environment = {"AzureWebJobsStorage": nowhere}
    configuration = load_configuration(app_dir, environment=environment)
    code = run(configuration, port=0, address=None, verbose=False, json_logs=False)

    told, failed = capsys.readouterr().err.splitlines()
    assert code == 1
    assert f"{own} holds 3 orchestrations that have not ended" in told
    assert "Azure Storage does not answer" in failed
