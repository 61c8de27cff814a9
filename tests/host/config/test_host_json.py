import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from func_host.config import AppSettings, ConfigError, HostJson, OverridableStates, StorageType
from func_host.config.document import override, read_document
from func_host.config.durable_task import default_hub_name
from func_host.config.host_json import read_host_json


def read(folder: Path, content: dict[str, Any], **settings: str) -> tuple[HostJson, list[str]]:
    file = folder / "host.json"
    file.write_text(json.dumps({"version": "2.0", **content}, indent=1), encoding="utf-8")
    document = override(read_document(file), "AzureFunctionsJobHost__", settings)
    return read_host_json(document, AppSettings(settings))


def refused(folder: Path, content: dict[str, Any], **settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, content, **settings)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_missing_file_gives_the_defaults(tmp_path: Path) -> None:
    host_json, warnings = read_host_json(read_document(tmp_path / "host.json"), AppSettings())

    assert host_json == HostJson()
    assert warnings == []


def test_the_defaults_are_azures(tmp_path: Path) -> None:
    host_json, _ = read(tmp_path, {})

    assert host_json.function_timeout == timedelta(minutes=30)
    assert host_json.http.route_prefix == "api"
    assert host_json.durable_task.hub_name == "TestHubName"
    assert host_json.durable_task.max_concurrent_activity_functions % 10 == 0
    assert host_json.durable_task.max_concurrent_entity_functions % 10 == 0
    assert host_json.durable_task.max_entity_operation_batch_size == 5_000
    assert host_json.durable_task.entity_message_reorder_window == timedelta(minutes=30)
    assert host_json.durable_task.rollback_entity_operations_on_exceptions
    assert host_json.durable_task.storage_provider.type is None


@pytest.mark.parametrize("version", ["1.0", "", None, 2])
def test_another_version_is_an_error(tmp_path: Path, version: object) -> None:
    assert f"{tmp_path / 'host.json'}:2: version: " in refused(tmp_path, {"version": version})


def test_a_file_without_version_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("{}")

    with pytest.raises(ConfigError, match=r'version: must be "2\.0", and it is missing'):
        read_host_json(read_document(tmp_path / "host.json"), AppSettings())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("00:10:00", timedelta(minutes=10)),
        ("-1", None),
        (-1, None),
        ("1.00:00:00", timedelta(days=1)),
        (None, timedelta(minutes=30)),
    ],
)
def test_function_timeout_is_a_time_span_or_unlimited(
    tmp_path: Path, written: object, expected: timedelta | None
) -> None:
    assert read(tmp_path, {"functionTimeout": written})[0].function_timeout == expected


@pytest.mark.parametrize("written", ["00:00:00", "soon", 5, "-2"])
def test_a_function_timeout_that_is_none_is_refused(tmp_path: Path, written: object) -> None:
    assert "functionTimeout: expected" in refused(tmp_path, {"functionTimeout": written})


def test_keys_are_read_whatever_their_case(tmp_path: Path) -> None:
    host_json, warnings = read(
        tmp_path, {"EXTENSIONS": {"durabletask": {"HUBNAME": "Mine"}, "Http": {"routeprefix": ""}}}
    )

    assert host_json.durable_task.hub_name == "Mine"
    assert host_json.http.route_prefix == ""
    assert warnings == []


