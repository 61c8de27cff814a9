"""Entities of a host that is killed again and again: locks, exactly once, and order.

The full programme: BANK_TRANSFERS=2000 BANK_KILLS=10, and COUNTER_INCREMENTS=10000
COUNTER_KILLS=10.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.entity_runs import Bank, count_exactly
from tests.e2e.host_process import REPOSITORY, HostProcess
from tests.e2e.insisting import Clients
from tests.e2e.senders import record_in_order

if TYPE_CHECKING:
    from tests.e2e.chance import Chance

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

RECORDER = Path(__file__).parent / "apps" / "recorder"
ACCOUNTS = 100
TRANSFERS = int(os.environ.get("BANK_TRANSFERS", "150"))
BANK_KILLS = int(os.environ.get("BANK_KILLS", "3"))
INCREMENTS = int(os.environ.get("COUNTER_INCREMENTS", "1000"))
COUNTER_KILLS = int(os.environ.get("COUNTER_KILLS", "3"))
ORDER_KILLS = 3
TIMEOUT_S = 120.0


def test_transfers_are_whole_or_not_at_all_however_often_the_host_is_killed(
    tmp_path: Path, chance: Chance
) -> None:
    with HostProcess(REPOSITORY / "samples" / "bank_transfer", tmp_path) as host:
        clients = Clients([host], TIMEOUT_S)
        bank = Bank.draw(clients, chance, ACCOUNTS, TRANSFERS)
        bank.open()
        bank.transfer_all(chance, BANK_KILLS)
        bank.check()

        told = {receipt["state"] for receipt in bank.receipts.values()}
        print(f"{told}, {clients.unanswered} requests unanswered")  # noqa: T201 -- shown with a failure
        assert "Traceback" not in host.printed()


def test_increments_count_once_however_often_the_host_is_killed(
    tmp_path: Path, chance: Chance
) -> None:
    with HostProcess(REPOSITORY / "samples" / "counter", tmp_path) as host:
        clients = Clients([host], TIMEOUT_S)
        count_exactly(clients, chance, INCREMENTS, COUNTER_KILLS)

        assert clients.unanswered
        assert "Traceback" not in host.printed()


def test_each_sender_is_heard_in_order_however_often_the_host_is_killed(
    tmp_path: Path, chance: Chance
) -> None:
    with HostProcess(RECORDER, tmp_path) as host:
        record_in_order(Clients([host], TIMEOUT_S), chance, ORDER_KILLS)

        assert "Traceback" not in host.printed()
