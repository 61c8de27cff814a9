"""Filters: those that the provider sends, and prefixes that find what begins with them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import InstanceQuery
from func_host.durable.backends.azure_storage.filters import (
    INSTANCE_COLUMNS,
    history_filter,
    instance_filter,
    instances_filter,
)
from tests.host.durable.backends.azure_storage.golden import scenario

NOW = datetime(2026, 1, 2, 3, 4, 5, 600000, UTC)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)


def recorded_filters(name: str, kind: str) -> set[str]:
    lines = [line.split(" | ") for line in scenario(name)["requests"] if f"| {kind} |" in line]
    return {part.removeprefix("filter ") for line in lines for part in line if "filter" in part}


@pytest.mark.parametrize("name", ["chain", "purge-prefix", "sub-orchestration"])
def test_the_provider_asks_for_a_history_as_we_do(name: str) -> None:
    executions = {row["PartitionKey"]: row["ExecutionId"] for row in starts(name)}

    ours = {history_filter(instance, execution) for instance, execution in executions.items()}

    assert ours & recorded_filters(name, "query History")


def starts(name: str) -> list[dict[str, str]]:
    return [
        {"PartitionKey": write["instance"], "ExecutionId": write["row"]["ExecutionId"]}
        for write in scenario(name)["instances"]
        if "ExecutionId" in write.get("row", {})
    ]


def test_the_provider_asks_for_a_status_as_we_do() -> None:
    assert instance_filter("golden-chain") in recorded_filters("chain", "query Instances")


def test_a_status_without_its_input_is_asked_for_by_the_providers_columns() -> None:
    line = next(line for line in scenario("chain")["requests"] if "select" in line)

    selected = line.partition("select ")[2].partition(" | ")[0].split(",")

    assert set(selected) - set(INSTANCE_COLUMNS) == {"ETag"}
    assert set(INSTANCE_COLUMNS) - set(selected) == {"Parked"}


def test_a_whole_history_is_asked_for_by_its_instance() -> None:
    assert history_filter("a/b") == "PartitionKey eq 'a^0b'"


def test_quotes_in_ids_are_doubled() -> None:
    assert instance_filter("it's") == "PartitionKey eq 'it''s'"


def test_a_query_of_everything_needs_no_filter() -> None:
    assert instances_filter(InstanceQuery()) == ""


def test_every_part_of_a_query_must_match() -> None:
    query = InstanceQuery(
        created_time_from=NOW,
        created_time_to=NOW,
        runtime_status=(OrchestrationRuntimeStatus.Running, OrchestrationRuntimeStatus.Pending),
        instance_id_prefix="order/",
    )

    assert instances_filter(query, include_entities=False) == (
        "(CreatedTime ge datetime'2026-01-02T03:04:05.6000000Z')"
        " and (CreatedTime le datetime'2026-01-02T03:04:05.6000009Z')"
        " and (RuntimeStatus eq 'Running' or RuntimeStatus eq 'Pending')"
        " and (PartitionKey ge 'order^0') and (PartitionKey lt 'order^1')"
        " and (PartitionKey lt '@' or PartitionKey ge 'A')"
    )


def test_no_status_matches_nothing() -> None:
    assert instances_filter(InstanceQuery(runtime_status=())) == "(RuntimeStatus eq '')"


def units(text: str) -> bytes:
    """Order texts as the table service does."""
    return text.encode("utf-16-be")


def bounds(prefix: str) -> tuple[bytes, bytes | None]:
    parts = instances_filter(InstanceQuery(instance_id_prefix=prefix))[1:-1].split(") and (")
    texts = [part.partition("'")[2][:-1].replace("''", "'") for part in parts]
    return units(texts[0]), units(texts[1]) if len(texts) > 1 else None


LETTERS = st.sampled_from("ab~\ud7ff\ue000\uffff\U00010000\U000103ff\U0010ffff")


@given(st.text(LETTERS, min_size=1, max_size=4), st.text(LETTERS, max_size=4))
def test_a_prefix_finds_what_begins_with_it_and_nothing_else(prefix: str, text: str) -> None:
    low, high = bounds(prefix)

    for candidate in (text, prefix + text):
        found = low <= units(candidate) and (high is None or units(candidate) < high)
        assert found == candidate.startswith(prefix)
