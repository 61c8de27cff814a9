"""What a hub needs of a table, with the types that the client library does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping, Sequence

    from azure.core import MatchConditions
    from azure.data.tables import UpdateMode


class Table(Protocol):
    """The part of `azure.data.tables.aio.TableClient` that is used; raises what that raises."""

    def create_table(self) -> Awaitable[object]:
        """Create the table."""
        ...

    def delete_table(self) -> Awaitable[None]:
        """Delete the table with all in it."""
        ...

    def get_entity(
        self, partition_key: str, row_key: str, *, select: list[str] | None = None
    ) -> Awaitable[Mapping[str, Any]]:
        """Read a row; its etag is in the `metadata` of what is given."""
        ...

    def list_entities(self, *, select: list[str] | None = None) -> AsyncIterable[Mapping[str, Any]]:
        """Read all rows."""
        ...

    def query_entities(
        self,
        query_filter: str,
        *,
        results_per_page: int | None = None,
        select: list[str] | None = None,
    ) -> AsyncIterable[Mapping[str, Any]]:
        """Read the rows that an OData filter lets through."""
        ...

    def create_entity(self, entity: Mapping[str, Any]) -> Awaitable[Mapping[str, Any]]:
        """Insert a row; gives its etag."""
        ...

    def update_entity(
        self,
        entity: Mapping[str, Any],
        mode: UpdateMode = ...,
        *,
        etag: str | None = None,
        match_condition: MatchConditions | None = None,
    ) -> Awaitable[Mapping[str, Any]]:
        """Merge into a row or replace it; gives its etag."""
        ...

    def upsert_entity(
        self, entity: Mapping[str, Any], mode: UpdateMode = ...
    ) -> Awaitable[Mapping[str, Any]]:
        """Insert a row, merge into it or replace it; gives its etag."""
        ...

    def delete_entity(self, partition_key: str, row_key: str) -> Awaitable[None]:
        """Delete a row, whatever its etag."""
        ...

    def submit_transaction(
        self, operations: Iterable[tuple[Any, ...]]
    ) -> Awaitable[Sequence[Mapping[str, Any]]]:
        """Do up to 100 writes of one partition, or none of them; gives what each would."""
        ...
