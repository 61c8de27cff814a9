"""Drives the app of sagas on several real hosts, and compares what it says with what is stored."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.connection import parse_connection_string
from func_host.durable.backends.azure_storage.names import TaskHubNames
from tests.azurite.hosts import new_hub_name, on_azurite
from tests.e2e.host_process import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from tests.azurite.emulator import Azurite
    from tests.e2e.host_process import HostProcess

APP = Path(__file__).parent / "apps" / "sagas"
BASE = "/runtime/webhooks/durabletask"
_DURABLE = "AzureFunctionsJobHost__extensions__durableTask__"
_PROVIDER = f"{_DURABLE}storageProvider__"


class Sagas:
    """Several hosts of the app on one hub.

    Args:
        azurite: Where the hub is.
        folder: For logs.
        hosts: How many.
        visibility_s: For how long a claim hides a message; 60 by default, as in production.
        activities_max: How many activities a host runs at a time.
    """

    def __init__(
        self,
        azurite: Azurite,
        folder: Path,
        hosts: int,
        *,
        visibility_s: int | None = None,
        activities_max: int | None = None,
    ) -> None:
        self.hub = new_hub_name()
        self.witness = folder / "witness.log"
        self.witness.touch()
        self._connection = parse_connection_string(azurite.connection_string, setting="test")
        settings = {"WITNESS_LOG": str(self.witness)}
        if visibility_s is not None:
            settings[f"{_PROVIDER}controlQueueVisibilityTimeout"] = f"00:00:{visibility_s:02d}"
        if activities_max is not None:
            settings[f"{_DURABLE}maxConcurrentActivityFunctions"] = str(activities_max)
        self.hosts: list[HostProcess] = []
        for number in range(hosts):
            place = folder / f"host-{number}"
            place.mkdir()
            self.hosts.append(on_azurite(azurite, APP, place, hub=self.hub, settings=settings))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start all hosts."""
        for host in self.hosts:
            self._stack.callback(host.close)
            host.start(wait=False)
        for host in self.hosts:
            host.wait_until_ready()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End them."""
        self._stack.close()

    def start(self, host: HostProcess, orchestrator: str, instance_id: str, value: Any) -> bool:
        """Start an instance; False where the host gave no answer."""
        with suppress(httpx.TransportError):
            path = f"{BASE}/orchestrators/{orchestrator}/{instance_id}"
            answer = host.client.post(path, json=value)
            # 409: an earlier try has arrived, though its answer did not.
            assert answer.status_code in {202, 409}, answer.text
            return True
        return False

    def statuses(self, host: HostProcess, prefix: str) -> dict[str, dict[str, Any]]:
        """Give the statuses of all instances whose id begins so."""
        found: dict[str, dict[str, Any]] = {}
        token = ""
        while True:
            answer = host.client.get(
                f"{BASE}/instances",
                params={"instanceIdPrefix": prefix, "showInput": "false"},
                headers={"x-ms-continuation-token": token} if token else {},
            )
            assert answer.status_code == 200, answer.text
            found |= {status["instanceId"]: status for status in answer.json()}
            token = answer.headers.get("x-ms-continuation-token", "")
            if not token:
                return found

    def wait_for_ends(
        self, host: HostProcess, ids: set[str], prefix: str, timeout_s: float
    ) -> None:
        """Wait until all have completed."""

        def all_completed() -> bool:
            with suppress(httpx.TransportError):
                statuses = self.statuses(host, prefix)
                ended = {
                    one: status["runtimeStatus"]
                    for one, status in statuses.items()
                    if status["runtimeStatus"] not in {"Pending", "Running"}
                }
                wrong = {one: status for one, status in ended.items() if status != "Completed"}
                assert not wrong, wrong
                return ids <= ended.keys()
            return False

        wait_until(all_completed, f"{len(ids)} instances complete", timeout_s)

    def began(self) -> Mapping[tuple[str, int], list[str]]:
        """Give how often each step of each instance began, in order."""
        found: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        whole, _, _ = self.witness.read_text().rpartition("\n")
        for line in whole.splitlines():
            entry = json.loads(line)
            found[entry["instance"], entry["step"]].append(entry["token"])
        return found

    def processes(self) -> set[int]:
        """Give the processes that have run activities."""
        return {json.loads(line)["process"] for line in self.witness.read_text().splitlines()}

    async def rows(self, *tables: str) -> list[dict[str, Any]]:
        """Give all rows of tables of the hub, with when they were written."""
        found: list[dict[str, Any]] = []
        async with StorageClients(self._connection) as clients:
            for table in tables:
                rows = clients.table(f"{self.hub}{table}").query_entities("")
                found += [
                    {**row, "etag": getattr(row, "metadata", {})["etag"]} async for row in rows
                ]
        return found

    async def owners(self) -> list[str | None]:
        """Give who owns each partition."""
        rows = await self.rows("Partitions")
        return [row.get("CurrentOwner") for row in sorted(rows, key=lambda row: row["RowKey"])]

    async def messages(self) -> list[str]:
        """Give the messages that are visible in any queue."""
        names = TaskHubNames(self.hub)
        found: list[str] = []
        async with StorageClients(self._connection) as clients:
            for queue in (names.work_item_queue, *names.control_queues(4)):
                found += [str(one.content) for one in await clients.queue(queue).peek_messages(32)]
        return found

    async def check_witness(self) -> None:
        """Check promise 2: what is recorded is what the last run of the activity gave.

        Had an activity been run again after its result was recorded, a later run would be known.
        """
        began = self.began()
        last_of = {runs[-1]: step for step, runs in began.items()}
        every = {run for runs in began.values() for run in runs}
        recorded = [
            json.loads(row["Result"])
            for row in await self.rows("History")
            if row.get("EventType") == "TaskCompleted"
        ]
        assert len(recorded) == len(set(recorded)), "a result is recorded twice"
        assert len(recorded) == len(began), "a step has no result"
        again = [token for token in recorded if token in every and token not in last_of]
        assert not again, f"run again after the result was recorded: {again}"
