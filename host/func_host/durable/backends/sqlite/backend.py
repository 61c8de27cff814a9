"""The default store: one SQLite file, owned by one process.

Writes go through `writer`, which groups them; reads through `reader`, which sees what is committed;
who gets work next is decided in memory by the dispatcher that all stores share.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from func_bindings.errors import InstanceNotFoundError
from func_host.durable.backend import (
    BackendError,
    BackendFeatures,
    BackendUnavailableError,
    InstancePage,
)
from func_host.durable.backends import rules
from func_host.durable.backends.completion import Completions
from func_host.durable.backends.dispatch import Dispatcher
from func_host.durable.backends.lock import StoreLock
from func_host.durable.backends.no_dead_letters import NoDeadLetters
from func_host.durable.backends.one_host import OneHost
from func_host.durable.backends.sqlite import operations
from func_host.durable.backends.sqlite.opening import open_store
from func_host.durable.backends.sqlite.reader import Reader
from func_host.durable.backends.sqlite.writer import GroupWriter
from func_host.durable.codec import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from func_host.clock import Clock
    from func_host.durable.backend import (
        Commit,
        HubSummary,
        InstanceQuery,
        InstanceRecord,
        RequestCount,
        StoredInstance,
        WorkItem,
    )
    from func_host.durable.backends.sqlite.opening import Connections
    from func_host.durable.backends.sqlite.transaction import Effects
    from func_host.durable.history import ExecutionStarted, HistoryEvent, MessageEvent

PURGED_INSTANCES_MAX = 500
PURGED_EVENTS_MAX = 5_000
"""A purge holds up commits for as long as it takes to delete this much, again and again."""

_FEATURES = BackendFeatures()


class _Open:
    """The parts of an opened store; made and closed on the event loop."""

    def __init__(self, connections: Connections, path: Path, clock: Clock) -> None:
        self._connections = connections
        self.reader = Reader(connections, path)
        self.dispatcher = Dispatcher(clock, self.reader)
        self.completions = Completions()
        self.writer = GroupWriter(connections.writer, path, self._publish)

    async def close(self) -> None:
        """Finish commits in progress, wake those who wait, close the file."""
        await self.writer.close()
        self.dispatcher.close()
        self.completions.close()
        await asyncio.to_thread(self._close_files)

    def _close_files(self) -> None:
        self.reader.close()
        self._connections.close()

    def _publish(self, effects: Effects) -> None:
        dispatcher = self.dispatcher
        for instance_id, message_ids in effects.consumed.items():
            dispatcher.consumed(instance_id, message_ids)
        for instance_id in effects.replaced:
            dispatcher.replaced(instance_id)
        for instance_id, kept in effects.forgotten.items():
            dispatcher.forget(instance_id, keep=kept)
        for arrival in effects.arrived:
            dispatcher.arrived(arrival)
        for visible_at, message_id in effects.delayed:
            dispatcher.delayed(visible_at, message_id)
        for instance_id in effects.ended:
            self.completions.ended(instance_id)


class SqliteBackend(NoDeadLetters, OneHost):
    """A `Backend` over one file; acknowledged is durable (`synchronous=FULL`).

    Args:
        path: The database file; made with its folder where there is none.
        clock: Decides when delayed messages are due.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = StoreLock(path)
        self._parts: _Open | None = None

    @property
    def features(self) -> BackendFeatures:
        """What this store can do."""
        return _FEATURES

    def request_counts(self) -> Sequence[RequestCount]:
        """Give nothing: this store asks nobody."""
        return ()

    async def __aenter__(self) -> Self:
        """Own and open the file, migrating an old one.

        Raises:
            StoreInUseError: Another process owns it, or another backend of this one.
            BackendError: It cannot be opened; the message says why and what to do.
        """
        connections = await asyncio.to_thread(self._open_files)
        self._parts = _Open(connections, self._path, self._clock)
        try:
            await self._parts.dispatcher.open()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish commits in progress, close the file and give it up; safe to call twice."""
        parts, self._parts = self._parts, None
        if parts is not None:
            try:
                await parts.close()
            finally:
                self._lock.release()

    async def create_instance(
        self, start: ExecutionStarted, *, replace_unfinished: bool = False
    ) -> None:
        """Store a new instance as `Pending` and its start message."""
        parts = self._opened()
        replaced = parts.reader.history_length(start.orchestration_instance.instance_id)
        operation = operations.create(
            start, now=self._now(), replace=replace_unfinished, replaced_length=replaced
        )
        await parts.writer.submit(operation)

    async def send_message(
        self,
        instance_id: str,
        event: MessageEvent,
        *,
        visible_at: datetime | None = None,
        operation_id: str | None = None,
    ) -> None:
        """Store a message to an instance that exists and has not ended, or to an entity."""
        operation = operations.send(
            instance_id,
            event,
            now=self._now(),
            visible_at=visible_at,
            operation_id=operation_id,
        )
        await self._opened().writer.submit(operation)

    async def next_work_item(self) -> WorkItem:
        """Wait for an instance that has something to do, in order of waiting."""
        return await self._opened().dispatcher.next()

    async def load(self, instance_id: str) -> StoredInstance | None:
        """Give the instance with its whole history, or None where there is none."""
        return await self._opened().reader.load(instance_id)

    async def commit(self, commit: Commit) -> None:
        """Write one step, all or nothing; when this returns it is durable."""
        await self._opened().writer.submit(operations.Step(commit, self._now()))

    async def abandon(self, instance_id: str) -> None:
        """Forget what was delivered to this instance: what is unconsumed is handed out again."""
        parts = self._opened()
        await parts.writer.submit(operations.Barrier())  # what is being consumed is not unconsumed
        parts.dispatcher.abandon(instance_id)

    async def get_instance(
        self, instance_id: str, *, fetch_input: bool = True
    ) -> InstanceRecord | None:
        """Give the status row as last committed; its cost does not grow with the history."""
        return await self._opened().reader.instance(instance_id, fetch_input=fetch_input)

    async def get_history(self, instance_id: str) -> Sequence[HistoryEvent]:
        """Give the committed history of the current execution; empty where there is none."""
        stored = await self._opened().reader.load(instance_id)
        return () if stored is None else stored.history

    async def query_instances(self, query: InstanceQuery) -> InstancePage:
        """Give one page of the instances that match, ordered by id."""
        after = rules.position_of(query.continuation_token)
        found = await self._opened().reader.matching(query, after=after)
        page = tuple(found[: query.page_size])
        is_last = len(found) <= query.page_size
        return InstancePage(page, None if is_last else rules.token_after(page[-1].instance_id))

    async def purge_instance(self, instance_id: str) -> bool:
        """Delete all that is stored of an instance that has ended; False where there is none."""
        parts = self._opened()
        operation = operations.Purge(instance_ids=(instance_id,))
        await parts.writer.submit(operation)
        if operation.purged:
            return True
        stored = await parts.reader.instance(instance_id, fetch_input=False)
        if stored is not None:
            rules.check_purgeable(instance_id, stored.runtime_status)
        return False

    async def purge_entity(self, instance_id: str, execution_id: str) -> bool:
        """Delete all that is stored of an entity where this is still its execution."""
        operation = operations.PurgeEntity(instance_id=instance_id, execution_id=execution_id)
        await self._opened().writer.submit(operation)
        return operation.is_purged

    async def purge_instances(self, query: InstanceQuery) -> int:
        """Delete the instances that match and have ended; give how many."""
        parts = self._opened()
        purged, after = 0, ""
        while candidates := await parts.reader.purge_candidates(
            query, after=after, limit=PURGED_INSTANCES_MAX
        ):
            chunk: list[str] = []
            events = 0
            for candidate in candidates:
                if chunk and events + candidate.history_length > PURGED_EVENTS_MAX:
                    break
                chunk.append(candidate.instance_id)
                events += candidate.history_length
            operation = operations.Purge(instance_ids=tuple(chunk))
            await parts.writer.submit(operation)
            purged += len(operation.purged)
            after = chunk[-1]
        return purged

    async def wait_for_completion(self, instance_id: str) -> InstanceRecord:
        """Wait until the instance has ended, woken by the commit that ends it."""
        while True:
            parts = self._opened()
            with parts.completions.watch(instance_id) as ended:
                record = await parts.reader.instance(instance_id, fetch_input=True)
                if record is None:
                    raise InstanceNotFoundError(instance_id)
                if record.runtime_status.is_terminal:
                    return record
                await ended.wait()

    async def summary(self) -> HubSummary:
        """Count the instances by status."""
        return await self._opened().reader.summary()

    def _open_files(self) -> Connections:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendError(
                f"The store {self._path} cannot be opened: its folder cannot be made "
                f"({error.strerror}). Choose another one (--storage)."
            ) from error
        self._lock.acquire()
        try:
            return open_store(self._path)
        except BaseException:
            self._lock.release()
            raise

    def _opened(self) -> _Open:
        if self._parts is None:
            raise BackendUnavailableError(f"The store {self._path} is not open.")
        return self._parts

    def _now(self) -> int:
        return to_microseconds(self._clock.now())
