"""Operations of entities that are classes: an object is made of the state, and written after each.

The object is kept between the operations of a batch. One that fails costs it: the next operation
makes another one of the JSON that was there before.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from func_bindings.errors import FunctionNotFoundError, SerializationError
from func_host.durable.operations.context import ObjectContext
from func_host.durable.operations.state import EntityState
from func_host.durable.operations.values import OperationOutcome
from func_host.invocation.values import dump_json, load_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from func_host.durable.operations.values import Operation, Scene
    from func_host.indexing.entity_classes import EntityClass, EntityMethod

DELETE: Final = "delete"
"""The operation that every class has: it leaves no state."""

_MISSING: Final = object()
_JSON_TYPES: Final = (type(None), bool, int, float, str, list, dict)
_read_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class EntityObject:
    """An object of the class, and what of it is state."""

    __slots__ = ("_entity", "_types", "value")

    def __init__(self, entity: EntityClass) -> None:
        """Make a new one."""
        self.value: Any = entity.cls()
        self._entity = entity
        self._types: Mapping[str, Any] = entity.field_types
        if entity.is_open:
            self._types = {**_types_of(self.value, entity), **entity.field_types}

    def read(self, text: str) -> None:
        """Take the fields from JSON; those that it does not hold keep their defaults.

        Raises:
            SerializationError: A field does not fit, or is not one of the class.
        """
        try:
            parts = _read_parts(text)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise SerializationError(f"$: {error}".replace("`", "")) from error
        for name, part in parts.items():
            if name not in self._types:
                message = f"$.{name}: the class has no such field: annotate it"
                raise SerializationError(message)
            try:
                field = load_json(bytes(part), self._types[name])
            except SerializationError as error:
                raise SerializationError(f"$.{name}{str(error).removeprefix('$')}") from error
            setattr(self.value, name, field)

    def write(self) -> str:
        """Write the fields as JSON.

        Raises:
            SerializationError: One cannot be written, or an attribute is no field.
        """
        self._refuse_strangers()
        fields = {
            name: field
            for name in self._types
            if (field := getattr(self.value, name, _MISSING)) is not _MISSING
        }
        return dump_json(fields)

    def _refuse_strangers(self) -> None:
        attributes: dict[str, object] | None = getattr(self.value, "__dict__", None)
        if not attributes or attributes.keys() <= self._types.keys():
            return
        strangers = sorted(attributes.keys() - self._types.keys() - self._entity.derived)
        if strangers:
            name = strangers[0]
            raise SerializationError(
                f"$.{name}: an operation has set it, but it is no field of "
                f"{self._entity.cls.__qualname__}, so it would be lost: annotate it in the class, "
                "or set it in __init__, too."
            )


def _types_of(value: object, entity: EntityClass) -> dict[str, Any]:
    """Give the fields that `__init__` has set; one that is no JSON value tells its own type."""
    made: dict[str, object] = getattr(value, "__dict__", {})
    return {
        name: Any if type(field) in _JSON_TYPES else type(field)
        for name, field in made.items()
        if name not in entity.derived
    }


class ObjectRunner:
    """Runs operations of one entity with an object of its class."""

    def __init__(self, scene: Scene, entity: EntityClass, text: str | None) -> None:
        """Begin with a state as JSON text."""
        self.text = text
        self.kept: EntityObject | None = None
        self.scene = scene
        self.entity = entity

    def begin(self, operation: Operation) -> ObjectAttempt:
        """Prepare an operation."""
        return ObjectAttempt(self, operation)

    def object(self) -> EntityObject:
        """Give the object, made of the state where there is none at hand.

        Raises:
            SerializationError: The state does not fit the class.
        """
        if self.kept is None:
            made = EntityObject(self.entity)
            if self.text is not None:
                self._read(made, self.text)
            self.kept = made
        return self.kept

    def _read(self, made: EntityObject, text: str) -> None:
        try:
            made.read(text)
        except SerializationError as error:
            remedy = "change the class so that it does"
            if DELETE not in self.entity.methods:
                remedy += f", or send the entity the operation {DELETE!r}"
            raise SerializationError(
                f"The state of {self.scene.entity} does not fit the class "
                f"{self.entity.cls.__qualname__}, and is kept as it is: {remedy}. {error}"
            ) from error


class ObjectAttempt:
    """One call of a method."""

    def __init__(self, runner: ObjectRunner, operation: Operation) -> None:
        self._runner = runner
        self._operation = operation
        self._context: ObjectContext | None = None
        self._object: EntityObject | None = None
        self._is_deleted = False

    def call(self) -> Any:
        """Find the method and run it."""
        entity = self._runner.entity
        method = entity.method(self._operation.name)
        if method is None:
            if self._operation.name.lower() == DELETE:
                self._is_deleted = True
                return None
            raise FunctionNotFoundError(self._unknown())
        values = self._values(method)
        self._object = self._runner.object()
        return method.call(self._object.value, values)

    def _unknown(self) -> str:
        known = ", ".join(f"'{name}'" for name in {**self._runner.entity.methods, DELETE: None})
        name = self._runner.scene.function.call_name
        return (
            f"The entity '{name}' has no operation '{self._operation.name}': its operations are "
            f"{known}."
        )

    def _values(self, method: EntityMethod) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if method.context is not None:
            state = EntityState(self._runner.text, None)
            self._context = ObjectContext(self._runner.scene, self._operation, state)
            values[method.context] = self._context
        text = self._operation.input
        if method.input is None:
            if text is not None and text != "null":
                raise TypeError(
                    f"The operation '{method.name}' takes no input, but one was given: send it "
                    "without, or give the method a parameter."
                )
        elif text is not None and (text != "null" or method.is_input_required):
            values[method.input] = load_json(text, method.input_type)
        elif method.is_input_required:
            _check_may_be_missing(method)
            values[method.input] = None
        return values

    def succeed(self, value: object) -> OperationOutcome:
        """Let take effect what the method has done."""
        context = self._context
        result = None if context is None else context.result
        if result is None and value is not None:
            result = dump_json(value)
        self._keep_state()
        if context is None:
            return OperationOutcome(result)
        return OperationOutcome(
            result=result, signals=tuple(context.signals), starts=tuple(context.starts)
        )

    def fail(self) -> None:
        """Take back what the method has done."""
        self._runner.kept = None
        if not self._runner.scene.rolls_back and self._object is not None:
            self._keep_state()

    def _keep_state(self) -> None:
        runner = self._runner
        if self._is_deleted or (self._context is not None and self._context.is_destructed):
            runner.text = runner.kept = None
        elif self._object is not None:
            runner.text = self._object.write()
            runner.kept = self._object


def _check_may_be_missing(method: EntityMethod) -> None:
    """Refuse that nothing is given to a parameter that is not annotated to take None.

    Raises:
        TypeError: It is not.
    """
    if method.input_type is not Any:
        with suppress(SerializationError):
            load_json("null", method.input_type)
            return
    raise TypeError(
        f"The operation '{method.name}' needs an input ({method.input}), but none was given: send "
        "one, or give the parameter a default."
    )
