import asyncio
import logging
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from func_host import host as host_module
from func_host import log
from func_host.clock import Clock, SystemClock, SystemIds
from func_host.config import ConfigError, Configuration, load_configuration
from func_host.durable.backend import StoreInUseError
from func_host.durable.worker.worker import DurableWorker
from func_host.errors import AppError
from func_host.host import Host, load_functions, open_backend, required_key, serve
from func_host.server import ListeningSocket
from func_host.testing.clock import SimulatedClock
from tests.e2e.host_process import environment
from tests.host.durable.backends.asking import AskingBackend

pytestmark = pytest.mark.anyio

APP = """
from func_bindings import AuthLevel, route

@route("open", auth_level=AuthLevel.ANONYMOUS)
def anybody(request) -> str:
    return "open"

@route("closed")
def known(request) -> str:
    return "closed"
"""


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    return tmp_path


def configured(app_dir: Path, storage: str = "memory", **settings: str) -> Configuration:
    return load_configuration(app_dir, storage=storage, environment=settings)


async def test_a_host_serves_until_it_is_told_to_stop(app_dir: Path) -> None:
    configuration = configured(app_dir, storage="sqlite")
    listening = ListeningSocket("127.0.0.1", 0)
    started, stop = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(
            serve(
                configuration,
                load_functions(configuration),
                listening=listening,
                on_started=lambda _: started.set(),
                stop=stop,
            )
        )
        await started.wait()
        async with httpx.AsyncClient(base_url=listening.origin) as http:
            assert (await http.get("/api/closed")).text == "closed"
        stop.set()
        await serving

    async with Host(configuration, load_functions(configuration), origin="http://x") as host:
        assert (await host.backend.summary()).unfinished == 0  # the store was given back


async def test_a_second_owner_of_a_store_is_refused(app_dir: Path) -> None:
    configuration = configured(app_dir, storage="sqlite")
    index = load_functions(configuration)
    async with Host(configuration, index, origin="http://x"):
        with pytest.raises(StoreInUseError):
            async with Host(configuration, index, origin="http://x"):
                pass


async def test_a_part_that_fails_stops_the_host_with_its_error(
    app_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: DurableWorker) -> None:
        raise RuntimeError("an invariant is broken")

    monkeypatch.setattr(DurableWorker, "run", fail)
    configuration = configured(app_dir)

    with (
        closing(ListeningSocket("127.0.0.1", 0)) as listening,
        pytest.raises(ExceptionGroup) as caught,
    ):
        await serve(
            configuration,
            load_functions(configuration),
            listening=listening,
            on_started=lambda _: None,
            stop=asyncio.Event(),
        )

    assert caught.group_contains(RuntimeError, match="an invariant is broken")


def test_no_key_is_needed_on_loopback_even_where_there_is_one(app_dir: Path) -> None:
    assert required_key(configured(app_dir, FUNC_HOST_MASTER_KEY="k"), "127.0.0.1") is None


def test_any_other_address_needs_the_key(app_dir: Path) -> None:
    assert required_key(configured(app_dir, FUNC_HOST_MASTER_KEY="k"), "0.0.0.0") == "k"  # noqa: S104
    with pytest.raises(AppError, match="set FUNC_HOST_MASTER_KEY"):
        required_key(configured(app_dir, FUNC_HOST_MASTER_KEY=""), "0.0.0.0")  # noqa: S104


async def test_with_a_key_only_open_functions_answer_without_it(app_dir: Path) -> None:
    configuration = configured(app_dir)
    index = load_functions(configuration)
    async with Host(configuration, index, origin="http://x", master_key="secret") as host:
        transport = httpx.ASGITransport(host.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://example.com") as http:
            key = {"x-functions-key": "secret"}

            assert (await http.get("/api/open")).status_code == 200
            assert (await http.get("/api/closed")).status_code == 401
            assert (await http.get("/api/closed?code=secret")).status_code == 200
            assert (await http.get("/admin/host/status")).status_code == 401
            assert (await http.get("/admin/host/status", headers=key)).status_code == 200
            assert (await http.get("/admin/host/ping")).status_code == 200


async def test_what_the_store_asks_of_others_is_told_and_its_closing_too(
    app_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def open_asking(_: object, clock: Clock, *_rest: object) -> AskingBackend:
        return AskingBackend(clock)

    def told() -> list[object]:
        return [vars(record)[log.OPERATIONS] for record in caplog.records]

    monkeypatch.setattr(host_module, "open_backend", open_asking)
    caplog.set_level(logging.INFO, "func_host.durable.backends.request_report")
    configuration, clock = configured(app_dir), SimulatedClock()
    index = load_functions(configuration)
    async with Host(configuration, index, origin="http://x", clock=clock) as host:
        transport = httpx.ASGITransport(host.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            metrics = (await http.get("/admin/metrics")).text
        await clock.advance(60)
        assert told() == [{"Open": 1}]

    assert told() == [{"Open": 1}, {"Close": 1}]
    assert (
        'func_host_storage_requests_total{service="queue",operation="Open",status="200"} 1\n'
    ) in metrics


ON_SQLITE = """
import asyncio, sys
from pathlib import Path
import func_host.cli.group, func_host.cli.running
from func_host.config import load_configuration
from func_host.host import Host, load_functions

async def main() -> None:
    configuration = load_configuration(Path(sys.argv[1]), storage="sqlite", environment={})
    async with Host(configuration, load_functions(configuration), origin="http://x"):
        pass

asyncio.run(main())
print(sorted({"aiohttp", "azure", "cryptography", "requests"} & sys.modules.keys()))
"""


def test_a_host_on_sqlite_does_not_wait_for_the_clients_of_azure_storage(app_dir: Path) -> None:
    result = subprocess.run(  # noqa: S603 -- our own source
        [sys.executable, "-c", ON_SQLITE, str(app_dir)],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )

    assert result.stdout == "[]\n"


def test_an_account_that_cannot_be_read_is_a_mistake_in_the_settings(app_dir: Path) -> None:
    configuration = configured(app_dir, "azure", AzureWebJobsStorage="AccountName=shop")

    with pytest.raises(ConfigError, match="AzureWebJobsStorage has no AccountKey"):
        open_backend(configuration, SystemClock(), SystemIds())
