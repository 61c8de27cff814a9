"""The hash of an instance id: in every recording the provider used the queue that we would use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from func_host.durable.backends.azure_storage.names import TaskHubNames
from func_host.durable.backends.azure_storage.partitions import (
    app_lease_id,
    fnv1a_32,
    partition_of,
)
from tests.host.durable.backends.azure_storage.golden import (
    recorded_messages,
    takeover,
    takeover_names,
)

RECORDED = Path(__file__).parents[4] / "golden" / "azure_storage" / "partitions.json"
NAMES = TaskHubNames("GoldenHub")


@pytest.mark.parametrize(
    ("instance_id", "value", "of_4", "of_8", "of_16"),
    [
        ("abc", 440920331, 3, 3, 11),
        ("order-42", 1461995252, 0, 4, 4),
        ("@counter@my-key", 2770887227, 3, 3, 11),
        ("7d1f2c3b4a5e4f60918273645546372f", 2477010436, 0, 4, 4),
        ("naïve/é", 1761221724, 0, 4, 12),
        ("instance1", 3360201625, 1, 1, 9),
        ("", 2166136261, 1, 5, 5),
    ],
)
def test_the_examples_of_the_reference(
    instance_id: str, value: int, of_4: int, of_8: int, of_16: int
) -> None:
    assert fnv1a_32(instance_id) == value
    assert [partition_of(instance_id, count) for count in (4, 8, 16)] == [of_4, of_8, of_16]


def test_the_provider_chose_the_queues_that_we_choose() -> None:
    rows = json.loads(RECORDED.read_text("utf-8"))["rows"]

    for row in rows:
        chosen = [partition_of(row["instance_id"], count) for count in (4, 8, 16)]
        assert chosen == [row["of_4"], row["of_8"], row["of_16"]], row["instance_id"]
        assert fnv1a_32(row["instance_id"]) == row["fnv1a_utf8"]
    assert len(rows) == 40


def test_every_recorded_message_lies_in_the_queue_that_we_would_read_it_from() -> None:
    control = [each for each in recorded_messages() if each.queue != NAMES.work_item_queue]

    for message in control:
        assert message.queue == NAMES.control_queue(partition_of(message.target, 4))
    assert len({message.target for message in control}) > 80


@pytest.mark.parametrize("name", takeover_names())
def test_every_message_of_a_hub_to_take_over_lies_where_we_look_for_it(name: str) -> None:
    names = TaskHubNames(takeover(name)["hub"])

    for queue in takeover(name)["queues"]:
        for message in queue["messages"]:
            body = json.loads(message["text"])["TaskMessage"]
            target = body["OrchestrationInstance"]["InstanceId"]
            assert queue["name"] in {
                names.work_item_queue,
                names.control_queue(partition_of(target, takeover(name)["partition_count"])),
            }


@pytest.mark.parametrize(
    ("app_name", "lease_id"),
    [
        ("myapp", "1312a8a6-0000-0000-0000-000000000000"),
        ("", "811c9dc5-0000-0000-0000-000000000000"),
    ],
)
def test_an_app_holds_its_hub_under_the_hash_of_its_name(app_name: str, lease_id: str) -> None:
    assert app_lease_id(app_name) == lease_id
