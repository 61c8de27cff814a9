"""Critical sections: several entities held by one orchestration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from func_bindings.durable.entities import EntityId


class CriticalSection:
    """What `context.lock` gives: the entities are this orchestration's until the block is left.

    `async with await context.lock(a, b):` or, in a generator, `with (yield context.lock(a, b)):`.
    Leaving twice does no harm.
    """

    __slots__ = ("_entities", "_release")

    def __init__(self, entities: tuple[EntityId, ...], release: Callable[[], None]) -> None:
        """Stand for locks that have been granted; `release` gives them back."""
        self._entities = entities
        self._release = release

    @property
    def entities(self) -> tuple[EntityId, ...]:
        """What is locked, in the order in which it was."""
        return self._entities

    def release(self) -> None:
        """Give the locks back before the block ends."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._release()
