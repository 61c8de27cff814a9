"""The state of an entity as its function sees it: a value that is read late and written early.

Between the operations of a batch the value is kept, and its JSON beside it: what an operation did
to the value is seen by writing it, and undone by reading the JSON again. A state that was only
looked at keeps its text, whatever the type that it was read as leaves out.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from func_bindings.errors import SerializationError
from func_host.invocation.values import dump_json, load_json, result_type

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN: Final = (int, str, bool, float, type(None))


@dataclass(slots=True)
class Held:
    """A value of the state.

    Args:
        value: What user code has, and may change inside.
        type: What it was read as, or its class where user code made it.
        text: Its JSON when it was read or set; None where it cannot be written.
        is_plain: Nothing inside it can be changed.
        is_read: It comes from JSON, so that reading it again gives the like.
    """

    value: Any
    type: Any
    text: str | None
    is_plain: bool
    is_read: bool


class EntityState:
    """The state during one operation; it takes effect when somebody keeps `text` and `held`."""

    __slots__ = ("_is_changed", "_is_seen", "held", "text")

    def __init__(self, text: str | None, held: Held | None) -> None:
        """Begin with a state as JSON text, and its value where that is at hand."""
        self.text = text
        self.held = held
        self._is_seen = False
        self._is_changed = False

    def get(self, initializer: Callable[[], Any] | None, expected_type: Any) -> Any:
        """Give the value; where there is none, or it is null, what the initializer makes.

        Raises:
            SerializationError: The state does not fit the type.
        """
        if self.text is None or self.text == "null":
            return None if initializer is None else initializer()
        wanted = _made_by(initializer) if expected_type is None else expected_type
        held = self.held
        if held is None or not self._fits(held, wanted):
            held = self.held = _read(self._write(), wanted)
        self._is_seen = True
        return held.value

    def _fits(self, held: Held, wanted: Any) -> bool:
        if wanted is Any:
            return self._is_seen or held.is_plain or held.type is Any
        return bool(held.type == wanted)

    def set(self, value: object) -> None:
        """Replace the value.

        Raises:
            SerializationError: It cannot be written.
        """
        text = dump_json(value)
        held = self.held
        if held is not None and held.value is value:
            held.text = text
        else:
            self.held = Held(value, type(value), text, type(value) in _PLAIN, is_read=False)
        self.text = text
        self._is_seen = self._is_changed = True

    def delete(self) -> None:
        """Leave no state."""
        self.text = self.held = None
        self._is_seen = self._is_changed = False

    def finish(self) -> None:
        """Write what user code may have changed inside the value.

        Raises:
            SerializationError: It cannot be written.
        """
        held = self.held
        if held is not None and self._is_seen:
            self.text = self._write()
            if not (held.is_plain or held.is_read):
                self.held = None

    def _write(self) -> str:
        """Give the JSON of the value as it is now."""
        held = self.held
        if held is None or held.is_plain or not self._is_seen:
            assert self.text is not None
            return self.text
        text = dump_json(held.value)
        if not self._is_changed and text == held.text:
            assert self.text is not None
            return self.text
        self._is_changed = True
        held.text = self.text = text
        return text


def _read(text: str, wanted: Any) -> Held:
    try:
        value = load_json(text, wanted)
    except SerializationError as error:
        raise SerializationError(
            f"The state of the entity does not fit, and is kept as it is: {error}"
        ) from error
    if type(value) in _PLAIN:
        return Held(value, type(value), text, is_plain=True, is_read=True)
    return Held(value, wanted, _text_of(value), is_plain=False, is_read=True)


def _text_of(value: object) -> str | None:
    try:
        return dump_json(value)
    except SerializationError:
        return None


def _made_by(initializer: Callable[[], Any] | None) -> Any:
    """Give the type of what an initializer makes: a class itself, or an annotated result."""
    if initializer is None or getattr(initializer, "__name__", "") == "<lambda>":
        return Any
    if isinstance(initializer, type) or typing.get_origin(initializer) is not None:
        return initializer
    try:
        return _annotated(initializer)
    except (TypeError, ValueError):  # it has no signature, or cannot be remembered
        return Any


@lru_cache(maxsize=256)
def _annotated(initializer: Callable[[], Any]) -> Any:
    return result_type(initializer)
