import json
from datetime import timedelta
from pathlib import Path

import pytest

from func_host.config import AppLeaseOptions, AppSettings, ConfigError
from func_host.config.document import read_document
from func_host.config.host_json import read_host_json


def read(folder: Path, **settings: object) -> AppLeaseOptions | None:
    file = folder / "host.json"
    extensions = {"durableTask": settings}
    file.write_text(json.dumps({"version": "2.0", "extensions": extensions}, indent=1))
    host_json, warnings = read_host_json(read_document(file), AppSettings())
    assert warnings == []
    return host_json.durable_task.app_lease


def test_an_app_has_its_hub_for_itself_unless_told_otherwise(tmp_path: Path) -> None:
    assert read(tmp_path) == AppLeaseOptions(
        renew_interval=timedelta(seconds=25),
        acquire_interval=timedelta(minutes=5),
        lease_interval=timedelta(seconds=60),
    )
    assert read(tmp_path, useAppLease=False) is None


def test_the_options_are_read(tmp_path: Path) -> None:
    options = {
        "renewInterval": "00:00:05",
        "acquireInterval": "00:00:10",
        "leaseInterval": "00:00:15",
    }

    assert read(tmp_path, appLeaseOptions=options) == AppLeaseOptions(
        renew_interval=timedelta(seconds=5),
        acquire_interval=timedelta(seconds=10),
        lease_interval=timedelta(seconds=15),
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("leaseInterval", "00:00:14", "at least 15 s"),
        ("leaseInterval", "00:01:01", "at most 60 s"),
        ("renewInterval", "00:00:00", "at least 1 s"),
        ("acquireInterval", "00:00:00", "at least 1 s"),
        ("renewInterval", "00:01:00", "shorter than leaseInterval"),
    ],
)
def test_a_lease_that_could_not_be_held_is_refused(
    tmp_path: Path, name: str, value: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, appLeaseOptions={name: value})

    assert f"durableTask.appLeaseOptions.{name}: " in str(caught.value)
    assert expected in str(caught.value)
