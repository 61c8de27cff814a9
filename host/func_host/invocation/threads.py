"""A bounded pool of daemon threads for sync functions, with few hand-overs to the loop.

Unlike `ThreadPoolExecutor` its threads do not keep the process alive: a function that never returns
must not stop the host from stopping. Results that end at the same time share one wake-up of the
loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable


@dataclass(slots=True)
class Job:
    """A call that runs in a thread; `on_started` and `on_ended` are called on the loop."""

    call: Callable[[], Any]
    context: contextvars.Context
    on_started: Callable[[], None]
    on_ended: Callable[[Any, BaseException | None], None]


class ThreadPool:
    """At most `size` threads, started when they are needed."""

    def __init__(self, size: int, name: str) -> None:
        """Make a pool without threads; it belongs to the loop that first submits to it."""
        self._size = size
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = 0
        self._unfinished = 0
        self._reports: deque[Callable[[], None]] = deque()
        self._is_woken = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def unfinished(self) -> int:
        """How many jobs have been submitted and have not ended."""
        return self._unfinished

    def submit(self, job: Job) -> None:
        """Queue a job; jobs start in order."""
        self._loop = self._loop or asyncio.get_running_loop()
        self._unfinished += 1
        self._jobs.put(job)
        if self._unfinished > self._threads and self._threads < self._size:
            self._start_thread()

    def _start_thread(self) -> None:
        name = f"{self._name}-{self._threads + 1}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:  # the machine has no more threads: those there are must do
            if self._threads == 0:
                self._unfinished -= 1
                self._jobs.get_nowait()
                raise
        else:
            self._threads += 1

    def close(self) -> None:
        """Cancel jobs that wait and let threads end, those that run a job after it."""
        for job in self._take_waiting():
            _Ended(self, job, None, asyncio.CancelledError())()
        for _ in range(self._threads):
            self._jobs.put(None)

    def _take_waiting(self) -> list[Job]:
        jobs: list[Job] = []
        with suppress(Empty):
            while (job := self._jobs.get_nowait()) is not None:
                jobs.append(job)
        return jobs

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._report(job.on_started)
            result: Any = None
            error: BaseException | None = None
            try:
                result = job.context.run(job.call)
            except BaseException as raised:  # noqa: BLE001 -- user code may raise anything
                error = raised
            self._report(_Ended(self, job, result, error))
            del job, result, error

    def _report(self, report: Callable[[], None]) -> None:
        self._reports.append(report)
        if not self._is_woken:
            self._is_woken = True
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop is closed: nobody is left to hear it
                self._reports.clear()

    def _deliver(self) -> None:
        # Cleared before the deque is read: a report that comes after the last popleft wakes again.
        self._is_woken = False
        try:
            while self._reports:
                self._reports.popleft()()
        finally:
            if self._reports:  # one has failed: the others are told all the same
                asyncio.get_running_loop().call_soon(self._deliver)

    def ended(self) -> None:
        """Count a job that has ended."""
        self._unfinished -= 1


@dataclass(frozen=True, slots=True)
class _Ended:
    pool: ThreadPool
    job: Job
    result: Any
    error: BaseException | None

    def __call__(self) -> None:
        self.pool.ended()
        self.job.on_ended(self.result, self.error)
