"""`func-host start` and `func-host new` as somebody at a terminal sees them."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from tests.e2e.host_process import REPOSITORY, HostProcess, run_func_host, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HELLO = REPOSITORY / "samples" / "hello_cities"
CITIES = ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
LOOSELY_A_SECOND_S = 5.0


def hello(host: HostProcess) -> object:
    """Start hello_cities and wait for its output."""
    answer = host.client.post(
        "/runtime/webhooks/durabletask/orchestrators/hello_cities",
        params={"timeout": 30, "pollingInterval": 1},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_sample_gives_its_result_soon_after_the_start(tmp_path: Path) -> None:
    with HostProcess(HELLO, tmp_path) as host:
        assert hello(host) == CITIES
        assert host.startup_s < LOOSELY_A_SECOND_S


def test_the_start_prints_functions_with_their_urls_and_the_store(tmp_path: Path) -> None:
    with HostProcess(HELLO, tmp_path) as host:
        printed = host.printed()

        assert f"http://localhost:{host.port}/api/orchestrators/{{name}}" in printed.replace(
            "127.0.0.1", "localhost"
        )
        assert "hello_cities" in printed
        assert "say_hello" in printed
        assert "hub.db" in printed


def test_the_root_of_the_repository_serves_all_samples(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "host.json", tmp_path)
    shutil.copytree(REPOSITORY / "samples", tmp_path / "samples")
    with HostProcess(tmp_path, tmp_path) as host:
        assert hello(host) == CITIES
        for sample in ("approval", "monitor", "order_saga", "word_count"):
            assert sample in host.printed()


def test_a_new_app_runs(tmp_path: Path) -> None:
    made = run_func_host("new", "shop", cwd=tmp_path)
    assert made.returncode == 0, made.stderr

    with HostProcess(tmp_path / "shop", tmp_path) as host:
        started = host.client.post("/api/hello")
        assert started.status_code == 202, started.text
        status = host.wait_for_end(started.json()["id"])

        assert status["runtimeStatus"] == "Completed"
        assert status["output"] == CITIES


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run_func_host(
            "start", str(HELLO), "--port", port, "--storage", "memory", cwd=tmp_path
        )

    assert ended.returncode != 0
    assert_one_line(ended.stderr, port, "--port")


def test_a_second_owner_of_a_store_is_one_clear_line(tmp_path: Path) -> None:
    with HostProcess(HELLO, tmp_path) as host:
        store = f"sqlite:{host.store}"
        ended = run_func_host("start", str(HELLO), "--port", "0", "--storage", store, cwd=tmp_path)

        assert ended.returncode != 0
        assert_one_line(ended.stderr, "hub.db")
        assert hello(host) == CITIES


def test_of_two_hosts_started_at_once_on_one_store_one_serves(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = HostProcess(HELLO, tmp_path)
    other = HostProcess(HELLO, tmp_path / "other")
    other.store = one.store
    one.start(wait=False)
    other.start(wait=False)
    try:
        loser = wait_until(
            lambda: next((host for host in (one, other) if not host.is_running), None),
            "one of two hosts gives up",
        )
        winner = other if loser is one else one
        winner.wait_until_ready()

        assert hello(winner) == CITIES
        assert loser.wait() != 0
        assert "Traceback" not in loser.printed()
        assert "hub.db" in loser.printed()
    finally:
        one.close()
        other.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"version": "2.0",\n "extensions": {]}', "host.json"),
        ('{"version": "2.0", "extensions": {"durableTask": {"hubName": 7}}}', "hubName"),
        ('{"version": "2.0", "functionTimeout": "soon"}', "functionTimeout"),
        ("", "host.json"),
    ],
)
def test_a_bad_host_json_is_one_clear_line(tmp_path: Path, text: str, expected: str) -> None:
    app = tmp_path / "app"
    shutil.copytree(HELLO, app)
    (app / "host.json").write_text(text)

    ended = run_func_host("start", str(app), "--port", "0", "--storage", "memory", cwd=tmp_path)

    assert ended.returncode == 2
    assert_one_line(ended.stderr, expected)


def test_all_mistakes_of_an_app_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(
        "from func_bindings import activity_trigger, orchestration_trigger\n"
        "@activity_trigger\n"
        "def two_values(one, two): ...\n"
        "@orchestration_trigger\n"
        "async def gives_many(context):\n"
        "    yield context\n"
    )

    ended = run_func_host("start", ".", "--port", "0", "--storage", "memory", cwd=tmp_path)

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    told = [line for line in ended.stderr.splitlines() if "function_app.py" in line]
    assert len(told) == 2, ended.stderr
    assert any("two_values" in line for line in told)
    assert any("gives_many" in line for line in told)


def test_an_import_error_shows_the_frames_of_the_app(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("import models\n")
    (tmp_path / "models.py").write_text("import no_such_package_anywhere\n")

    ended = run_func_host("start", ".", "--port", "0", "--storage", "memory", cwd=tmp_path)

    assert ended.returncode == 2
    assert "models.py" in ended.stderr
    assert "no_such_package_anywhere" in ended.stderr
    assert "importlib" not in ended.stderr
    assert "func_host/" not in ended.stderr.replace("\\", "/")


def assert_one_line(stderr: str, *expected: str) -> None:
    """One line that says what, and no traceback."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    assert len(lines) == 1, stderr
    for part in expected:
        assert part in lines[0]
