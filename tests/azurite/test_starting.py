"""`func-host start` on Azurite, as somebody at a terminal sees it."""

from __future__ import annotations

import base64
import re
import time
from typing import TYPE_CHECKING

import anyio
import psutil
import pytest

from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.names import TaskHubNames
from tests.azurite.hosts import new_hub_name, on_azurite, storage_settings
from tests.e2e.host_process import REPOSITORY, HostProcess, run_func_host, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from tests.azurite.emulator import Azurite

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HELLO = REPOSITORY / "samples" / "hello_cities"
APPROVAL = REPOSITORY / "samples" / "approval"
INSTANCES = "/runtime/webhooks/durabletask/instances"
REQUEST = {"requester": "Ada", "subject": "a chair"}
KEY = re.compile(r"AccountKey=[^;]*")
GONE = "a table of the task hub is not there (TableNotFound)"
BUSY_SHARE_MAX = 0.5


def decide(host: HostProcess, instance_id: str) -> int:
    """Approve, and give the status of the answer."""
    answer = host.client.post(
        f"{INSTANCES}/{instance_id}/raiseEvent/Decision", json={"approved": True}
    )
    return answer.status_code


async def delete_tables(connection: StorageConnection, hub: str) -> None:
    names = TaskHubNames(hub)
    async with StorageClients(connection) as clients:
        await clients.table(names.history_table).delete_table()
        await clients.table(names.instances_table).delete_table()


def test_a_connection_to_azurite_is_chosen_and_shown(azurite: Azurite, tmp_path: Path) -> None:
    with on_azurite(azurite, HELLO, tmp_path) as host:
        host.start_instance("hello_cities", "cities", None)
        status = host.wait_for_end("cities")

        assert status["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
        assert ": Azure Storage, AzureWebJobsStorage (Azurite)" in host.printed()
        assert "AccountKey" not in host.printed()


def test_a_connection_is_enough_to_choose_azure_storage(azurite: Azurite, tmp_path: Path) -> None:
    settings = storage_settings(azurite, new_hub_name())
    wrong = {**settings, "AzureWebJobsStorage": with_wrong_key(azurite)}
    ended = run_func_host("start", str(HELLO), "--port", "0", cwd=tmp_path, settings=wrong)

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "refuses the credential of AzureWebJobsStorage" in line
    assert '"Access keys" of the account' in line
    assert "d3Jvbmc" not in line


def with_wrong_key(azurite: Azurite) -> str:
    key = base64.b64encode(b"wrong" * 10).decode()
    return KEY.sub(f"AccountKey={key}", azurite.connection_string)


def test_what_waits_goes_on_after_a_kill_and_a_new_start(azurite: Azurite, tmp_path: Path) -> None:
    with on_azurite(azurite, APPROVAL, tmp_path) as host:
        host.start_instance("approval", "waits", REQUEST)
        wait_until(lambda: host.status("waits")["customStatus"], "the approval waits")
        host.kill()
        host.start()
        assert decide(host, "waits") == 202

        assert host.wait_for_end("waits")["output"] == "Your request was approved."


def test_two_hubs_of_one_account_know_nothing_of_each_other(
    azurite: Azurite, tmp_path: Path
) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    with (
        on_azurite(azurite, APPROVAL, tmp_path / "one") as one,
        on_azurite(azurite, APPROVAL, tmp_path / "other") as other,
    ):
        one.start_instance("approval", "waits", REQUEST)

        assert one.client.get(f"{INSTANCES}/waits").status_code == 202
        assert other.client.get(f"{INSTANCES}/waits").status_code == 404


def test_a_host_whose_tables_are_deleted_says_so_and_goes_on_living(
    azurite: Azurite, connection: StorageConnection, tmp_path: Path
) -> None:
    hub = new_hub_name()
    with on_azurite(azurite, APPROVAL, tmp_path, hub=hub) as host:
        host.start_instance("approval", "waits", REQUEST)
        wait_until(lambda: host.status("waits")["customStatus"], "the approval waits")
        anyio.run(delete_tables, connection, hub)
        began, before_s = time.monotonic(), cpu_s(host)
        assert host.client.get(f"{INSTANCES}/unknown").status_code == 503
        assert decide(host, "waits") in {202, 503}
        wait_until(lambda: host.printed().count(GONE) > 4 or None, "it says so several times")

        assert cpu_s(host) - before_s < 0.5 + (time.monotonic() - began) * BUSY_SHARE_MAX
        assert host.client.get("/admin/host/ping").status_code == 200
        assert "start the host again to create it" in host.printed()
        assert "Traceback" not in host.printed()

        host.kill()
        host.start()
        host.start_instance("approval", "after", REQUEST)
        wait_until(lambda: host.status("after")["customStatus"], "the new approval waits")


def cpu_s(host: HostProcess) -> float:
    times = psutil.Process(host.process.pid).cpu_times()
    return float(times.user + times.system)


def test_a_hub_that_was_deleted_as_a_whole_is_made_anew(
    azurite: Azurite, connection: StorageConnection, tmp_path: Path
) -> None:
    hub = new_hub_name()
    with on_azurite(azurite, APPROVAL, tmp_path, hub=hub) as host:
        host.start_instance("approval", "lost", REQUEST)
        host.kill()
        anyio.run(delete_tables, connection, hub)
        host.start()

        assert host.client.get(f"{INSTANCES}/lost").status_code == 404
