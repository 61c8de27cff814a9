"""Several real hosts on one hub: killed, paused, blocked, stopped.

HOSTS_INSTANCES and HOSTS_KILLING_S scale the first test up; 500 and 120 is the full programme, with
claims that stay hidden for a minute as in production.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from func_host.clock import SystemClock
from tests.azurite.sagas import BASE, Sagas
from tests.e2e.host_process import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.azurite.emulator import Azurite
    from tests.e2e.chance import Chance
    from tests.e2e.host_process import HostProcess

pytestmark = [pytest.mark.anyio, pytest.mark.azurite, pytest.mark.e2e, pytest.mark.slow]

INSTANCES = int(os.environ.get("HOSTS_INSTANCES", "40"))
KILLING_S = float(os.environ.get("HOSTS_KILLING_S", "15"))
KILL_EVERY_S = 3.0
IS_FULL = INSTANCES >= 500
END_S = 180.0
EMULATOR_SILENCE_S = 90.0
"""Azurite stops answering about once a minute where many messages have passed."""

BALANCED_S = 60.0
SEEN_S = 30.0
LEASE_S = 30.0


def _kill_again_and_again(hosts: list[HostProcess], chance: Chance, seconds: float) -> None:
    until = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < until:
        pause.wait(KILL_EVERY_S)
        host = chance.choice(hosts)
        if host.is_running:
            host.kill()
        host.start(wait=False)


@pytest.mark.parametrize("count", [2, 4])
async def test_all_complete_right_though_hosts_are_killed(
    azurite: Azurite, tmp_path: Path, chance: Chance, count: int
) -> None:
    """Nothing is lost, nothing recorded runs again, and the partitions are shared out evenly."""
    visibility_s = None if IS_FULL else 8
    with Sagas(azurite, tmp_path, count, visibility_s=visibility_s) as sagas:
        hosts = sagas.hosts
        numbers = range(INSTANCES)

        def place(number: int) -> None:
            wait_until(
                lambda: sagas.start(hosts[number % count], "saga", f"saga-{number}", number),
                f"saga-{number} is acknowledged",
                KILLING_S + END_S,
            )

        with ThreadPoolExecutor(16) as customers:
            placed = [customers.submit(place, number) for number in numbers]
            _kill_again_and_again(hosts, chance, KILLING_S)
            for host in hosts:
                host.wait_until_ready()
            for one in placed:
                one.result()
        ids = {f"saga-{number}" for number in numbers}
        sagas.wait_for_ends(hosts[0], ids, "saga-", END_S + EMULATOR_SILENCE_S)
        for number, status in sagas.statuses(hosts[-1], "saga-").items():
            assert len(status["output"]) == 6, number
        await sagas.check_witness()
        await _wait_until_balanced(sagas, count)


async def _wait_until_balanced(sagas: Sagas, count: int) -> None:
    until = time.monotonic() + BALANCED_S + EMULATOR_SILENCE_S
    shares: Iterable[int] = ()
    while time.monotonic() < until:
        owners = await sagas.owners()
        shares = Counter(owners).values()
        if None not in owners and len(shares) == count and max(shares) - min(shares) <= 1:
            return
        await SystemClock().sleep(0.5)
    pytest.fail(f"the partitions are not balanced: {await sagas.owners()}, {shares}")


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be paused there")
async def test_a_host_that_was_paused_past_its_lease_changes_nothing(
    azurite: Azurite, tmp_path: Path
) -> None:
    """No row, and no answer; what it had in flight has been done by others."""
    with Sagas(azurite, tmp_path, 2, visibility_s=8) as sagas:
        paused, other = sagas.hosts
        ids = {f"slow-{number}" for number in range(16)}
        for number, instance_id in enumerate(sorted(ids)):
            host = sagas.hosts[number % 2]
            assert sagas.start(host, "slow", instance_id, {"steps": 3, "seconds": 2})
        wait_until(lambda: len(sagas.began()) >= len(ids), "all have begun")
        os.kill(paused.process.pid, signal.SIGSTOP)
        try:
            sagas.wait_for_ends(other, ids, "slow-", END_S)
            before = await sagas.rows("History", "Instances")
            statuses = sagas.statuses(other, "slow-")
        finally:
            os.kill(paused.process.pid, signal.SIGCONT)
        paused.wait_until_ready()
        await SystemClock().sleep(8.0)  # what it may still do, it does now

        assert await sagas.rows("History", "Instances") == before
        assert sagas.statuses(paused, "slow-") == statuses
        for instance_id in ids:
            assert paused.status(instance_id)["output"] == statuses[instance_id]["output"]
        await sagas.check_witness()
        assert not await sagas.messages()


async def test_nothing_runs_twice_though_the_loop_of_a_host_is_blocked(
    azurite: Azurite, tmp_path: Path
) -> None:
    """For longer than a lease lasts: leases and claims are renewed by another thread."""
    with Sagas(azurite, tmp_path, 2, visibility_s=20) as sagas:
        blocked, other = sagas.hosts
        await _wait_until_balanced(sagas, 2)
        owners = await sagas.owners()
        ids = {f"slow-{number}" for number in range(12)}
        for number, instance_id in enumerate(sorted(ids)):
            host = sagas.hosts[number % 2]
            assert sagas.start(host, "slow", instance_id, {"steps": 2, "seconds": 6})
        wait_until(lambda: len(sagas.began()) >= len(ids), "all have begun")
        seconds = LEASE_S * 1.5
        answer = blocked.client.get(f"/api/block?seconds={seconds}", timeout=seconds + 30)
        assert answer.text == "done"

        sagas.wait_for_ends(other, ids, "slow-", END_S)
        assert {step: len(runs) for step, runs in sagas.began().items() if len(runs) > 1} == {}
        assert len(sagas.began()) == 2 * len(ids)
        assert await sagas.owners() == owners


async def test_a_host_that_stops_in_order_hands_over_at_once(
    azurite: Azurite, tmp_path: Path
) -> None:
    """What it was running goes on elsewhere, without waiting for anything to run out."""
    with Sagas(azurite, tmp_path, 2) as sagas:
        stopping, other = sagas.hosts
        await _wait_until_balanced(sagas, 2)
        ids = {f"slow-{number}" for number in range(8)}
        for number, instance_id in enumerate(sorted(ids)):
            host = sagas.hosts[number % 2]
            assert sagas.start(host, "slow", instance_id, {"steps": 3, "seconds": 1})
        wait_until(lambda: len(sagas.began()) >= len(ids), "all have begun")
        stopping.terminate()
        assert stopping.wait() == 0
        stopped_at = time.monotonic()
        sagas.wait_for_ends(other, ids, "slow-", 40)

        assert time.monotonic() - stopped_at < 40
        assert {step: len(runs) for step, runs in sagas.began().items() if len(runs) > 1} == {}
        await sagas.check_witness()


async def test_what_a_host_cannot_run_soon_others_run(azurite: Azurite, tmp_path: Path) -> None:
    """Activities beyond those of its slots, and as many more, go where there is room."""
    with Sagas(azurite, tmp_path, 2, activities_max=2) as sagas:
        await _wait_until_balanced(sagas, 2)
        (host, other), steps = sagas.hosts, 24
        assert sagas.start(host, "wide", "wide-1", {"steps": steps, "seconds": 1})
        sagas.wait_for_ends(other, {"wide-1"}, "wide-", END_S)

        assert len(sagas.processes()) == 2
        assert {step: len(runs) for step, runs in sagas.began().items() if len(runs) > 1} == {}
        assert len(sagas.statuses(host, "wide-")["wide-1"]["output"]) == steps
        assert not await sagas.messages()


async def test_another_host_sees_an_activity_that_lasts(azurite: Azurite, tmp_path: Path) -> None:
    """Within half a minute, though only its owner knows at first; it is not run twice for that."""
    with Sagas(azurite, tmp_path, 2) as sagas:
        await _wait_until_balanced(sagas, 2)
        host, other = sagas.hosts
        assert sagas.start(host, "slow", "slow-1", {"steps": 1, "seconds": 40})
        wait_until(lambda: len(sagas.began()) == 1, "it has begun")

        def events(asked: HostProcess) -> list[str]:
            answer = asked.client.get(f"{BASE}/instances/slow-1", params={"showHistory": "true"})
            return [event["EventType"] for event in answer.json().get("historyEvents", ())]

        def is_listed() -> bool:
            return all("TaskScheduled" in events(asked) for asked in (host, other))

        def is_known() -> bool:
            return any("TaskScheduled" in events(asked) for asked in (host, other))

        wait_until(is_known, "its owner tells of it", 5)
        wait_until(is_listed, "both hosts know of it", SEEN_S)
        sagas.wait_for_ends(other, {"slow-1"}, "slow-", 60)

        assert len(sagas.began()["slow-1", 0]) == 1
        assert not await sagas.messages()
