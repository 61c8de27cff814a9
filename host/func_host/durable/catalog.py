"""The functions of the app as the durable part needs them: by name, with their types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import func_bindings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from func_host.indexing.functions import FunctionIndex, IndexedFunction


_DECORATORS = {
    "an activity": "@activity_trigger",
    "an orchestrator": "@orchestration_trigger",
    "an entity": "@entity_trigger",
}
_OWN_FOLDERS = (Path(__file__).parent.parent, Path(func_bindings.__file__).parent)


class AppCatalog:
    """Answers the engine's and the worker's questions from the index of the app."""

    def __init__(self, index: FunctionIndex) -> None:
        """Answer for the functions of this index."""
        self._index = index

    def activity(self, name: str) -> IndexedFunction | None:
        """Give the activity of this name, compared without case."""
        return self._index.activity(name)

    @property
    def activity_names(self) -> Sequence[str]:
        """The names of all activities."""
        return self._index.activity_names

    def activity_name(self, function: str | Callable[..., Any]) -> str:
        """Give the name under which an activity is called.

        Raises:
            TypeError: The function is not an activity.
        """
        if isinstance(function, str):
            return function
        return _call_name(self._index.activity(function), function, "an activity")

    def activity_result_type(self, name: str) -> Any:
        """Give the annotated result type of an activity; `Any` where there is none."""
        activity = self._index.activity(name)
        return Any if activity is None else activity.result_type

    def orchestrator(self, name: str) -> Callable[[Any], Any] | None:
        """Give the orchestrator of this name, to be called with its context."""
        found = self._index.orchestrator(name)
        if found is None:
            return None
        parameter = found.trigger.parameter or ""
        return lambda context: found.call({parameter: context})

    @property
    def orchestrator_names(self) -> Sequence[str]:
        """The names of all orchestrators."""
        return self._index.orchestrator_names

    def orchestrator_name(self, function: str | Callable[..., Any]) -> str:
        """Give the name under which an orchestrator is started.

        Raises:
            TypeError: The function is not an orchestrator.
        """
        if isinstance(function, str):
            return function
        return _call_name(self._index.orchestrator(function), function, "an orchestrator")

    def orchestrator_result_type(self, name: str) -> Any:
        """Give the annotated result type of an orchestrator; `Any` where there is none."""
        orchestrator = self._index.orchestrator(name)
        return Any if orchestrator is None else orchestrator.result_type

    def entity(self, name: str | Callable[..., Any]) -> IndexedFunction | None:
        """Give the entity of this name, compared without case, or of this function or class."""
        return self._index.entity(name)

    @property
    def entity_names(self) -> Sequence[str]:
        """The names of all entities."""
        return self._index.entity_names

    def entity_name(self, function: str | Callable[..., Any]) -> str:
        """Give the name by which an entity is addressed.

        Raises:
            TypeError: The function or class is not an entity.
        """
        if isinstance(function, str):
            return function
        return _call_name(self._index.entity(function), function, "an entity")

    def entity_result_type(self, name: str, operation: str) -> Any:
        """Give the annotated result type of an operation of a class; `Any` where there is none."""
        entity = self._index.entity(name)
        if entity is None or entity.entity_class is None:
            return Any
        method = entity.entity_class.method(operation)
        return Any if method is None else method.result_type

    def is_user_file(self, filename: str) -> bool:
        """Tell whether a stack trace should show frames of this file: any but the host's own."""
        return not any(Path(filename).is_relative_to(folder) for folder in _OWN_FOLDERS)


def _call_name(found: IndexedFunction | None, function: object, kind: str) -> str:
    if found is not None:
        return found.call_name
    name = getattr(function, "__name__", repr(function))
    raise TypeError(
        f"'{name}' is not {kind} of this app: decorate it with {_DECORATORS[kind]} in a module "
        "that the host indexes, or give the name of one as text."
    )
