import os
from pathlib import Path

import pytest

from func_host.config.app_settings import AppSettings, export_app_settings, read_app_settings
from func_host.config.document import ConfigError


def write(folder: Path, text: str) -> None:
    (folder / "local.settings.json").write_text(text, encoding="utf-8")


def test_values_of_the_file_are_settings_unless_the_environment_says_otherwise(
    tmp_path: Path,
) -> None:
    write(tmp_path, '{"IsEncrypted": false, "Values": {"A": "file", "B": "file", "N": null}}')

    settings = read_app_settings(tmp_path, {"b": "environment"})

    assert settings.get("A") == "file"
    assert settings.get("B") == "environment"
    assert settings.get("N") is None


def test_plain_values_that_are_no_text_count_as_they_are_written(tmp_path: Path) -> None:
    write(tmp_path, '{"Values": {"FLAG": true, "NUMBER": 5}}')

    settings = read_app_settings(tmp_path, {})

    assert (settings.get("FLAG"), settings.get("NUMBER")) == ("true", "5")


def test_port_address_and_connection_strings_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        '{"Host": {"LocalHttpPort": 7080, "LocalHttpAddress": "::1"},'
        ' "ConnectionStrings": {"Db": "x"}}',
    )

    settings = read_app_settings(tmp_path, {})

    assert (settings.local_port, settings.local_address) == (7080, "::1")
    assert settings.get("ConnectionStrings:Db") == "x"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"IsEncrypted": true}', "IsEncrypted: the values are encrypted"),
        ('{"Values": []}', "Values: expected an object"),
        ('{"Values": {"A": {}}}', r"Values\.A: expected a text"),
        ('{"Host": {"LocalHttpPort": 70000}}', r"Host\.LocalHttpPort: expected a whole number"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    write(tmp_path, text)

    with pytest.raises(ConfigError, match=rf"local\.settings\.json:1: {problem}"):
        read_app_settings(tmp_path, {})


def test_an_empty_setting_is_none() -> None:
    settings = AppSettings({"AzureWebJobsStorage": ""})

    assert settings.get("AzureWebJobsStorage") is None
    assert not settings.has_connection("AzureWebJobsStorage")


def test_a_connection_is_a_string_or_a_section() -> None:
    assert AppSettings({"Store": "x"}).has_connection("Store")
    assert AppSettings({"Store__accountName": "x"}).has_connection("Store")
    assert not AppSettings({"Store__accountName": ""}).has_connection("Store")


@pytest.mark.parametrize(
    ("value", "disabled"), [("true", True), ("1", True), ("False", False), ("", False)]
)
def test_a_function_is_disabled_by_its_setting(value: str, disabled: bool) -> None:
    settings = AppSettings({"AzureWebJobs.Pay.Disabled": value})

    assert settings.is_disabled("pay") is disabled
    assert not settings.is_disabled("other")


def test_references_are_resolved_and_a_missing_one_is_named() -> None:
    settings = AppSettings({"NAME": "hub"})

    assert settings.resolve("my%name%1") == "myhub1"
    with pytest.raises(LookupError, match="no app setting OTHER"):
        settings.resolve("%OTHER%")


def test_settings_are_never_shown() -> None:
    assert "secret" not in repr(AppSettings({"FUNC_HOST_MASTER_KEY": "secret"}))


def test_user_code_sees_settings_as_environment_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"SET": "already"})

    export_app_settings(AppSettings({"SET": "file", "NEW": "file"}), tmp_path)

    assert os.environ["SET"] == "already"
    assert os.environ["NEW"] == "file"
    assert os.environ["AZURE_FUNCTIONS_ENVIRONMENT"] == "Development"
    assert dict(os.environ)["AzureWebJobsScriptRoot"] == str(tmp_path)
