"""Tasks can be driven by hand: awaited, combined, cancelled."""

from typing import Any

import pytest

from func_bindings import Task, TaskNotCompletedError, TimerTask
from func_bindings.durable.tasks import WhenAllTask, WhenAnyTask


def done(value: object) -> Task[Any]:
    task: Task[Any] = Task()
    task.complete(value)
    return task


def failed(error: Exception) -> Task[Any]:
    task: Task[Any] = Task()
    task.fail(error)
    return task


def test_a_task_has_no_result_before_it_ends() -> None:
    task: Task[int] = Task()

    assert (task.is_completed, task.is_failed, task.exception) == (False, False, None)
    with pytest.raises(TaskNotCompletedError):
        _ = task.result


def test_a_task_ends_once() -> None:
    task = done(1)
    task.complete(2)
    task.fail(ValueError())

    assert (task.result, task.is_failed) == (1, False)


def test_a_failed_task_raises_what_it_failed_with_every_time() -> None:
    error = ValueError("no")
    task = failed(error)

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            _ = task.result
    assert (task.is_completed, task.exception) == (True, error)


def test_awaiting_suspends_until_the_task_has_ended() -> None:
    task: Task[str] = Task()

    async def orchestrator() -> str:
        return await task + await task

    run = orchestrator()
    assert run.send(None) is task
    task.complete("x")
    with pytest.raises(StopIteration) as caught:
        run.send(None)
    assert caught.value.value == "xx"


def test_observers_are_called_once_at_once_where_the_task_has_ended() -> None:
    task: Task[int] = Task()
    seen: list[Task[Any]] = []
    task.on_completed(seen.append)
    task.on_completed(seen.append)
    task.complete(1)
    task.on_completed(seen.append)

    assert seen == [task] * 3


def test_all_gives_the_results_in_the_order_of_the_tasks() -> None:
    first, second = Task[int](), Task[int]()
    both = WhenAllTask([first, second])
    second.complete(2)
    assert not both.is_completed
    first.complete(1)

    assert both.result == [1, 2]


def test_all_of_nothing_is_an_empty_list_at_once() -> None:
    assert WhenAllTask[int]([]).result == []


def test_all_fails_with_the_first_failure_at_once() -> None:
    first, second = Task[int](), Task[int]()
    both = WhenAllTask([first, second])
    second.fail(ValueError("second"))
    first.fail(ValueError("first"))

    with pytest.raises(ValueError, match="second"):
        _ = both.result


def test_any_gives_the_task_that_ended_first_even_where_it_failed() -> None:
    first, second = Task[int](), Task[int]()
    either = WhenAnyTask([first, second])
    second.fail(ValueError())
    first.complete(1)

    assert either.result is second
    assert WhenAnyTask([done(1), done(2)]).result.result == 1


def test_any_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one task"):
        WhenAnyTask[int]([])


def test_a_timer_is_cancelled_once_and_not_after_it_fired() -> None:
    cancelled: list[TimerTask] = []
    timer = TimerTask(cancelled.append)
    timer.cancel()
    timer.cancel()

    assert cancelled == [timer]
    assert timer.is_cancelled

    fired = TimerTask(cancelled.append)
    fired.complete(None)
    with pytest.raises(ValueError, match="already fired"):
        fired.cancel()
    assert not fired.is_cancelled
