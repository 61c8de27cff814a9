"""Mistakes once made on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from func_host.cli.group import main
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
