import json
from datetime import timedelta
from pathlib import Path

import pytest

from func_host.config import AppSettings, ConfigError, StorageProvider, StorageType
from func_host.config.document import read_document
from func_host.config.host_json import read_host_json

MANAGER = "the table partition manager is the only one"


def read(folder: Path, **settings: object) -> StorageProvider:
    file = folder / "host.json"
    durable = {"durableTask": {"storageProvider": settings}}
    file.write_text(json.dumps({"version": "2.0", "extensions": durable}, indent=1))
    host_json, warnings = read_host_json(read_document(file), AppSettings())
    assert warnings == []
    return host_json.durable_task.storage_provider


def refused(folder: Path, **settings: object) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_are_azures_but_for_the_time_of_a_claim(tmp_path: Path) -> None:
    assert read(tmp_path) == StorageProvider(
        type=None,
        path=None,
        connection_name="AzureWebJobsStorage",
        partition_count=4,
        control_queue_batch_size=32,
        control_queue_buffer_threshold=256,
        control_queue_visibility_timeout=timedelta(minutes=1),
        work_item_queue_visibility_timeout=timedelta(minutes=1),
        max_queue_polling_interval=timedelta(seconds=30),
        azure_refusal=None,
    )


def test_all_of_it_is_read(tmp_path: Path) -> None:
    provider = read(
        tmp_path,
        type="AZURESTORAGE",
        connectionName="Shop",
        partitionCount=16,
        controlQueueBatchSize=8,
        controlQueueBufferThreshold="1000",
        controlQueueVisibilityTimeout="00:00:05",
        workItemQueueVisibilityTimeout="00:00:30",
        maxQueuePollingInterval="00:00:00.2",
    )

    assert provider == StorageProvider(
        type=StorageType.AZURE_STORAGE,
        connection_name="Shop",
        partition_count=16,
        control_queue_batch_size=8,
        control_queue_buffer_threshold=1000,
        control_queue_visibility_timeout=timedelta(seconds=5),
        work_item_queue_visibility_timeout=timedelta(seconds=30),
        max_queue_polling_interval=timedelta(seconds=0.2),
    )


def test_the_older_name_of_the_connection_counts_where_the_other_is_missing(
    tmp_path: Path,
) -> None:
    both = read(tmp_path, connectionStringName="Old", connectionName="New")

    assert read(tmp_path, connectionStringName="Old").connection_name == "Old"
    assert both.connection_name == "New"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("partitionCount", 0, "from 1 to 16"),
        ("partitionCount", 17, "from 1 to 16"),
        ("controlQueueBatchSize", 33, "from 1 to 32"),
        ("controlQueueBufferThreshold", 1001, "from 1 to 1000"),
        ("controlQueueVisibilityTimeout", "00:00:04", "at least 5 s"),
        ("controlQueueVisibilityTimeout", "01:00:01", "at most 3600 s"),
        ("workItemQueueVisibilityTimeout", "00:00:00", "at least 1 s"),
        ("workItemQueueVisibilityTimeout", "8.00:00:00", "at most 604800 s"),
        ("maxQueuePollingInterval", "00:00:00", "at least 0.001 s"),
    ],
)
def test_a_value_out_of_its_limits_is_told(
    tmp_path: Path, name: str, value: object, expected: str
) -> None:
    message = refused(tmp_path, **{name: value})

    assert f"extensions.durableTask.storageProvider.{name}: " in message
    assert expected in message


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("trackingStoreConnectionName", "Other", "in the account of its queues"),
        ("trackingStoreConnectionStringName", "Other", "in the account of its queues"),
        ("trackingStoreNamePrefix", "Mine", "in the account of its queues"),
        ("useLegacyPartitionManagement", True, MANAGER),
        ("useTablePartitionManagement", "false", MANAGER),
    ],
)
def test_what_this_host_does_not_do_is_told_with_its_setting(
    tmp_path: Path, name: str, value: object, why: str
) -> None:
    refusal = read(tmp_path, **{name: value}).azure_refusal

    assert refusal is not None
    assert f"{tmp_path / 'host.json'}:6: " in refusal
    assert f"storageProvider.{name}: " in refusal
    assert why in refusal
    assert "leave this setting out" in refusal


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("useLegacyPartitionManagement", False),
        ("useTablePartitionManagement", True),
        ("trackingStoreConnectionName", ""),
        ("queueClientMessageEncoding", "UTF8"),
        ("queueClientMessageEncoding", "Base64"),
        ("fetchLargeMessagesAutomatically", True),
        ("allowReplayingTerminalInstances", False),
    ],
)
def test_what_asks_for_nothing_else_is_accepted(tmp_path: Path, name: str, value: object) -> None:
    assert read(tmp_path, **{name: value}) == StorageProvider()