def test_durable_settings_are_read(tmp_path: Path) -> None:
    durable = {
        "maxConcurrentActivityFunctions": 3,
        "maxConcurrentOrchestratorFunctions": "4",
        "overridableExistingInstanceStates": "anystate",
        "defaultVersion": "1.5",
        "maxOrchestrationActions": 50,
        "maxConcurrentEntityFunctions": 7,
        "maxEntityOperationBatchSize": "8",
        "entityMessageReorderWindowInMinutes": 0,
        "rollbackEntityOperationsOnExceptions": "False",
        "storeInputsInOrchestrationHistory": "true",
        "storageProvider": {"type": "SQLite", "path": "a/b.db", "connectionName": "Other"},
    }

    settings = read(tmp_path, {"extensions": {"durableTask": durable}})[0].durable_task

    assert settings.max_concurrent_activity_functions == 3
    assert settings.max_concurrent_orchestrator_functions == 4
    assert settings.overridable_existing_instance_states is OverridableStates.ANY_STATE
    assert settings.default_version == "1.5"
    assert settings.max_orchestration_actions == 50
    assert settings.max_concurrent_entity_functions == 7
    assert settings.max_entity_operation_batch_size == 8
    assert settings.entity_message_reorder_window == timedelta(0)
    assert not settings.rollback_entity_operations_on_exceptions
    assert settings.store_inputs_in_orchestration_history
    assert settings.storage_provider.type is StorageType.SQLITE
    assert settings.storage_provider.path == "a/b.db"
    assert settings.storage_provider.connection_name == "Other"


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"durableTask": {"maxConcurrentActivityFunctions": 0}}, "whole number of 1 or more"),
        ({"durableTask": {"maxConcurrentActivityFunctions": 2.5}}, "whole number of 1 or more"),
        ({"durableTask": {"maxConcurrentActivityFunctions": True}}, "whole number of 1 or more"),
        ({"durableTask": {"maxConcurrentOrchestratorFunctions": "x"}}, "whole number"),
        ({"durableTask": {"maxConcurrentEntityFunctions": 0}}, "whole number of 1 or more"),
        ({"durableTask": {"maxEntityOperationBatchSize": 0}}, "whole number of 1 or more"),
        ({"durableTask": {"entityMessageReorderWindowInMinutes": -1}}, "from 0 to 10080, not -1"),
        ({"durableTask": {"rollbackEntityOperationsOnExceptions": 1}}, "expected true or false"),
        ({"durableTask": {"hubName": "my-hub"}}, '"my-hub" is not a task hub name'),
        ({"durableTask": {"hubName": "../x"}}, '"../x" is not a task hub name'),
        ({"durableTask": {"hubName": "%NOPE%"}}, "there is no app setting NOPE"),
        ({"durableTask": {"storageProvider": {"type": "mssql"}}}, '"sqlite", "azureStorage"'),
        ({"durableTask": {"storageProvider": {"path": " "}}}, "path of a file"),
        ({"durableTask": {"storageProvider": []}}, "expected an object"),
        ({"durableTask": 5}, "expected an object"),
        ({"http": {"routePrefix": 5}}, 'expected a text "…", not 5'),
    ],
)
def test_a_wrong_value_is_told_with_its_line_and_path(
    tmp_path: Path, section: dict[str, Any], problem: str
) -> None:
    message = refused(tmp_path, {"extensions": section})

    assert problem in message
    assert f"{tmp_path / 'host.json'}:" in message
    assert f": extensions.{next(iter(section))}" in message


def test_unknown_keys_warn_with_their_path_and_the_likely_one(tmp_path: Path) -> None:
    content = {
        "extensions": {"durableTask": {"hubNam": "x", "storageProvider": {"file": "y"}}},
        "functionTimeOuts": "00:01:00",
    }

    _, warnings = read(tmp_path, content)

    where, effect = tmp_path / "host.json", "is not a setting, so it has no effect"
    assert warnings == [
        f"{where}:11: functionTimeOuts {effect} (did you mean functionTimeout?).",
        f"{where}:5: extensions.durableTask.hubNam {effect} (did you mean hubName?).",
        f"{where}:7: extensions.durableTask.storageProvider.file {effect}.",
    ]


def test_keys_that_azure_knows_and_nobody_reads_do_not_warn(tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "extensionBundle": {"id": "x", "version": "[4.*, 5.0.0)"},
        "logging": {"applicationInsights": {"samplingSettings": {}}, "logLevel": {}},
        "extensions": {
            "queues": {"anything": 1},
            "durableTask": {"extendedSessionsEnabled": False, "tracing": {"version": "V2"}},
        },
    }

    assert read(tmp_path, content)[1] == []


