"""Seeds, and copies of the samples whose history keeps the inputs of activities."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.chance import Chance, seeded_chance
from tests.e2e.host_process import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KEEP_INPUTS = {
    "version": "2.0",
    "extensions": {"durableTask": {"storeInputsInOrchestrationHistory": True}},
}


@pytest.fixture
def chance() -> Chance:
    return seeded_chance()


@pytest.fixture
def sample(tmp_path: Path) -> Callable[[str], Path]:
    """Copy a sample and let its history keep inputs, so that they can be compared."""

    def copy(name: str) -> Path:
        app = tmp_path / "apps" / name
        shutil.copytree(REPOSITORY / "samples" / name, app)
        (app / "host.json").write_text(json.dumps(_KEEP_INPUTS))
        return app

    return copy
