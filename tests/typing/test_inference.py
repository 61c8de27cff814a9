"""Both type checkers infer what `inference.py` says, and would notice if it were not so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
INFERENCE = Path(__file__).with_name("inference.py")
WRONG = """
from typing import assert_type
from func_bindings import OrchestrationContext, activity_trigger, orchestration_trigger

@activity_trigger
def say_hello(city: str) -> str:
    return city

@orchestration_trigger
async def hello(context: OrchestrationContext) -> None:
    assert_type(await context.call_activity(say_hello, "x"), int)
"""


def run(*command: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- the type checkers of this environment
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_mypy(file: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    return run("mypy", "--strict", "--no-pretty", "--cache-dir", str(cache), str(file))


def run_pyright(file: Path) -> subprocess.CompletedProcess[str]:
    if run("pyright", "--version").returncode != 0:
        pytest.skip("pyright cannot be started here: it fetches itself when it first runs")
    return run("pyright", "--pythonpath", sys.executable, str(file))


def test_mypy_infers_results(tmp_path: Path) -> None:
    good = run_mypy(INFERENCE, tmp_path / "cache")
    (wrong := tmp_path / "wrong.py").write_text(WRONG)
    bad = run_mypy(wrong, tmp_path / "cache")

    assert good.returncode == 0, good.stdout + good.stderr
    assert 'Expression is of type "str", not "int"' in bad.stdout, bad.stdout + bad.stderr


def test_pyright_infers_results(tmp_path: Path) -> None:
    good = run_pyright(INFERENCE)
    (wrong := tmp_path / "wrong.py").write_text(WRONG)
    bad = run_pyright(wrong)

    assert good.returncode == 0, good.stdout + good.stderr
    assert 'expected "int" but received "str"' in bad.stdout, bad.stdout + bad.stderr


def test_every_public_name_of_the_bindings_has_a_known_type() -> None:
    if run("pyright", "--version").returncode != 0:
        pytest.skip("pyright cannot be started here: it fetches itself when it first runs")
    verified = run(
        "pyright",
        "--pythonpath",
        sys.executable,
        "--verifytypes",
        "func_bindings",
        "--ignoreexternal",
        path=str(ROOT / "bindings"),
    )

    assert "Type completeness score: 100%" in verified.stdout, verified.stdout + verified.stderr
