"""The pool of threads: bounded, in order, and nothing of it keeps the process or a waiter."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from func_host.invocation.threads import Job, ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

WAIT_S = 10


class Ends:
    """Collects how jobs ended, and lets a test wait for so many."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.started = 0
        self._more = asyncio.Event()

    def job(self, call: Callable[[], Any]) -> Job:
        return Job(call, contextvars.copy_context(), self._on_started, self._on_ended)

    def _on_started(self) -> None:
        self.started += 1
        self._more.set()

    def _on_ended(self, result: Any, error: BaseException | None) -> None:
        self.results.append(result if error is None else error)
        self._more.set()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._more.clear()
                await self._more.wait()


async def test_results_come_back_to_the_loop_in_its_thread() -> None:
    pool, ends = ThreadPool(2, "test"), Ends()
    here = threading.get_ident()
    pool.submit(ends.job(threading.get_ident))
    await ends.wait_until(lambda: bool(ends.results))

    assert ends.results[0] != here
    assert ends.started == 1
    assert pool.unfinished == 0
    pool.close()


async def test_no_more_jobs_run_at_a_time_than_there_are_threads_and_in_order() -> None:
    pool, ends = ThreadPool(2, "test"), Ends()
    go, two_run = threading.Event(), threading.Barrier(3)
    begun: list[int] = []

    def job(number: int) -> int:
        begun.append(number)
        if number < 2:
            two_run.wait(WAIT_S)
        assert go.wait(WAIT_S)
        return number

    for number in range(5):
        pool.submit(ends.job(partial(job, number)))
    await asyncio.to_thread(two_run.wait, WAIT_S)
    assert sorted(begun) == [0, 1]
    assert pool.unfinished == 5

    go.set()
    await ends.wait_until(lambda: len(ends.results) == 5)

    assert sorted(ends.results) == [0, 1, 2, 3, 4]
    assert pool.unfinished == 0
    pool.close()


async def test_threads_are_daemons_started_when_needed_and_used_again() -> None:
    pool, ends = ThreadPool(8, "few"), Ends()
    for _ in range(3):
        pool.submit(ends.job(lambda: threading.current_thread().name))
        await ends.wait_until(lambda: pool.unfinished == 0)

    assert set(ends.results) == {"few-1"}
    mine = [each for each in threading.enumerate() if each.name.startswith("few-")]
    assert [each.daemon for each in mine] == [True]
    pool.close()


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), KeyboardInterrupt()])
async def test_whatever_a_job_raises_is_its_end_and_not_that_of_the_thread(
    error: BaseException,
) -> None:
    pool, ends = ThreadPool(1, "test"), Ends()

    def job() -> None:
        raise error

    pool.submit(ends.job(job))
    pool.submit(ends.job(lambda: "next"))
    await ends.wait_until(lambda: len(ends.results) == 2)

    assert ends.results == [error, "next"]
    pool.close()


async def test_no_result_of_thousands_is_lost() -> None:
    pool, ends = ThreadPool(8, "test"), Ends()
    for number in range(5_000):
        pool.submit(ends.job(partial(int, number)))
    await ends.wait_until(lambda: len(ends.results) == 5_000)

    assert sorted(ends.results) == list(range(5_000))
    assert pool.unfinished == 0
    pool.close()


async def test_a_listener_that_fails_does_not_keep_results_from_the_others() -> None:
    pool, ends = ThreadPool(1, "test"), Ends()
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))

    def fails(_result: Any, _error: BaseException | None) -> None:
        raise RuntimeError("cannot listen")

    both = threading.Event()

    def waits() -> None:
        assert both.wait(WAIT_S)

    def tells() -> None:
        both.set()

    pool.submit(Job(waits, contextvars.copy_context(), tells, fails))
    pool.submit(ends.job(lambda: "heard"))
    both.set()
    await ends.wait_until(lambda: ends.results == ["heard"])

    assert [str(each["exception"]) for each in problems] == ["cannot listen"]
    pool.close()


async def test_a_job_sees_the_context_it_was_made_in() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    pool, ends = ThreadPool(1, "test"), Ends()
    variable.set("mine")
    job = ends.job(variable.get)
    variable.set("another")
    pool.submit(job)
    await ends.wait_until(lambda: bool(ends.results))

    assert ends.results == ["mine"]
    pool.close()


async def test_closing_cancels_what_waits_and_lets_what_runs_end() -> None:
    pool, ends = ThreadPool(1, "test"), Ends()
    go = threading.Event()
    pool.submit(ends.job(lambda: go.wait(WAIT_S)))
    pool.submit(ends.job(lambda: "never"))
    await ends.wait_until(lambda: ends.started == 1)
    pool.close()
    assert [type(each) for each in ends.results] == [asyncio.CancelledError]

    go.set()
    await ends.wait_until(lambda: len(ends.results) == 2)

    assert ends.results[1] is True
    assert pool.unfinished == 0


async def test_a_machine_without_threads_says_so_or_uses_those_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, ends = ThreadPool(4, "test"), Ends()

    class NoThread:
        def __init__(self, **_: Any) -> None: ...

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("func_host.invocation.threads.threading.Thread", NoThread)
        with pytest.raises(RuntimeError, match="can't start"):
            pool.submit(ends.job(lambda: "never"))
    assert pool.unfinished == 0

    go = threading.Event()
    pool.submit(ends.job(lambda: go.wait(WAIT_S)))
    with monkeypatch.context() as patch:
        patch.setattr("func_host.invocation.threads.threading.Thread", NoThread)
        pool.submit(ends.job(lambda: "waited"))
    go.set()
    await ends.wait_until(lambda: len(ends.results) == 2)

    assert ends.results == [True, "waited"]
    pool.close()


def test_a_job_that_ends_after_its_loop_is_dropped() -> None:
    pool = ThreadPool(1, "orphan")
    go, ended = threading.Event(), threading.Event()

    async def begin() -> None:
        ends = Ends()

        def job() -> None:
            assert go.wait(WAIT_S)

        pool.submit(ends.job(job))
        await ends.wait_until(lambda: ends.started == 1)
        pool.close()

    asyncio.run(begin())
    (thread,) = [each for each in threading.enumerate() if each.name == "orphan-1"]
    go.set()
    thread.join(WAIT_S)
    ended.set()

    assert not thread.is_alive()
