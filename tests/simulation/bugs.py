"""Bugs to plant in the production parts and in the store, to see that the simulation finds them."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from func_host.durable.backends.memory import MemoryBackend
from func_host.durable.engine import commit as planning
from func_host.durable.engine.entities import scheduler
from func_host.durable.engine.entities.calls import SentToEntities
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.engine.entities.scheduler import EntityScheduler
from func_host.durable.engine.state import OrchestrationState
from func_host.durable.engine.steps import Steps
from func_host.durable.history import EventRaised, TaskCompleted
from func_host.durable.operations.functions import FunctionAttempt
from func_host.durable.worker import lock_watch
from func_host.durable.worker.activities import ActivityDispatcher
from func_host.durable.worker.recording import Recording
from func_host.durable.worker.session import Session
from func_host.durable.worker.worker import DurableWorker
from tests.simulation.store import FaultyBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from func_host.durable.backend import Commit, OutgoingMessage
    from func_host.durable.engine.entities.messages import Request
    from func_host.durable.history import ExecutionStarted
    from func_host.durable.worker.worker import AnySession
    from tests.simulation.entity_batches import Ran

Plant = AbstractContextManager[Any]


def commit_acknowledged_before_it_is_durable() -> Plant:
    """Some commits return at once, and are written a moment later, if the host still lives."""
    apply = FaultyBackend._apply
    late: dict[FaultyBackend, list[tuple[Commit, Ran]]] = {}

    def write(backend: FaultyBackend) -> None:
        steps = late.pop(backend, [])
        for step, ran in [] if backend._life.is_over else steps:
            with suppress(StopIteration):
                apply(backend, step, ran).send(None)

    async def wrong(backend: FaultyBackend, step: Commit, ran: Ran) -> None:
        write(backend)
        if backend._chance.random() < 0.7:
            await apply(backend, step, ran)
            return
        late[backend] = [(step, ran)]
        asyncio.get_running_loop().call_later(0.02, write, backend)

    return patch.object(FaultyBackend, "_apply", wrong)


def start_acknowledged_before_it_is_durable() -> Plant:
    """Some starts return at once, and are written a moment later, if the host still lives."""
    create = FaultyBackend.create_instance

    def write(backend: FaultyBackend, start: ExecutionStarted) -> None:
        if not backend._life.is_over:
            try:
                backend._inner.create_instance(start).send(None)
            except StopIteration:
                backend._ledger.created(start)

    async def wrong(backend: FaultyBackend, start: ExecutionStarted, **options: bool) -> None:
        if options.get("replace_unfinished") or backend._chance.random() < 0.7:
            await create(backend, start, **options)
        else:
            asyncio.get_running_loop().call_later(0.02, write, backend, start)

    return patch.object(FaultyBackend, "create_instance", wrong)


def dropped_wake_up() -> Plant:
    """Now and then a session is not told of a result."""
    wake = DurableWorker._wake

    def wrong(worker: DurableWorker, session: AnySession) -> None:
        is_told = isinstance(session, Session) and session.results
        if not (is_told and worker._ids.jitter() < 0.05):
            wake(worker, session)

    return patch.object(DurableWorker, "_wake", wrong)


def consumed_message_not_deleted() -> Plant:
    """Some commits leave in the store what they have consumed."""
    apply = FaultyBackend._apply

    async def wrong(backend: FaultyBackend, step: Commit, ran: Ran) -> None:
        if backend._chance.random() < 0.9:
            await apply(backend, step, ran)
            return
        await backend._inner.commit(replace(step, consumed=()))
        backend._ledger.committed(step, ran)

    return patch.object(FaultyBackend, "_apply", wrong)


def result_recorded_twice() -> Plant:
    """Each result is delivered twice, and history takes it as often as it comes."""
    report: Callable[..., None] = ActivityDispatcher._report
    accepts: Callable[..., bool] = OrchestrationState.accepts

    def wrong_report(dispatcher: ActivityDispatcher, call: Any, result: Any) -> None:
        report(dispatcher, call, result)
        dispatcher._deliver(call.instance, result)

    def wrong_accepts(state: OrchestrationState, event: Any) -> bool:
        return isinstance(event, TaskCompleted) or accepts(state, event)

    return _both(
        patch.object(ActivityDispatcher, "_report", wrong_report),
        patch.object(OrchestrationState, "accepts", wrong_accepts),
    )


def timer_visible_early() -> Plant:
    """Timers come a millisecond before they are due."""
    timer_message: Callable[..., OutgoingMessage] = planning.timer_message

    def wrong(*arguments: Any) -> OutgoingMessage:
        message = timer_message(*arguments)
        assert message.visible_at is not None
        return replace(message, visible_at=message.visible_at - timedelta(milliseconds=1))

    return patch.object(planning, "timer_message", wrong)


def activity_started_before_the_commit() -> Plant:
    """Activities start when they are asked for, whatever they follow from."""
    record: Callable[..., None] = Recording.record

    def wrong(recording: Recording, actions: Any, advance: Any, **_: Any) -> None:
        record(recording, actions, advance, is_opening=True)

    return patch.object(Recording, "record", wrong)


def unread_events_forgotten() -> Plant:
    """Continue-as-new drops the events that nobody has read."""
    take_unread: Callable[..., tuple[EventRaised, ...]] = Steps.take_unread

    def wrong(steps: Steps) -> tuple[EventRaised, ...]:
        take_unread(steps)
        return ()

    return patch.object(Steps, "take_unread", wrong)


def open_activities_not_stored() -> Plant:
    """The store does not learn that an instance has activities in flight."""
    plan_commit: Callable[..., Commit] = planning.plan_commit

    def wrong(*arguments: Any, **options: Any) -> Commit:
        return replace(plan_commit(*arguments, **options), open_activities=0)

    return patch.object(planning, "plan_commit", wrong)


def result_of_another_execution_taken() -> Plant:
    """A result is taken by its number alone, whichever execution has asked for it."""
    feed: Callable[..., None] = Session._feed_result

    def wrong(session: Session, instance: Any, result: Any, *rest: Any) -> None:
        recording = session._recording
        is_started = recording.state.started is not None
        feed(session, recording.instance if is_started else instance, result, *rest)

    return patch.object(Session, "_feed_result", wrong)


def locks_kept_at_the_end() -> Plant:
    """An orchestration that ends while it has a lock, in whatever way, does not give it back."""

    def wrong(sent: SentToEntities) -> None:
        """Release nothing."""

    return patch.object(SentToEntities, "release_all", wrong)


def lock_of_a_replaced_owner_kept() -> Plant:
    """Nobody looks whether the owner of a lock is still there."""

    def wrong(*_: object) -> bool:
        return False

    return patch.object(lock_watch, "is_orphaned", wrong)


def lock_ignored() -> Plant:
    """Whoever comes is let in while an entity is locked."""
    admits: Callable[..., bool] = EntityScheduler._is_admitted

    def wrong(scheduler: EntityScheduler, request: Request) -> bool:
        return not request.is_lock or admits(scheduler, request)

    return patch.object(EntityScheduler, "_is_admitted", wrong)


def signals_sent_before_the_commit() -> Plant:
    """What an entity signals leaves at once, whether its batch becomes durable or not."""
    commit = FaultyBackend.commit

    async def wrong_commit(backend: FaultyBackend, step: Commit) -> None:
        for out in step.outbox if is_entity(step.instance_id) else ():
            if _is_signal(out):
                await backend._inner.send_message(out.instance_id, out.event)
        await commit(backend, step)

    async def wrong_apply(backend: FaultyBackend, step: Commit, ran: Ran) -> None:
        is_early = is_entity(step.instance_id)
        outbox = tuple(out for out in step.outbox if not (is_early and _is_signal(out)))
        await backend._inner.commit(replace(step, outbox=outbox))
        backend._ledger.committed(step, ran)

    return _both(
        patch.object(FaultyBackend, "commit", wrong_commit),
        patch.object(FaultyBackend, "_apply", wrong_apply),
    )


def _is_signal(out: OutgoingMessage) -> bool:
    is_operation = isinstance(out.event, EventRaised) and '"signal":true' in (out.event.input or "")
    return is_operation and out.visible_at is None


def state_kept_after_a_failure() -> Plant:
    """What a failing operation has done to the state stays."""
    return patch.object(FunctionAttempt, "fail", FunctionAttempt._keep_state)


def operation_ids_forgotten() -> Plant:
    """A signal that a client repeats is another one."""

    def wrong(*_: object) -> bool:
        return True

    return patch.object(MemoryBackend, "_is_first", wrong)


def requests_not_sorted() -> Plant:
    """An entity takes requests as they come, also where the store does not keep their order."""

    def wrong(_state: object, request: Request, _window: int) -> list[Request]:
        return [request]

    return patch.object(scheduler, "in_order", wrong)


BUGS: tuple[Callable[[], Plant], ...] = (
    commit_acknowledged_before_it_is_durable,
    start_acknowledged_before_it_is_durable,
    dropped_wake_up,
    consumed_message_not_deleted,
    result_recorded_twice,
    timer_visible_early,
    activity_started_before_the_commit,
    unread_events_forgotten,
    open_activities_not_stored,
    result_of_another_execution_taken,
    locks_kept_at_the_end,
    lock_of_a_replaced_owner_kept,
    lock_ignored,
    signals_sent_before_the_commit,
    state_kept_after_a_failure,
    operation_ids_forgotten,
    requests_not_sorted,
)


@contextmanager
def _both(*plants: Plant) -> Generator[None]:
    with ExitStack() as stack:
        for plant in plants:
            stack.enter_context(plant)
        yield
