"""Entities called by the methods of their class: what is known of it is checked at the call."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import EntityContext, EntityId, EntityProxy, Task
from func_bindings.durable.entity_calls import EntityCalls

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from func_bindings import CriticalSection


class Counter:
    step = 1

    class Meta:
        """No operation."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, amount: int = 1) -> int:
        return amount

    async def get(self) -> int:
        return self.value

    def told(self, context: EntityContext, amount: int) -> None:
        """Take the context, too."""

    def signal(self) -> None:
        """Be called like the proxy's own."""

    def _secret(self) -> None:
        """Stay within."""


class Sending(EntityCalls):
    """Keeps what it is asked for."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def call_entity(  # pyright: ignore[reportIncompatibleMethodOverride] -- it takes what every overload takes
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        expected_type: type[Any] | None = None,  # noqa: ARG002 -- a proxy leaves it to the annotation
    ) -> Task[Any]:
        self.sent.append(("call", str(entity), operation_name, operation_input))
        return Task()

    def signal_entity(
        self,
        entity: EntityId,
        operation_name: str,
        operation_input: object = None,
        *,
        at: datetime | timedelta | None = None,
    ) -> Task[None]:
        self.sent.append(("signal", str(entity), operation_name, operation_input, at))
        return Task()

    def lock(self, *entities: EntityId) -> Task[CriticalSection]:
        raise AssertionError(entities)

    @property
    def is_locked(self) -> bool:
        return False

    @property
    def locked_entities(self) -> tuple[EntityId, ...]:
        return ()

    def entity(self, entity: type[Any] | str | Callable[..., Any], key: str) -> EntityProxy[Any]:
        raise AssertionError(entity, key)


KNOWN = "the operations of Counter are add, delete, get, signal, told."


def counter() -> tuple[EntityProxy[Counter], list[tuple[Any, ...]]]:
    sending = Sending()
    return EntityProxy(EntityId("Counter", "k"), sending, Counter), sending.sent


def untyped() -> tuple[EntityProxy[Any], list[tuple[Any, ...]]]:
    sending = Sending()
    return EntityProxy(EntityId("Counter", "k"), sending), sending.sent


def test_a_method_of_the_proxy_calls_the_operation_of_its_name() -> None:
    proxy, sent = counter()

    assert isinstance(proxy.add(5), Task)
    proxy.add(amount=6)
    proxy.get()
    proxy.delete()

    assert sent == [
        ("call", "@counter@k", "add", 5),
        ("call", "@counter@k", "add", 6),
        ("call", "@counter@k", "get", None),
        ("call", "@counter@k", "delete", None),
    ]


def test_an_operation_may_be_given_as_method_or_by_name() -> None:
    proxy, sent = counter()

    proxy.call(Counter.add, 5)
    proxy.call(Counter.add, amount=6)
    proxy.call("signal")
    proxy.signal(Counter.add, 7, at=timedelta(1))
    proxy.signal("delete")

    assert sent == [
        ("call", "@counter@k", "add", 5),
        ("call", "@counter@k", "add", 6),
        ("call", "@counter@k", "signal", None),
        ("signal", "@counter@k", "add", 7, timedelta(1)),
        ("signal", "@counter@k", "delete", None, None),
    ]


@pytest.mark.parametrize("name", ["subtract", "_secret", "Meta", "step", "__call__", "Add"])
def test_an_operation_that_the_class_does_not_have_is_refused_naming_those_it_has(
    name: str,
) -> None:
    proxy, sent = counter()
    message = re.escape(f"EntityProxy(EntityId('Counter', 'k')) has no operation '{name}': {KNOWN}")
    asks: list[Callable[[], Any]] = [
        lambda: getattr(proxy, name),
        lambda: proxy.call(name),
        lambda: proxy.signal(name),
    ]

    for ask in asks:
        with pytest.raises(AttributeError, match=message):
            ask()

    assert not hasattr(proxy, name)
    assert sent == []


def test_an_entity_whose_class_is_not_known_takes_any_public_name() -> None:
    proxy, sent = untyped()

    proxy.whatever(1)
    proxy.call("other", 2)
    with pytest.raises(AttributeError, match="has no operation '_secret'"):
        proxy._secret()

    assert [each[2:] for each in sent] == [("whatever", 1), ("other", 2)]


def test_an_operation_takes_one_value_at_most_and_by_a_name_that_it_has() -> None:
    proxy, sent = counter()

    with pytest.raises(TypeError, match=r"'add' of .* takes one value at most, not 2: pass a list"):
        proxy.add(1, 2)
    with pytest.raises(TypeError, match=r"'add' of .* has no parameter 'amuont'"):
        proxy.add(amuont=1)

    assert sent == []


def test_what_is_neither_method_nor_name_is_refused() -> None:
    proxy, _ = counter()
    wrong: Any = 5

    with pytest.raises(TypeError, match=r"is a method of the entity's class or a name, not 5"):
        proxy.call(wrong)


def test_a_proxy_says_which_entity_it_stands_for() -> None:
    proxy, _ = counter()

    assert proxy.entity_id == EntityId("counter", "k")
    assert repr(proxy) == "EntityProxy(EntityId('Counter', 'k'))"
