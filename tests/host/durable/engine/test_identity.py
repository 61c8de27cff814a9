"""Ids that are derived: the same on every replay, and those that Microsoft's SDK derives."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from func_host.durable.engine import identity

MOMENT = datetime(2026, 11, 22, 4, 4, 27, 97558, tzinfo=UTC)


def test_uuids_are_those_of_the_sdk() -> None:
    """Recorded from its worker: the first a GUID, the second a UUID, with one counter."""
    assert str(identity.new_guid("g-ids", MOMENT, 0)) == "6863fdaa-cab6-5543-8989-84aeb0e09615"
    assert identity.new_uuid("g-ids", MOMENT, 1) == "00795db0-3744-52f7-9d28-80b8f88be497"


def test_uuids_differ_by_instance_time_and_counter() -> None:
    made = {
        identity.new_uuid("a", MOMENT, 0),
        identity.new_uuid("b", MOMENT, 0),
        identity.new_uuid("a", MOMENT, 1),
        identity.new_uuid("a", MOMENT.replace(microsecond=0), 0),
    }

    assert len(made) == 4


def test_a_child_is_named_after_execution_and_step() -> None:
    assert identity.child_instance_id("371cc71c6b3b4003ac33bdea9ac1792a", 1) == (
        "371cc71c6b3b4003ac33bdea9ac1792a:1"
    )


def test_the_execution_of_a_child_is_that_of_its_step() -> None:
    made = [
        identity.child_execution_id("371cc71c6b3b4003ac33bdea9ac1792a", 1),
        identity.child_execution_id("371cc71c6b3b4003ac33bdea9ac1792a", 11),
        identity.child_execution_id("another", 1),
    ]

    assert made[0] == "082ae0ce164855059c436ecc9d8fe66f"
    assert len(set(made)) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in made)


@pytest.mark.parametrize("instance_id", ["a", "x" * 256, "ä b:c@d", "日本", "e1:0"])
def test_ids_that_the_extension_takes_are_taken(instance_id: str) -> None:
    identity.check_instance_id(instance_id)


@pytest.mark.parametrize(
    "instance_id", ["", "@a", "a/b", "a\\b", "a#b", "a?b", "a\tb", "a\x7fb", "a\x9fb", "x" * 257]
)
def test_ids_that_the_extension_refuses_are_refused(instance_id: str) -> None:
    with pytest.raises(ValueError, match=r"instance ids must not|must not exceed 256"):
        identity.check_instance_id(instance_id)


def test_half_a_surrogate_pair_cannot_be_stored() -> None:
    identity.check_storable(None, "", "日本😀")
    with pytest.raises(ValueError, match=r"'a\\udc80' cannot be written as UTF-8"):
        identity.check_storable("fine", "a\udc80")


def test_the_id_of_a_request_is_that_of_its_step_alone() -> None:
    """A GUID as text, as answers go by it in every host of the hub."""
    one = identity.request_id("instance", "execution", 3)
    others = [
        identity.request_id("other", "execution", 3),
        identity.request_id("instance", "other", 3),
        identity.request_id("instance", "execution", 4),
    ]

    assert one == identity.request_id("instance", "execution", 3)
    assert str(UUID(one)) == one
    assert one not in others
    assert len(set(others)) == 3
