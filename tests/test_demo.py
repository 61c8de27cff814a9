"""The main job of the README, on a folder of a few files."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.host_process import REPOSITORY, environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def demo(*arguments: str, store: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- our own command line
        [sys.executable, "tools/demo.py", *arguments, "--storage", f"sqlite:{store}"],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_main_job_prints_the_most_frequent_words(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "one.py").write_text("spam = spam + egg\n")
    (folder / "two.py").write_text("spam(egg)\n")
    (folder / "three.txt").write_text("egg egg egg\n")

    ended = demo(str(folder), store=tmp_path / "hub.db")

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert "3  spam\n         2  egg\n" in ended.stdout
    assert "/instances/word-count" in ended.stdout


def test_it_counts_anew_where_it_has_counted_before(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("spam\n")
    demo(str(tmp_path), store=tmp_path / "hub.db")
    (tmp_path / "one.py").write_text("egg\n")

    ended = demo(str(tmp_path), store=tmp_path / "hub.db")

    assert "1  egg" in ended.stdout
    assert "spam" not in ended.stdout


def test_a_count_that_fails_is_told(tmp_path: Path) -> None:
    ended = demo(str(tmp_path / "missing"), store=tmp_path / "hub.db")

    assert ended.returncode == 1
    assert "NotADirectoryError" in ended.stderr