def test_a_variable_overrides_the_file_and_is_named_when_it_is_wrong(tmp_path: Path) -> None:
    name = "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"
    content = {"extensions": {"durableTask": {"maxConcurrentActivityFunctions": 5}}}

    good, _ = read(tmp_path, content, **{name: "7"})

    assert good.durable_task.max_concurrent_activity_functions == 7
    assert f"environment variable {name}: " in refused(tmp_path, content, **{name: "many"})


def test_the_hub_name_comes_from_a_setting_or_the_sites_name(tmp_path: Path) -> None:
    content = {"extensions": {"durableTask": {"hubName": "%HUB%v2"}}}

    assert read(tmp_path, content, HUB="Orders")[0].durable_task.hub_name == "Ordersv2"
    assert read(tmp_path, {}, WEBSITE_SITE_NAME="my-site")[0].durable_task.hub_name == "mysite"


@pytest.mark.parametrize(
    ("site", "hub"),
    [
        ("my-site", "mysite"),
        ("1abc", "t1abc"),
        ("12", "t12"),
        ("a", "aHub"),
        ("---", "DefaultTaskHub"),
        ("x" * 60, "x" * 45),
        (None, "TestHubName"),
    ],
)
def test_a_hub_name_is_made_of_a_sites_name_as_the_extension_does(
    site: str | None, hub: str
) -> None:
    assert default_hub_name(site) == hub


def test_our_own_settings_stand_under_func_host(tmp_path: Path) -> None:
    own = {
        "apps": ["samples/*"],
        "sessionCacheSize": 10,
        "resultCommitDelayInMilliseconds": 200,
        "functionThreads": 8,
        "drainTimeout": "00:00:03",
    }

    host_json, warnings = read(tmp_path, {"funcHost": own})

    assert host_json.app_patterns == ("samples/*",)
    assert host_json.worker.session_cache_size == 10
    assert host_json.worker.result_commit_delay == timedelta(milliseconds=200)
    assert host_json.worker.function_threads == 8
    assert host_json.worker.drain_timeout == timedelta(seconds=3)
    assert warnings == []


def test_a_result_never_waits_longer_than_200_ms(tmp_path: Path) -> None:
    message = refused(tmp_path, {"funcHost": {"resultCommitDelayInMilliseconds": 201}})

    assert "expected a whole number from 0 to 200, not 201" in message


@pytest.mark.parametrize("apps", [[], "samples", [1]])
def test_apps_are_a_list_of_patterns(tmp_path: Path, apps: object) -> None:
    assert "funcHost.apps: expected" in refused(tmp_path, {"funcHost": {"apps": apps}})


def test_a_list_may_come_from_variables_by_index(tmp_path: Path) -> None:
    host_json, _ = read(
        tmp_path,
        {},
        AzureFunctionsJobHost__funcHost__apps__0="a",
        AzureFunctionsJobHost__funcHost__apps__1="b",
    )

    assert host_json.app_patterns == ("a", "b")


def test_log_levels_are_nets(tmp_path: Path) -> None:
    levels = read(tmp_path, {"logging": {"logLevel": {"default": "warning", "Function": "None"}}})
    numbers = {category: level.number for category, level in levels[0].log_levels.items()}

    assert numbers["default"] == logging.WARNING
    assert numbers["Function"] > logging.CRITICAL
    assert "logging.logLevel.x: expected one of Trace" in refused(
        tmp_path, {"logging": {"logLevel": {"x": "loud"}}}
    )


def test_the_body_limit_is_azures_app_setting(tmp_path: Path) -> None:
    limit = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"

    assert read(tmp_path, {}, **{limit: "1000"})[0].http.request_body_bytes_max == 1000
    assert "expected a number of bytes" in refused(tmp_path, {}, **{limit: "big"})
