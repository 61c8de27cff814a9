"""Every README of a sample does what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.host_process import REPOSITORY, HostProcess
from tests.samples.readme import read_readme, run_step

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SAMPLES = sorted(path.parent.name for path in REPOSITORY.glob("samples/*/README.md"))


def test_every_sample_has_a_readme() -> None:
    folders = {path.parent.name for path in REPOSITORY.glob("samples/*/function_app.py")}

    assert folders == set(SAMPLES)
    assert folders >= {"hello_cities", "word_count", "approval", "monitor", "order_saga"}
    assert folders >= {"counter", "bank_transfer", "chat_room"}


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_commands_of_a_readme_work(sample: str, samples_folder: Path, tmp_path: Path) -> None:
    readme = read_readme(samples_folder / "samples" / sample / "README.md")
    assert readme.app == f"samples/{sample}"

    host = HostProcess(
        samples_folder / readme.app, tmp_path, settings={"SERVICE_TROUBLE_PERCENT": "10"}
    )
    host.working_folder = samples_folder
    with host:
        for step in readme.steps:
            run_step(step, host.client, samples_folder)
        assert "Traceback" not in host.printed()
