"""The state of an entity as its function sees it: read late, written early, undone by its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from func_bindings.errors import SerializationError
from func_host.durable.operations.state import EntityState


@dataclass
class Point:
    x: int = 0
    y: int = 0


def make_point() -> Point:
    return Point(1, 2)


def after(state: EntityState) -> EntityState:
    """Give the state of the next operation of the batch."""
    state.finish()
    return EntityState(state.text, state.held)


@pytest.mark.parametrize("text", [None, "null"])
def test_without_a_state_the_initializer_gives_one_that_is_not_stored(text: str | None) -> None:
    state = EntityState(text, None)

    assert state.get(None, None) is None
    assert state.get(lambda: [1], None) == [1]
    assert state.get(None, int) is None
    state.finish()
    assert state.text == text


def test_the_state_is_read_as_the_expected_type() -> None:
    state = EntityState('{"x":3,"y":4}', None)

    assert state.get(None, Point) == Point(3, 4)


def test_without_an_expected_type_what_makes_the_state_tells_its_type() -> None:
    for initializer in (Point, make_point):
        assert EntityState('{"x":3,"y":4}', None).get(initializer, None) == Point(3, 4)
    assert EntityState("[1]", None).get(set, None) == {1}
    assert EntityState('[{"x":3,"y":4}]', None).get(list[Point], None) == [Point(3, 4)]
    assert EntityState('{"x":3}', None).get(lambda: Point(), None) == {"x": 3}  # noqa: PLW0108 -- a lambda says nothing
    assert EntityState("[1]", None).get(print, None) == [1]


def test_a_state_that_does_not_fit_says_so_and_stays() -> None:
    state = EntityState('{"x":"a"}', None)

    with pytest.raises(SerializationError, match=r"kept as it is: \$\.x: Expected int, got str"):
        state.get(None, Point)
    state.finish()
    assert state.text == '{"x":"a"}'


def test_a_change_inside_the_value_is_kept() -> None:
    state = EntityState('{"x":3,"y":0}', None)

    state.get(None, Point).x = 5
    state.finish()

    assert state.text == '{"x":5,"y":0}'


def test_a_state_that_is_only_looked_at_keeps_its_text() -> None:
    state = EntityState('{ "x": 3, "of another version": 1 }', None)

    assert state.get(None, Point) == Point(3, 0)
    state = after(state)
    assert state.get(None, Point) == Point(3, 0)
    state.finish()

    assert state.text == '{ "x": 3, "of another version": 1 }'


def test_a_value_that_was_read_is_kept_for_the_next_operation_of_the_batch() -> None:
    state = EntityState('{"x":3,"y":0}', None)
    first = state.get(None, Point)
    first.x = 4
    state.set(first)

    state = after(state)

    assert state.get(None, Point) is first
    assert state.text == '{"x":4,"y":0}'


def test_a_value_that_was_set_comes_as_it_would_in_another_batch() -> None:
    state = EntityState(None, None)
    state.set((Point(1, 2),))
    assert state.get(None, None) == (Point(1, 2),)

    state = after(state)

    assert state.get(None, None) == [{"x": 1, "y": 2}]
    assert state.get(None, list[Point]) == [Point(1, 2)]


def test_another_type_sees_the_changes_made_under_the_one_before() -> None:
    state = EntityState('{"x":1,"y":0}', None)
    state.get(None, Point).x = 7

    assert state.get(None, dict[str, int]) == {"x": 7, "y": 0}
    assert state.get(None, None) == {"x": 7, "y": 0}
    state.finish()
    assert state.text == '{"x":7,"y":0}'


def test_a_type_of_an_earlier_operation_says_nothing_to_a_later_one() -> None:
    state = EntityState('{"x":1}', None)
    state.get(None, Point)

    assert after(state).get(None, None) == {"x": 1}


@pytest.mark.parametrize(("value", "text"), [(5, "5"), ("a", '"a"'), (None, "null"), (1.5, "1.5")])
def test_plain_values_are_kept_as_they_are(value: Any, text: str) -> None:
    state = EntityState(None, None)
    state.set(value)

    state = after(state)

    assert state.text == text
    assert state.get(None, None) == value
    assert state.held is None or state.held.value == value


def test_a_change_after_setting_is_kept() -> None:
    state = EntityState(None, None)
    value = [1]
    state.set(value)
    value.append(2)
    state.finish()

    assert state.text == "[1,2]"


def test_what_cannot_be_written_is_refused_when_it_is_set_or_at_the_end() -> None:
    state = EntityState("[1]", None)
    with pytest.raises(SerializationError, match=r"\$: "):
        state.set(object())
    assert state.text == "[1]"

    state.get(None, None).append(object())
    with pytest.raises(SerializationError, match=r"\$\[1\]: "):
        state.finish()


def test_a_state_that_is_deleted_is_gone_at_once_until_one_is_set() -> None:
    state = EntityState("[1]", None)
    state.get(None, None).append(2)
    state.delete()
    assert state.get(list, None) == []
    state.finish()
    assert state.text is None

    state.set(3)
    state.finish()
    assert state.text == "3"


def test_a_value_that_cannot_be_written_again_fails_when_it_was_read_to_be_changed() -> None:
    class Odd:
        def __init__(self, x: int) -> None:
            self.x = x

    state = EntityState('{"x":1}', None)
    value = state.get(None, dict[str, Any])
    value["odd"] = Odd(1)

    with pytest.raises(SerializationError, match=r"\$\.odd: Odd cannot be written"):
        state.get(None, dict[str, int])
