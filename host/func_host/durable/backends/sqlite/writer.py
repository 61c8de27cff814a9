"""Group commit: operations that wait at the same time share one transaction and one fsync.

The statements of a group run on the event loop, a few microseconds each: handing the interpreter
lock to another thread and back for each of them would cost far more. Only COMMIT, which waits for
the disk, runs in the writer's thread, and while it does, the next group gathers. An operation that
would hold up the loop is a group of its own and runs in the thread as a whole.

A group begins at the end of the loop's turn in which its first operation came, so a lone operation
waits for nobody, and those of one turn go together.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

from func_bindings.errors import FunctionsError
from func_host.durable.backend import BackendUnavailableError
from func_host.durable.backends.sqlite.errors import is_busy, translate
from func_host.durable.backends.sqlite.opening import BUSY_TIMEOUT_S
from func_host.durable.backends.sqlite.operations import LIGHT_SIZE_MAX, Barrier
from func_host.durable.backends.sqlite.transaction import Effects, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from func_host.durable.backends.sqlite.operations import Operation

GROUP_OPERATIONS_MAX = 128
GROUP_SIZE_MAX = 4 * LIGHT_SIZE_MAX


@dataclass(slots=True)
class _Request:
    """An operation in a group, and how it went."""

    operation: Operation
    done: asyncio.Future[None]
    effects: Effects | None = None
    error: Exception | None = None
    is_broken: bool = False  # it failed half way, not by its own decision

    def settle(self) -> None:
        if self.done.done():  # nobody waits any more
            return
        if self.error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(self.error)


@dataclass(frozen=True, slots=True)
class _Job:
    """Work of the thread: COMMIT what the loop has written, or write and commit all."""

    group: list[_Request]
    is_whole: bool


class GroupWriter:
    """Applies operations in order, many in one transaction; a returned `submit` is durable.

    Args:
        connection: The one connection that writes.
        path: The file, for messages.
        publish: Called on the loop with the effects of each operation once they are durable,
            before its `submit` returns.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, publish: Callable[[Effects], None]
    ) -> None:
        self._connection = connection
        self._path = path
        self._publish = publish
        self._transaction = Transaction(connection)
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Request] = deque()
        self._is_flush_due = False
        self._is_writing = False
        self._is_closed = False
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def submit(self, operation: Operation) -> None:
        """Apply an operation and return when it is durable.

        Raises:
            BackendUnavailableError: It could not be written; what was asked for has no effect.
        """
        if self._is_closed:
            raise BackendUnavailableError(f"The store {self._path} is closed.")
        await self._enqueue(operation)

    async def close(self) -> None:
        """Finish what was submitted and end the thread; safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._enqueue(Barrier())
        self._jobs.put(None)
        self._thread.join()
        self._transaction.close()

    def _enqueue(self, operation: Operation) -> asyncio.Future[None]:
        request = _Request(operation, self._loop.create_future())
        self._queue.append(request)
        if not self._is_writing and not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)
        return request.done

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._is_writing or not self._queue:
            return
        self._is_writing = True
        group = self._next_group()
        if group[0].operation.is_heavy:
            self._jobs.put(_Job(group, is_whole=True))
            return
        try:
            must_commit = self._apply(group)
        except sqlite3.Error as error:
            if is_busy(error):  # another program writes: wait for it in the thread
                self._jobs.put(_Job(group, is_whole=True))
            else:
                self._finish(group, error)
            return
        if must_commit:
            self._jobs.put(_Job(group, is_whole=False))
        else:
            self._finish(group, None)

    def _next_group(self) -> list[_Request]:
        group = [self._queue.popleft()]
        size = group[0].operation.size
        while (
            self._queue
            and len(group) < GROUP_OPERATIONS_MAX
            and size < GROUP_SIZE_MAX
            and not group[0].operation.is_heavy
            and not self._queue[0].operation.is_heavy
        ):
            request = self._queue.popleft()
            size += request.operation.size
            group.append(request)
        return group

    def _apply(self, group: Sequence[_Request]) -> bool:
        """Write a group; tell whether there is something to commit.

        An operation that breaks half way takes the transaction with it: the others are written
        again without it.
        """
        while True:
            self._execute("BEGIN IMMEDIATE")
            try:
                self._apply_each([request for request in group if not request.is_broken])
            except _BrokenOperationError:
                self._roll_back()
            else:
                break
        if all(request.error is not None for request in group):
            self._roll_back()
            return False
        return True

    def _apply_each(self, group: Sequence[_Request]) -> None:
        for request in group:
            request.effects = request.error = None
            try:
                request.effects = request.operation.apply(self._transaction)
            except FunctionsError as error:
                request.error = error
            except Exception as error:
                request.error = _of_store(error, self._path)
                request.is_broken = True
                raise _BrokenOperationError from error

    def _finish(self, group: Sequence[_Request], error: Exception | None) -> None:
        """On the loop: tell everybody, then go on with what has gathered."""
        self._is_writing = False
        for request in group:
            if error is not None and request.error is None:
                request.error = _of_store(error, self._path)
            if request.error is None and request.effects is not None:
                self._publish(request.effects)
            request.settle()
        self._flush()

    def _work(self) -> None:
        """In the thread: do jobs until there are no more."""
        while (job := self._jobs.get()) is not None:
            error = self._write(job.group) if job.is_whole else self._commit()
            try:
                self._loop.call_soon_threadsafe(self._finish, job.group, error)
            except RuntimeError:  # the loop is gone, and with it everybody who waits
                return

    def _commit(self) -> Exception | None:
        try:
            self._execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            return error
        return None

    def _write(self, group: Sequence[_Request]) -> Exception | None:
        try:
            self._execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
            if self._apply(group):
                self._execute("COMMIT")
            self._execute("PRAGMA busy_timeout = 0")
        except sqlite3.Error as error:
            self._roll_back()
            return error
        return None

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement).close()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._execute("ROLLBACK")


class _BrokenOperationError(Exception):
    """An operation failed half way; its request says why."""


def _of_store(error: Exception, path: Path) -> Exception:
    return translate(error, path) if isinstance(error, sqlite3.Error) else error
