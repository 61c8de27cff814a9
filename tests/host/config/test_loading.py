from pathlib import Path

import pytest

from func_host.config import ConfigError, load_configuration


def app(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "function_app.py").touch()
    return folder


def apps_of(root: Path, *patterns: str) -> tuple[Path, ...]:
    listed = ", ".join(f'"{pattern}"' for pattern in patterns)
    (root / "host.json").write_text(f'{{"version": "2.0", "funcHost": {{"apps": [{listed}]}}}}')
    return load_configuration(root, environment={}).app_dirs


def test_the_folder_is_the_app_where_no_others_are_named(tmp_path: Path) -> None:
    configuration = load_configuration(tmp_path, environment={})

    assert configuration.app_dirs == (tmp_path,)
    assert configuration.warnings == ()


@pytest.mark.parametrize("name", ["missing", "file.txt"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").touch()

    with pytest.raises(ConfigError, match=name):
        load_configuration(tmp_path / name, environment={})


def test_apps_come_in_the_order_of_the_patterns_then_by_name(tmp_path: Path) -> None:
    second, first, other = (app(tmp_path / name) for name in ("x/b", "x/a", "other"))
    app(tmp_path / "x/.hidden")
    app(tmp_path / "x/__pycache__")
    (tmp_path / "x/README.md").touch()
    (tmp_path / "x/docs").mkdir()

    assert apps_of(tmp_path, "other", "x/*", "x/b") == (other, first, second)


@pytest.mark.parametrize("pattern", ["nothing/*", "/absolute", ""])
def test_a_pattern_without_an_app_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"funcHost\.apps"):
        apps_of(tmp_path, pattern)


def test_local_settings_override_host_json_as_the_environment_does(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text(
        '{"Values": {"AzureFunctionsJobHost__extensions__durableTask__hubName": "FromValues"}}'
    )

    configuration = load_configuration(tmp_path, environment={})

    assert configuration.host_json.durable_task.hub_name == "FromValues"
