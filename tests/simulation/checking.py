"""What must hold once everything has come to rest, promise by promise."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from func_host.durable.actions import (
    CompleteOrchestration,
    ContinueAsNew,
    CreateSubOrchestration,
    CreateTimer,
    ScheduleTask,
    SendEvent,
)
from func_host.durable.catalog import AppCatalog
from func_host.durable.engine.commit import record_of
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.engine.entities.scheduler import read_state
from func_host.durable.executor import InProcessExecutor
from func_host.durable.history import (
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)
from func_host.durable.worker.entity_session import EntitySession
from tests.simulation.endings import Facts
from tests.simulation.model import TooManyWaysError, outcomes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from func_host.durable.actions import OrchestratorAction
    from func_host.durable.backends.memory.store import StoredData
    from func_host.durable.history import HistoryEvent
    from func_host.durable.worker.session import Session
    from tests.simulation.ledger import Execution, Run
    from tests.simulation.programs import Program
    from tests.simulation.world import World

_SCHEDULED = (
    TaskScheduled,
    TimerCreated,
    SubOrchestrationInstanceCreated,
    EventSent,
    ExecutionCompleted,
)
_SHOWN_MAX = 5


def leftovers(world: World) -> Iterator[str]:
    """Tell what is still held for instances that have all ended, by the host and by the store."""
    host = world.host
    if host is None:
        yield "promise 9: no host is up"
        return
    worker, memory = host.worker, host.memory
    held: dict[str, Any] = {
        "sessions": [each for each in worker._sessions.values() if _is_held(each)],
        "suspended orchestrators": host.executor.suspended,
        "processed instances": worker._processing,
        "waiting instances": worker._waiting,
        "lingering sessions": worker._lingering,
        "running activities": worker._activities.running,
        "queued activities": worker._activities._queue,
        "results to come": worker._activities._dispatched,
        "mailboxes": memory._dispatcher._mailboxes,
        "ready instances": memory._dispatcher._ready,
        "watchers": memory._completions._waiting,
        "delayed messages": world.store.delayed,
        "locked entities": worker._locks._locked,
        "requests to entities": world.ledger.entities.waiting,
    }
    for what, thing in held.items():
        if thing:
            yield f"promise 11: at rest the host still has {what}: {thing!r}"
    for instance_id, stored in world.store.instances.items():
        if stored.record.parked is not None:
            yield f"promise 8: '{instance_id}' is parked: {stored.record.parked}"
        if is_entity(instance_id):
            yield from _left_in_entity(instance_id, stored)
            continue
        if not stored.record.runtime_status.is_terminal:
            yield f"promise 9: '{instance_id}' is {stored.record.runtime_status.value}"
        if stored.messages or stored.open_activities:
            yield f"promise 3: '{instance_id}' has ended, but is left with {stored}"


def _is_held(session: Session | EntitySession) -> bool:
    """Tell whether a session is more than the memory of an entity that has nothing to do."""
    if isinstance(session, EntitySession):
        return not session.is_idle
    return session.is_loaded


def _left_in_entity(instance_id: str, stored: StoredData) -> Iterator[str]:
    if stored.messages or stored.open_activities:
        yield f"promise 4: '{instance_id}' is left with {stored}"
    state = read_state(stored.record.input)
    buffered = [each.buffered for each in state.sorter.received_from_instance.values()]
    if state.locked_by is not None or state.queue or any(buffered):
        yield f"promise 4: at rest '{instance_id}' is still {state}"


def broken_promises(world: World, programs: tuple[Program, ...]) -> Iterator[str]:
    """Compare what happened with what the programs say, and with what was acknowledged."""
    ledger = world.ledger
    by_name = {program.name: program for program in programs}
    yield from _lost(world)
    for run in ledger.runs:
        if run.outcome is not None:
            yield from _unexpected_outcome(run, by_name[run.program], world)
    replayer = InProcessExecutor(AppCatalog(world.index), store_inputs=True)
    for execution in ledger.executions:
        yield from _replayed_otherwise(execution, replayer)


def _lost(world: World) -> Iterator[str]:
    keys = {run.key for run in world.ledger.runs}
    for key in world.acknowledged:
        if key not in keys:
            yield f"promise 1: the start {key} was acknowledged and is gone"
    for key in world.signalled:
        if key not in world.ledger.entities.effects:
            yield f"promise 1: the signal {key} was acknowledged and is gone"
    for run, name, value in world.raised:
        runs = [each for each in world.ledger.runs if each.instance_id == run.instance_id]
        if not any((name, value) in each.events for each in runs):
            yield f"promise 1: the event {value!r} to {run.key} was acknowledged and is gone"
    for instance_id, status in world.seen:
        runs = [run for run in world.ledger.runs if run.instance_id == instance_id]
        endings = [run.outcome.status for run in runs if run.outcome is not None]
        if status.runtime_status.value not in endings:
            yield f"promise 1: '{instance_id}' was seen as {status}, but ended as {endings}"


def _unexpected_outcome(run: Run, program: Program, world: World) -> Iterator[str]:
    events: dict[str, list[Any]] = {}
    for name, value in run.events:
        events.setdefault(name, []).append(value)
    facts = Facts(
        key=run.key,
        total=run.total,
        events=events,
        children={
            key: [child.outcome for child in children]
            for key, children in world.ledger.children.items()
        },
        operations=world.ledger.entities.inputs,
        effects=world.ledger.entities.effects,
        orchestrators=world.index.orchestrator_names,
        termination_reasons=tuple(dict.fromkeys(run.terminations)),
    )
    assert run.outcome is not None
    actual = run.outcome
    if actual.status == "Terminated":
        actual = replace(actual, custom_status=None)  # it may come at any moment
    try:
        if any(expected == actual for expected in outcomes(program, _guided(facts, run))):
            return
    except TooManyWaysError:
        world.unjudged.append(run)
        return
    some = [*islice(outcomes(program, facts), _SHOWN_MAX)]
    yield f"{run.describe()} ended with {run.outcome}, the program says one of {some}"


def _guided(facts: Facts, run: Run) -> Facts:
    assert run.outcome is not None
    is_completed = run.outcome.status == "Completed"
    return replace(
        facts,
        generation_totals=[execution.total for execution in run.executions],
        last_notes=run.outcome.result["noted"] if is_completed else None,
    )


def _replayed_otherwise(execution: Execution, replayer: InProcessExecutor) -> Iterator[str]:
    """Run the orchestrator over the history, step by step, and compare each step it asks for."""
    history = execution.history
    started = next((event for event in history if isinstance(event, ExecutionStarted)), None)
    if started is None:
        return
    run, reason = replayer.replay(started, history)
    if run is None:
        yield f"promise 8: {execution.run.describe()} cannot be replayed: {reason}"
        return
    run.close()
    run, _ = replayer.start(started)
    assert run is not None
    asked: list[OrchestratorAction] = []
    for event in history:
        if not isinstance(event, _SCHEDULED):
            run.feed(event)
            continue
        asked = asked or run.take_actions()
        action = asked.pop(0) if asked else None
        if action is None or not _is_record_of(action, event):
            yield f"promise 8: a replay asks for {action}, history has {event}"
    run.close()


def _is_record_of(action: OrchestratorAction, event: HistoryEvent) -> bool:
    if isinstance(action, ContinueAsNew):
        return False
    recorded: Any = record_of(action, event.timestamp, store_inputs=True)
    if isinstance(event, ExecutionCompleted) and event.failure_details is not None:
        # The stack trace names lines, not what was asked for.
        assert isinstance(action, CompleteOrchestration)
        return bool(recorded.result == event.result and recorded.event_id == event.event_id)
    assert isinstance(
        action,
        ScheduleTask | CreateTimer | CreateSubOrchestration | SendEvent | CompleteOrchestration,
    )
    return bool(recorded == event)
