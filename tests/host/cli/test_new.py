import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from func_host.cli.group import main
from func_host.config import load_configuration
from func_host.host import load_functions
from func_host.testing.harness import AppHarness


def new(name: Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["new", str(name)])
    return result.exit_code, result.output


def test_a_new_app_holds_all_that_an_app_needs(tmp_path: Path) -> None:
    code, output = new(tmp_path / "shop")

    assert code == 0
    assert f"func-host start {tmp_path / 'shop'}" in output
    assert {path.name for path in (tmp_path / "shop").iterdir()} == {
        ".funcignore",
        ".gitignore",
        "README.md",
        "function_app.py",
        "host.json",
        "local.settings.json",
    }
    assert (tmp_path / "shop" / "README.md").read_text().startswith("# shop\n")
    assert json.loads((tmp_path / "shop" / "host.json").read_text())["version"] == "2.0"


def test_its_settings_warn_of_nothing(tmp_path: Path) -> None:
    new(tmp_path / "shop")

    configuration = load_configuration(tmp_path / "shop", environment={})

    assert configuration.warnings == ()
    assert load_functions(configuration).warnings == ()


@pytest.mark.anyio
async def test_its_orchestration_completes(tmp_path: Path) -> None:
    new(tmp_path / "shop")

    async with AppHarness(tmp_path / "shop") as harness:
        instance_id = await harness.client.start_new("hello_cities")
        status = await harness.client.wait_for_completion(instance_id)

        assert status.output == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    assert new(tmp_path)[0] == 0


@pytest.mark.parametrize("in_use", ["file", "folder"])
def test_what_is_there_is_not_touched(tmp_path: Path, in_use: str) -> None:
    target = tmp_path / "shop"
    if in_use == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))

    code, output = new(target)

    assert code == 2
    assert output == f"{target} exists and is not an empty folder: give another name.\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_below_a_file_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    code, output = new(tmp_path / "file" / "shop")

    assert code == 2
    assert output.count("\n") == 1
    assert "cannot be written" in output
