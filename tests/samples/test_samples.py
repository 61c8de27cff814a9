"""What the samples show, driven over HTTP."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from samples.hello_cities.function_app import say_hello
from samples.word_count.words import python_files, words_of
from tests.e2e.host_process import wait_until
from tests.e2e.witness import read_witness

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.host_process import HostProcess
    from tests.e2e.witness import Line

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BASE = "/runtime/webhooks/durabletask"


def run(host: HostProcess, orchestrator: str, input_: object, instance_id: str = "") -> Any:
    """Start an instance and wait for its output."""
    answer = host.client.post(
        f"{BASE}/orchestrators/{orchestrator}/{instance_id}".rstrip("/"),
        params={"timeout": 30, "pollingInterval": 1},
        json=input_,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def history(host: HostProcess, instance_id: str) -> list[dict[str, Any]]:
    query = "showHistory=true&showHistoryOutput=true"
    status = host.client.get(f"{BASE}/instances/{instance_id}?{query}").json()
    events: list[dict[str, Any]] = status["historyEvents"]
    return events


def test_a_decorated_function_stays_a_plain_one() -> None:
    assert say_hello("Oslo") == "Hello Oslo!"


def test_hello_cities_greets_in_order(host: HostProcess) -> None:
    started = host.client.post("/api/orchestrators/hello_cities")
    assert started.status_code == 202
    status = host.wait_for_end(started.json()["id"])

    assert status["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


def test_word_count_merges_the_counts_of_all_files(host: HostProcess, tmp_path: Path) -> None:
    write_odd_files(tmp_path)

    counted = run(host, "word_count", {"folder": str(tmp_path), "top": 3})

    assert counted == [["zebra", 5], ["straße", 3], ["coding", 2]]


def write_odd_files(folder: Path) -> None:
    """Write files in several encodings, one that lies about its own, and what must not count."""
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "site-packages").mkdir()
    (folder / "utf8.py").write_bytes("zebra = 'straße'".encode())
    (folder / "bom.py").write_bytes(b"\xef\xbb\xbf" + b"zebra")
    (folder / "latin.py").write_bytes(
        "# -*- coding: latin-1 -*-\nzebra, 'straße'".encode("latin-1")
    )
    (folder / "deep" / "lies.py").write_bytes(b"# coding: no-such-encoding\nzebra")
    (folder / "deep" / "er" / "broken.py").write_bytes(b"def zebra\n\n'\xff Stra\xc3\x9fe'")
    (folder / "deep" / "er" / "empty.py").touch()
    (folder / "site-packages" / "installed.py").write_text("zebra " * 100)
    (folder / "notes.txt").write_text("zebra " * 100)


def test_word_count_equals_a_plain_count_of_its_own_files(
    host: HostProcess, samples_folder: Path
) -> None:
    folder = str(samples_folder / "samples")
    plain: Counter[str] = Counter()
    for path in python_files(folder):
        plain.update(words_of(path))

    answer = host.client.post("/api/word-counts", json={"folder": folder, "top": 10_000})

    assert answer.status_code == 200
    assert dict(answer.json()) == plain


def test_word_count_of_a_missing_folder_fails_with_a_remedy(host: HostProcess) -> None:
    status = run(host, "word_count", {"folder": "no/such/folder"})

    assert status["runtimeStatus"] == "Failed"
    assert "'no/such/folder' is not a folder" in status["output"]


@pytest.mark.parametrize(("is_approved", "word"), [(True, "approved"), (False, "rejected")])
def test_a_decision_ends_an_approval_and_its_timer(
    host: HostProcess, is_approved: bool, word: str
) -> None:
    approval_id = f"approval-{word}"
    request = {"requester": "Ada", "subject": "a chair"}
    started = host.client.post(f"/api/approvals/{approval_id}", json=request)
    assert started.status_code == 202

    decided = host.client.post(
        f"/api/approvals/{approval_id}/decision", json={"approved": is_approved}
    )

    assert decided.json() == f"Your request was {word}."
    events = [event["EventType"] for event in history(host, approval_id)]
    assert "TimerCreated" in events
    assert "TimerFired" not in events


def test_an_approval_without_an_answer_is_escalated(host: HostProcess) -> None:
    request = {"requester": "Ada", "subject": "a lamp", "timeout_s": 0.1}

    outcome = run(host, "approval", request, "approval-silent")

    assert outcome == "Your request was escalated, because nobody answered in time."


def test_a_second_approval_of_the_same_id_is_refused(host: HostProcess) -> None:
    request = {"requester": "Ada", "subject": "a desk"}
    assert host.client.post("/api/approvals/approval-twice", json=request).status_code == 202

    again = host.client.post(f"{BASE}/orchestrators/approval/approval-twice", json=request)

    assert again.status_code == 409


def test_a_monitor_looks_until_the_file_stops_growing(host: HostProcess, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    watch = {"path": str(file), "interval_s": 0.05}
    host.client.post("/api/monitors/report", json=watch)
    wait_until(lambda: host.status("report")["customStatus"], "the monitor has looked once")
    file.write_text("id;amount\n")
    status = host.wait_for_end("report")

    assert status["output"] == f"{file} has arrived: 10 bytes"


def test_a_monitor_keeps_the_history_of_one_look_only(host: HostProcess, tmp_path: Path) -> None:
    watch = {"path": str(tmp_path / "never"), "interval_s": 0.01, "looks_left": 5}

    outcome = run(host, "monitor", watch, "monitor-never")

    assert outcome == f"{tmp_path / 'never'} has not arrived"
    events = [event["EventType"] for event in history(host, "monitor-never")]
    assert events == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]


def test_a_monitor_can_be_stopped(host: HostProcess) -> None:
    host.client.post("/api/monitors/stopped", json={"path": "never", "interval_s": 3600})
    stopped = host.client.delete("/api/monitors/stopped")
    status = host.wait_for_end("stopped")

    assert stopped.status_code == 202
    assert status["runtimeStatus"] == "Terminated"
    assert status["output"] == "stopped by a request"


def steps_of(order_id: str, witness: Path) -> list[Line]:
    """Give what the services were asked for this order."""
    return [
        line
        for line in read_witness(witness)
        if line.activity not in {"count_words", "list_python_files"}
        and line.value["order_id"] == order_id
    ]


def test_an_order_is_delivered_no_earlier_than_agreed(host: HostProcess, witness: Path) -> None:
    order = {"lines": [{"sku": "chair", "quantity": 2}, {"sku": "lamp"}], "dispatch_after_s": 0.3}

    outcome = run(host, "order_saga", order, "order-good")

    assert outcome["state"] == "delivered"
    assert outcome["tracking"].startswith("book_courier-")
    steps = steps_of("order-good", witness)
    assert [line.activity for line in steps] == [
        "reserve_stock",
        "reserve_stock",
        "charge_card",
        "book_courier",
    ]
    assert steps[-1].ran_at() >= steps[-1].moment("not_before")


def test_a_declined_order_is_undone_in_reverse_order(host: HostProcess, witness: Path) -> None:
    order = {"lines": [{"sku": "chair"}, {"sku": "lamp"}], "card": "declined"}

    outcome = run(host, "order_saga", order, "order-declined")

    assert outcome["state"] == "cancelled"
    assert outcome["reason"] == "the card was declined"
    steps = steps_of("order-declined", witness)
    assert [line.value["line"]["sku"] for line in steps if line.activity == "release_stock"] == [
        "lamp",
        "chair",
    ]
    assert "refund_card" not in {line.activity for line in steps}


def test_an_order_waits_for_its_confirmation(host: HostProcess) -> None:
    order = {"lines": [{"sku": "desk"}], "needs_confirmation": True}
    host.client.post("/api/orders/order-confirmed", json=order)
    wait_until(
        lambda: host.status("order-confirmed")["customStatus"] == "waiting for the customer",
        "the order waits",
    )

    confirmed = host.client.post(
        "/api/orders/order-confirmed/confirmation", content=json.dumps("Ada")
    )

    assert confirmed.status_code == 200
    assert confirmed.json()["confirmed_by"] == "Ada"
