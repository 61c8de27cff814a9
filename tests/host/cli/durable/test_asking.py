"""Asking the hub of an app: what goes wrong is a line and an exit code."""

from pathlib import Path

import pytest

from func_host.cli.durable.asking import ask_hub
from func_host.cli.durable.options import HubOptions
from func_host.config import ConfigError
from func_host.durable.backend import Backend, BackendUnavailableError


async def count(backend: Backend) -> int:
    async with backend:
        return (await backend.summary()).unfinished


async def fail_to_answer(_backend: Backend) -> int:
    raise BackendUnavailableError("Azure Storage does not answer.")


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_the_store_of_the_app_answers(tmp_path: Path, storage: str) -> None:
    assert ask_hub(HubOptions(app_dir=tmp_path, storage=storage), count) == 0
    assert (tmp_path / ".func-host").exists() == (storage == "sqlite")


def test_a_store_that_does_not_answer_exits_1_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        ask_hub(HubOptions(app_dir=tmp_path, storage="memory"), fail_to_answer)

    assert ended.value.code == 1
    assert capsys.readouterr().err == "Azure Storage does not answer.\n"


def test_a_mistake_in_the_settings_is_an_app_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        ask_hub(HubOptions(app_dir=tmp_path / "missing"), count)
