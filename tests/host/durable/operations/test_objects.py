"""Entities that are classes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pydantic
import pytest

from func_bindings import EntityId, entity_trigger
from func_host.durable.operations.values import SentSignal
from tests.host.durable.operations.acting import act, failed, results

if TYPE_CHECKING:
    from func_bindings import EntityContext

pytestmark = pytest.mark.anyio

SERIALIZATION = "func_bindings.errors.SerializationError"


@dataclass
class Entry:
    text: str
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@entity_trigger
@dataclass
class Account:
    balance: int = 0
    owner: str | None = None
    log: list[Entry] = field(default_factory=list[Entry])

    def add(self, amount: int) -> int:
        self.balance += amount
        self.log.append(Entry(f"add {amount}"))
        return self.balance

    def entries(self) -> list[str]:
        return [each.text for each in self.log]

    def rename(self, owner: str | None) -> None:
        self.owner = owner

    def scale(self, by: int = 2) -> int:
        self.balance *= by
        return self.balance

    def echo(self, value) -> Any:  # type: ignore[no-untyped-def]  # noqa: ANN001  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
        return value  # pyright: ignore[reportUnknownVariableType]

    def fail(self) -> None:
        self.add(100)
        raise SystemExit("bad")

    def spoil(self) -> None:
        self.stranger = 1

    def unwritable(self) -> None:
        self.log.append(object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def close(self, context: EntityContext) -> None:
        context.signal_entity(EntityId("account", "heir"), "add", self.balance)
        context.set_result("closed")
        context.destruct_on_exit()

    def _hidden(self) -> None: ...


@entity_trigger
class Plain:
    count: int = 0

    def __init__(self) -> None:
        self.seen = set[str]()
        self.note: Any = None
        self._private = 1

    @cached_property
    def double(self) -> int:
        return self.count * 2

    async def see(self, name: str) -> int:
        self.seen.add(name)
        self.count += 1
        self._private += 1
        return self.double

    def get(self) -> list[Any]:
        return [sorted(self.seen), self.count, self._private]


async def test_fields_are_the_state_and_methods_the_operations() -> None:
    batch = await act(Account, "add 5", "add 2", "entries", 'rename "me"')

    assert results(batch) == ["5", "7", '["add 5","add 2"]', None]
    assert batch.state == (
        '{"balance":7,"owner":"me","log":[{"text":"add 5","at":"2026-01-01T00:00:00Z"},'
        '{"text":"add 2","at":"2026-01-01T00:00:00Z"}]}'
    )
    assert results(await act(Account, "scale", "scale 3", state=batch.state)) == ["14", "42"]


async def test_a_plain_class_keeps_what_it_annotates_and_what_its_init_sets() -> None:
    first = await act(Plain, 'see "a"', 'see "b"')
    second = await act(Plain, 'see "b"', "get", state=first.state)

    assert first.state is not None
    assert json.loads(first.state).keys() == {"seen", "note", "_private", "count"}
    assert second.outcomes[1].result == '[["a","b"],3,4]'


async def test_a_class_with_slots_and_a_model_of_pydantic_work_as_well() -> None:
    @entity_trigger
    @dataclass(slots=True)
    class Slotted:
        value: int = 0

        def add(self, n: int) -> None:
            self.value += n

    @entity_trigger
    class Model(pydantic.BaseModel):
        value: int = 0

        def add(self, n: int) -> None:
            self.value += n

    for cls in (Slotted, Model):
        assert (await act(cls, "add 2", state='{"value":1}')).state == '{"value":3}'


async def test_missing_fields_keep_their_defaults() -> None:
    assert results(await act(Account, "add 1", state='{"owner":"me"}')) == ["1"]


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ('{"balance":"a"}', "$.balance: Expected int, got str"),
        ('{"log":[{"at":3}]}', "$.log[0].at: Expected datetime, got int"),
        ('{"old":1}', "$.old: the class has no such field: annotate it"),
        ("5", "$: Expected object, got int"),
    ],
)
async def test_a_state_that_does_not_fit_is_told_and_kept(state: str, problem: str) -> None:
    batch = await act(Account, "add 1", "entries", state=state)

    for outcome in batch.outcomes:
        kind, message = failed(outcome)
        assert kind == SERIALIZATION
        assert "The state of @account@k does not fit the class Account, and is kept" in message
        assert "change the class so that it does, or send the entity the operation 'delete'" in (
            message
        )
        assert problem in message
    assert batch.state == state


async def test_a_state_that_does_not_fit_can_be_deleted() -> None:
    batch = await act(Account, "Delete", "add 1", state="5")

    assert results(batch) == [None, "1"]


async def test_delete_leaves_no_state_until_the_next_operation() -> None:
    assert (await act(Account, "add 1", "delete")).state is None
    assert results(await act(Account, "add 1", "delete", "add 1")) == ["1", None, "1"]


async def test_a_delete_of_the_class_does_what_it_says() -> None:
    @entity_trigger
    class Guarded:
        value: int = 0

        def delete(self, context: EntityContext) -> str:
            self.value += 1
            if self.value > 1:
                context.destruct_on_exit()
            return "deleted" if self.value > 1 else "not yet"

    first = await act(Guarded, "delete")
    second = await act(Guarded, "delete", state=first.state)
    third = await act(Guarded, "delete", state="5")

    assert (first.state, second.state) == ('{"value":1}', None)
    assert results(second) == ['"deleted"']
    assert "so that it does. $: Expected object" in failed(third.outcomes[0])[1]


async def test_the_context_sends_answers_and_destructs() -> None:
    batch = await act(Account, "add 5", "close")

    assert batch.state is None
    assert batch.outcomes[1].result == '"closed"'
    assert batch.outcomes[1].signals == (SentSignal(EntityId("account", "heir"), "add", "5", None),)


async def test_what_fails_has_done_nothing_and_the_others_go_on() -> None:
    batch = await act(Account, "add 5", "fail", "spoil", "unwritable", "add 1", "entries")

    failures = [failed(each) for each in batch.outcomes[1:4]]
    assert failures[0] == ("SystemExit", "bad")
    assert failures[1][0] == failures[2][0] == SERIALIZATION
    assert "$.stranger: an operation has set it, but it is no field of Account" in failures[1][1]
    assert "$.log[1]: object cannot be written" in failures[2][1]
    assert [each.result for each in batch.outcomes[4:]] == ["6", '["add 5","add 1"]']


async def test_a_first_operation_that_fails_leaves_no_state() -> None:
    assert (await act(Account, "fail")).state is None


async def test_without_rollback_the_state_of_a_failed_operation_stays_if_it_can_be_written() -> (
    None
):
    batch = await act(Account, "fail", "spoil", "add 1", "nope", rolls_back=False)

    assert failed(batch.outcomes[0]) == ("SystemExit", "bad")
    assert batch.outcomes[2].result == "101"
    assert batch.state is not None
    assert batch.state.startswith('{"balance":101,')


async def test_operations_are_found_without_case_and_hidden_ones_not_at_all() -> None:
    batch = await act(Account, "ADD 1", "_hidden", "nope")

    assert batch.outcomes[0].result == "1"
    known = "'add', 'entries', 'rename', 'scale', 'echo', 'fail', 'spoil', 'unwritable', 'close'"
    for outcome, name in zip(batch.outcomes[1:], ("_hidden", "nope"), strict=True):
        kind, message = failed(outcome)
        assert kind == "func_bindings.errors.FunctionNotFoundError"
        assert message == (
            f"The entity 'Account' has no operation '{name}': its operations are {known}, 'delete'."
        )


@pytest.mark.parametrize(
    ("operation", "kind", "problem"),
    [
        ("entries 5", "TypeError", "'entries' takes no input, but one was given: send it without"),
        ("add", "TypeError", "'add' needs an input (amount), but none was given: send one"),
        ("echo", "TypeError", "'echo' needs an input (value), but none was given"),
        ('add "a"', SERIALIZATION, "$: Expected int, got str"),
        ("add null", SERIALIZATION, "$: Expected int, got null"),
    ],
)
async def test_an_input_that_does_not_fit_is_told(operation: str, kind: str, problem: str) -> None:
    (outcome,) = (await act(Account, operation)).outcomes

    assert failed(outcome)[0] == kind
    assert problem in failed(outcome)[1]


async def test_nothing_is_an_input_where_the_parameter_takes_none() -> None:
    batch = await act(Account, "rename", "rename null", "echo null", "entries null", "scale null")

    assert results(batch) == [None, None, None, "[]", "0"]
