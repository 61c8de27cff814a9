"""`run.py` sets a checkout up once, and again where it no longer fits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import run

if TYPE_CHECKING:
    from pathlib import Path


class Setup:
    """The commands that would have been run, instead of them."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / ".venv" / "bin" / "python"
        self.commands: list[list[str]] = []
        self.became: list[list[str]] = []

    def run(self, command: list[str]) -> None:
        self.commands.append(command)
        if "venv" in command:
            self.python.parent.mkdir(parents=True, exist_ok=True)
            self.python.touch()

    def become(self, command: list[str]) -> int:
        self.became.append(command)
        return 0

    @property
    def steps(self) -> list[str]:
        """What was done since the last look, in a word each."""
        words = {"venv": "make", "--requirement": "install", "--editable": "link"}
        steps = [words[word] for command in self.commands for word in command if word in words]
        self.commands.clear()
        return steps


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    setup = Setup(tmp_path)
    monkeypatch.setattr(run, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(run, "STAMP", tmp_path / ".venv" / "stamp.json")
    monkeypatch.setattr(run, "PYTHON", setup.python)
    monkeypatch.setattr(run, "_run", setup.run)
    monkeypatch.setattr(run, "_become", setup.become)
    return setup


def test_the_first_time_an_environment_is_made_and_the_second_time_nothing(setup: Setup) -> None:
    assert run.main([]) == 0
    assert setup.steps == ["make", "install", "link"]

    assert run.main([]) == 0
    assert setup.steps == []
    assert [command[0] for command in setup.became] == [str(setup.python)] * 2


def test_packages_are_installed_by_their_hashes_from_outside(setup: Setup) -> None:
    run.prepare("run")

    make, install, _ = setup.commands
    assert "--without-pip" in make
    assert install[:3] == [sys.executable, "-m", "pip"]
    assert install[install.index("--python") + 1] == str(setup.python)
    assert {"--require-hashes", "--no-deps"} <= set(install)


def test_whoever_can_run_the_checks_can_run_the_host(setup: Setup) -> None:
    run.main(["test", "-k", "x"])
    assert setup.steps == ["make", "install", "link"]
    assert setup.became[0][-2:] == ["-k", "x"]

    run.main([])
    assert setup.steps == []


def test_the_checks_are_added_to_an_environment_that_runs_the_host(setup: Setup) -> None:
    run.main([])
    assert setup.steps == ["make", "install", "link"]

    run.main(["test"])
    assert setup.steps == ["install", "link"]


def test_another_python_gets_an_environment_of_its_own(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.main([])
    assert setup.steps == ["make", "install", "link"]

    monkeypatch.setattr(sys, "version", "3.99.0")
    run.main([])
    assert setup.steps == ["make", "install", "link"]


def test_an_installation_that_broke_off_is_done_again(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str]) -> None:
        setup.run(command)
        if "--requirement" in command:
            raise SystemExit(2)

    monkeypatch.setattr(run, "_run", fail)
    with pytest.raises(SystemExit):
        run.main([])
    assert setup.steps == ["make", "install"]

    monkeypatch.setattr(run, "_run", setup.run)
    run.main([])
    assert setup.steps == ["install", "link"]


def test_an_environment_of_somebody_else_is_not_touched(
    setup: Setup, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.python.parent.mkdir(parents=True)
    setup.python.touch()

    with pytest.raises(SystemExit):
        run.main([])

    assert setup.steps == []
    assert "was not made by this command: move it away" in capsys.readouterr().err


def test_an_older_python_is_told_what_is_needed(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))

    assert run.main([]) == 2
    assert setup.steps == []
    assert "needs Python 3.11 or newer" in capsys.readouterr().err


def test_an_unknown_word_is_answered_with_the_known_ones(
    setup: Setup, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["tset"]) == 2
    assert setup.steps == []
    assert "python3 run.py test" in capsys.readouterr().err
