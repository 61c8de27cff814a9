"""Names of resources: those that the recorded hub has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from func_host.durable.backends.azure_storage.names import (
    PartitionCountError,
    TaskHubNameError,
    TaskHubNames,
)
from tests.host.durable.backends.azure_storage.golden import takeover, takeover_names

HUB_START = Path(__file__).parents[4] / "golden" / "azure_storage" / "hub-start.json"


@pytest.mark.parametrize("name", takeover_names())
def test_the_names_are_those_of_a_recorded_hub(name: str) -> None:
    hub = takeover(name)
    names = TaskHubNames(hub["hub"])

    assert [queue["name"] for queue in hub["queues"]] == [
        *names.control_queues(hub["partition_count"]),
        names.work_item_queue,
    ]
    assert {table["name"] for table in hub["tables"]} == {
        names.history_table,
        names.instances_table,
    }
    containers = {container["name"]: container for container in hub["containers"]}
    assert {names.app_lease_container, names.leases_container} <= set(containers)
    assert [blob["name"] for blob in containers[names.app_lease_container]["blobs"]] == [
        names.app_lease_blob
    ]


def test_a_start_of_the_provider_makes_what_we_name() -> None:
    names = TaskHubNames("MyHub")
    requests = json.dumps(json.loads(HUB_START.read_text("utf-8"))["requests"])

    for name in (*names.control_queues(4), names.work_item_queue, names.app_lease_container):
        assert name in requests


def test_tables_keep_the_case_and_the_rest_is_lower_case() -> None:
    names = TaskHubNames("MyHub")

    assert names.partitions_table == "MyHubPartitions"
    assert names.instances_table == "MyHubInstances"
    assert names.history_table == "MyHubHistory"
    assert names.control_queue(7) == "myhub-control-07"
    assert names.large_messages_container == "myhub-largemessages"
    assert names.leases_container == "myhub-leases"
    assert names.dead_letters_container == "myhub-deadletters"


@pytest.mark.parametrize("hub", ["abc", "A" * 45, "a" * 49, "Hub2"])
def test_a_name_of_letters_and_digits_is_accepted(hub: str) -> None:
    names = TaskHubNames(hub)

    assert len(names.large_messages_container) <= 63
    assert len(names.dead_letters_container) <= 63


@pytest.mark.parametrize("hub", ["", "ab", "1abc", "my-hub", "a" * 50, "café", "abc\n"])
def test_a_name_that_no_resource_could_have_is_refused_in_one_line(hub: str) -> None:
    with pytest.raises(TaskHubNameError, match=r"hubName in host\.json") as refused:
        TaskHubNames(hub)

    assert "letter first" in str(refused.value)


@pytest.mark.parametrize("count", [0, 17, -1])
def test_a_count_of_partitions_that_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(PartitionCountError, match=r"partitionCount in host\.json"):
        TaskHubNames("abc").control_queues(count)


def test_there_may_be_sixteen_partitions() -> None:
    assert TaskHubNames("abc").control_queues(16)[15] == "abc-control-15"
