"""What the dispatcher learns of each operation, and which are too long for the event loop."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from func_bindings.durable.status import OrchestrationRuntimeStatus as Status
from func_host.durable.backend import Commit, Fence, MessageId, OutgoingMessage, StatusChange
from func_host.durable.backends.sqlite import operations
from func_host.durable.backends.sqlite.opening import open_store
from func_host.durable.backends.sqlite.operations import Step
from func_host.durable.backends.sqlite.transaction import Transaction
from func_host.durable.codec import to_microseconds
from func_host.durable.history import EventRaised, ExecutionStarted, OrchestrationInstance
from func_host.testing.clock import START

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from func_host.durable.backends.sqlite.opening import Connections

NOW = to_microseconds(START)


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[Connections]:
    connections = open_store(tmp_path / "hub.db")
    yield connections
    connections.close()


@pytest.fixture
def transaction(connections: Connections) -> Iterator[Transaction]:
    transaction = Transaction(connections.writer)
    yield transaction
    transaction.close()


def start(execution_id: str = "first", text: str | None = None) -> ExecutionStarted:
    return ExecutionStarted(
        timestamp=START,
        orchestration_instance=OrchestrationInstance("one", execution_id),
        name="f",
        input=text,
    )


def step(
    *outbox: OutgoingMessage,
    length: int = 0,
    status: Status = Status.Running,
    output: str | None = None,
    consumed: tuple[MessageId, ...] = (),
    started: ExecutionStarted | None = None,
) -> Step:
    commit = Commit(
        instance_id="one",
        fence=Fence("first", length),
        events=(start(),),
        status=StatusChange(runtime_status=status, last_updated_time=START, output=output),
        outbox=outbox,
        consumed=consumed,
        started=started,
    )
    return Step(commit, NOW)


def message(name: str, after: timedelta | None = None) -> OutgoingMessage:
    event = EventRaised(timestamp=START, name=name)
    visible_at = None if after is None else START + after
    return OutgoingMessage(instance_id="one", event=event, visible_at=visible_at)


def create(transaction: Transaction) -> None:
    operation = operations.create(start(), now=NOW, replace=False, replaced_length=0)
    operation.apply(transaction)


def test_what_is_visible_arrives_and_what_is_not_is_delayed(transaction: Transaction) -> None:
    create(transaction)
    later = timedelta(hours=1)
    effects = step(message("now"), message("later", later)).apply(transaction)

    (arrived,) = effects.arrived
    assert arrived.message.event == message("now").event
    assert effects.delayed == [(NOW + 3_600_000_000, arrived.message.id + 1)]


def test_what_is_consumed_is_told(transaction: Transaction) -> None:
    create(transaction)
    effects = step(consumed=(MessageId(1),)).apply(transaction)
    assert effects.consumed == {"one": (1,)}
    assert not effects.ended


def test_an_end_tells_which_messages_are_left(transaction: Transaction) -> None:
    create(transaction)
    again = OutgoingMessage(instance_id="one", event=start("second"))
    (left, dropped) = step(again, message("unread")).apply(transaction).arrived
    effects = step(length=1, status=Status.Failed).apply(transaction)

    assert effects.ended == ["one"]
    assert set(effects.forgotten["one"]) == {left.message.id}
    assert dropped.message.id != left.message.id


def test_numbers_go_on_where_the_store_stands(
    connections: Connections, transaction: Transaction
) -> None:
    create(transaction)
    first = step(message("a")).apply(transaction).arrived[0].message.id
    second = Transaction(connections.writer)
    assert second.new_message_id() == first + 1
    second.close()


@pytest.mark.parametrize(
    ("operation", "is_heavy"),
    [
        (step(message("a")), False),
        (step(*[message("a")] * 65), True),
        (step(consumed=tuple(map(MessageId, range(65)))), True),
        (step(output="x" * 200_000), True),
        (step(length=200, started=start()), False),
        (step(length=201, started=start()), True),
        (operations.create(start(), now=0, replace=False, replaced_length=200), False),
        (operations.create(start(), now=0, replace=False, replaced_length=201), True),
        (
            operations.create(start(text="x" * 100_000), now=0, replace=False, replaced_length=0),
            True,
        ),
        (operations.send("one", message("a").event, now=0), False),
        (operations.send("one", message("x" * 200_000).event, now=0), True),
        (operations.Purge(instance_ids=("one",)), True),
    ],
)
def test_what_takes_long_is_heavy(operation: operations.Operation, *, is_heavy: bool) -> None:
    assert operation.is_heavy is is_heavy
