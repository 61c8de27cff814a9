"""What stores decide, and their continuation tokens."""

from __future__ import annotations

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_bindings.errors import (
    InstanceAlreadyExistsError,
    InstanceCompletedError,
    InstanceConflictError,
    InstanceNotFoundError,
)
from func_host.durable.backends import rules
from func_host.durable.backends.rules import Head

ENDED = (Status.Completed, Status.Failed, Status.Canceled, Status.Terminated)


@pytest.mark.parametrize("status", list(Status))
def test_what_may_be_done_to_an_instance_depends_on_whether_it_has_ended(status: Status) -> None:
    head = Head("first", 3, status)
    if status in ENDED:
        rules.check_creatable("one", head, replace_unfinished=False)
        rules.check_purgeable("one", status)
        with pytest.raises(InstanceCompletedError, match="'one' has ended"):
            rules.check_reachable("one", head)
    else:
        rules.check_reachable("one", head)
        with pytest.raises(InstanceAlreadyExistsError, match=status.value):
            rules.check_creatable("one", head, replace_unfinished=False)
        with pytest.raises(InstanceConflictError, match=status.value):
            rules.check_purgeable("one", status)
        rules.check_creatable("one", head, replace_unfinished=True)


def test_nobody_can_be_created_but_not_reached() -> None:
    rules.check_creatable("one", None, replace_unfinished=False)
    with pytest.raises(InstanceNotFoundError):
        rules.check_reachable("one", None)


@pytest.mark.parametrize("instance_id", ["a", "ż 🚀", "", "after:", "%/+?&"])
def test_a_token_stands_for_its_instance(instance_id: str) -> None:
    token = rules.token_after(instance_id)
    assert rules.position_of(token) == instance_id
    assert token.isascii()
    assert token.isprintable()


def test_no_token_is_the_beginning() -> None:
    assert rules.position_of(None) == ""


@pytest.mark.parametrize("token", ["", "x", "ż", "====", "bm9uc2Vuc2U=", "//79", "YWZ0ZXI6eA"])
def test_anything_else_is_no_token(token: str) -> None:
    with pytest.raises(ValueError, match="continuation token"):
        rules.position_of(token)


def test_a_long_token_is_not_repeated_in_full() -> None:
    with pytest.raises(ValueError, match="token") as refusal:
        rules.position_of("x" * 10_000)
    assert len(str(refusal.value)) < 200
