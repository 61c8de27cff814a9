"""Mistakes once made on the command line."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from func_host.cli.group import main
from func_host.cli.stopping import leaving_threads_behind
from func_host.server import HostFaultError, ListeningSocket

if TYPE_CHECKING:
    from pathlib import Path


def test_ctrl_c_while_the_app_is_loaded_is_no_fault(tmp_path: Path) -> None:
    """It said `Aborted!` and had the exit code of a host that failed."""
    (tmp_path / "function_app.py").write_text("raise KeyboardInterrupt")

    result = CliRunner().invoke(main, ["start", str(tmp_path), "--port", "0"])

    assert (result.exit_code, result.output.strip()) == (130, "")


def test_an_address_of_another_machine_is_not_blamed_on_the_port() -> None:
    """It said that somebody else uses the port."""
    with pytest.raises(HostFaultError, match=r"192\.0\.2\.1: it is no address of this machine"):
        ListeningSocket("192.0.2.1", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_of_an_activity_does_not_keep_the_port() -> None:
    """A worker of multiprocessing outlived a host that was killed, and so no new one started."""
    listening = ListeningSocket("127.0.0.1", 0)
    listening.socket.listen()
    (let_go, hold), (is_ready, say_ready) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hold)
        os.write(say_ready, b"!")
        os.read(let_go, 1)
        os._exit(0)
    try:
        os.read(is_ready, 1)
        listening.close()  # as the end of the process does

        ListeningSocket("127.0.0.1", listening.port).close()
    finally:
        os.close(hold)
        os.waitpid(child, 0)
        for descriptor in (let_go, is_ready, say_ready):
            os.close(descriptor)


def test_threads_that_do_not_end_do_not_keep_a_stopped_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Closing the loop waited for what `asyncio.to_thread` had begun, up to five minutes."""
    left = threading.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    monkeypatch.setattr(os, "_exit", leave)
    with leaving_threads_behind(60):
        pass
    assert codes == []
    with leaving_threads_behind(0):
        assert left.wait(10)
    assert codes == [0]
