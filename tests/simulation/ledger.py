"""The witness: it sees what becomes durable and what runs, and knows the promises.

It is told of every change of the store at the moment it takes effect, and of every activity at the
moment it starts and ends. What breaks a promise is written down with the promise's number, and the
simulation stops there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.codec import encode_history, encode_message
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.history import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionTerminated,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from tests.simulation.endings import Outcome
from tests.simulation.entity_ledger import EntityLedger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from func_host.clock import Clock
    from func_host.durable.backend import Commit
    from func_host.durable.history import HistoryEvent, MessageEvent
    from tests.simulation.entity_batches import Ran


@dataclass(slots=True, eq=False)
class Run:
    """One run of an instance, through all its generations."""

    instance_id: str
    program: str
    key: str
    total: int
    name_of_start: str
    is_child: bool
    events: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    terminations: list[str] = field(default_factory=list[str])
    outcome: Outcome | None = None
    is_replaced: bool = False
    executions: list[Execution] = field(default_factory=list["Execution"])

    @property
    def is_over(self) -> bool:
        return self.outcome is not None or self.is_replaced

    def describe(self) -> str:
        history = self.executions[-1].history if self.executions else []
        last = [type(event).__name__ for event in history[-6:]]
        return f"{self.program} '{self.instance_id}' (events {self.events}, history ends {last})"


@dataclass(slots=True, eq=False)
class Execution:
    """One generation of a run: its history, and what it leaves open."""

    execution_id: str
    run: Run
    total: int
    latest: datetime | None = None
    history: list[HistoryEvent] = field(default_factory=list["HistoryEvent"])
    open_tasks: dict[int, TaskScheduled] = field(default_factory=dict[int, "TaskScheduled"])
    open_timers: dict[int, TimerCreated] = field(default_factory=dict[int, "TimerCreated"])
    open_children: set[int] = field(default_factory=set[int])

    @property
    def is_over(self) -> bool:
        """Whether the run has gone on to another generation."""
        return self.run.executions[-1] is not self

    @property
    def has_answered(self) -> bool:
        """Whether the opening episode is recorded: until then its activities may start before."""
        return any(isinstance(event, OrchestratorCompleted) for event in self.history)


@dataclass(slots=True)
class _Call:
    """One activity call of a program, all its attempts together."""

    first_input: dict[str, Any]
    scheduled: int = 0
    failed: int = 0
    is_completed: bool = False
    results: list[str] = field(default_factory=list[str])
    failures: int = 0


class Ledger:
    """Everything durable that has happened, in order."""

    def __init__(self, clock: Clock, *, keeps_order: bool) -> None:
        self.violations: list[str] = []
        self.runs: list[Run] = []
        self.children: dict[str, list[Run]] = {}
        self.on_violation: Callable[[], None] = lambda: None
        self.on_created: Callable[[Run], None] = lambda _: None
        self.on_over: Callable[[Run], None] = lambda _: None
        self.lines: list[str] | None = None
        self.entities = EntityLedger(clock, self, keeps_order=keeps_order)
        self._clock = clock
        self._hash = hashlib.blake2b(digest_size=16)
        self._executions: dict[str, Execution] = {}
        self._current: dict[str, Run] = {}
        self._consumed: set[int] = set()
        self._calls: dict[str, _Call] = {}
        self._openings: dict[str, Execution] = {}

    @property
    def trace_hash(self) -> str:
        """A short text that differs where anything happened otherwise."""
        return self._hash.hexdigest()

    @property
    def executions(self) -> list[Execution]:
        return list(self._executions.values())

    def trace(self, what: str) -> None:
        line = f"{self._clock.monotonic():.6f} {what}\n"
        self._hash.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    def violate(self, text: str) -> None:
        self.trace(f"VIOLATION {text}")
        self.violations.append(f"at {self._clock.monotonic():.6f} s: {text}")
        if len(self.violations) == 1:
            self.on_violation()

    # What becomes durable

    def created(self, start: ExecutionStarted) -> Run:
        """Note the start of a run: by a client, or by a parent's commit."""
        value = json.loads(start.input or "null")
        instance_id = start.orchestration_instance.instance_id
        previous = self._current.get(instance_id)
        run = Run(
            instance_id=instance_id,
            program=start.name,
            key=f"{value['key']}@{instance_id}",
            total=value["total"],
            name_of_start=value["key"],
            is_child=start.parent_instance is not None,
        )
        if previous is not None and not previous.is_over:
            self.trace(f"replaced {instance_id}")
            previous.is_replaced = True
            self.on_over(previous)
        self._current[instance_id] = run
        self.runs.append(run)
        self._open(start.orchestration_instance.execution_id, run, value)
        self.trace(f"created {instance_id} {run.key}")
        self.on_created(run)
        return run

    def _open(self, execution_id: str, run: Run, value: dict[str, Any]) -> Execution:
        execution = Execution(execution_id, run, value["total"])
        run.executions.append(execution)
        self._executions[execution_id] = execution
        self._openings[f"{run.key}/{value['generation']}"] = execution
        return execution

    def is_current(self, instance_id: str, execution_id: str) -> bool:
        """Tell whether an execution is that of its instance, and has not ended."""
        run = self._current[instance_id]
        return not run.is_over and run.executions[-1].execution_id == execution_id

    def sent(self, instance_id: str, event: MessageEvent) -> None:
        """Note a message of a client, or of the worker itself."""
        self.trace(f"sent {instance_id} {encode_message(event).decode()}")
        if is_entity(instance_id):
            assert isinstance(event, EventRaised)
            self.entities.sent_from_outside(instance_id, event)
            return
        run = self._current[instance_id]
        if isinstance(event, EventRaised):
            run.events.append((event.name.lower(), json.loads(event.input or "null")))
        elif isinstance(event, ExecutionTerminated):
            run.terminations.append(event.input or "")

    def committed(self, commit: Commit, ran: Ran) -> None:
        """Note a step, which for an entity is about operations that ran."""
        self.trace(_text_of(commit))
        for message_id in commit.consumed:
            if message_id in self._consumed:
                self.violate(f"promise 3: message {message_id} was consumed twice by {commit}")
            self._consumed.add(message_id)
        for outgoing in commit.outbox:
            if isinstance(outgoing.event, ExecutionStarted):
                child = self.created(outgoing.event)
                self.children.setdefault(child.name_of_start, []).append(child)
        if is_entity(commit.instance_id):
            self.entities.committed(commit, ran)
        else:
            self._step_committed(commit)

    def _step_committed(self, commit: Commit) -> None:
        execution = self._execution_of(commit)
        for event in commit.events:
            self._apply(execution, event)
        for outgoing in commit.outbox:
            if isinstance(outgoing.event, EventRaised):
                self.entities.sent(commit.instance_id, outgoing.instance_id, outgoing.event)
        run = execution.run
        has_ended = commit.status.runtime_status.is_terminal
        if has_ended or execution.execution_id != commit.fence.execution_id:
            self.entities.execution_ended(commit.fence.execution_id)
        if has_ended and not run.is_over:
            run.outcome = _outcome(commit, execution)
            self.on_over(run)

    def _execution_of(self, commit: Commit) -> Execution:
        if commit.started is None:
            return self._executions[commit.fence.execution_id]
        execution_id = commit.started.orchestration_instance.execution_id
        known = self._executions.get(execution_id)
        if known is not None:
            return known
        run = self._executions[commit.fence.execution_id].run
        value = json.loads(commit.started.input or "null")
        if value["generation"] != len(run.executions):
            self.violate(f"continue-as-new to generation {value} of {run.describe()}")
        return self._open(execution_id, run, value)

    def _apply(self, execution: Execution, event: HistoryEvent) -> None:
        run = execution.run
        if run.is_over and not isinstance(event, ExecutionStarted):
            self.violate(f"promise 2: {event} entered a history that is over: {run.describe()}")
        execution.history.append(event)
        match event:
            case OrchestratorStarted():
                if execution.latest is not None and event.timestamp < execution.latest:
                    self.violate(f"promise 8: the time went back in {run.describe()}")
                execution.latest = event.timestamp
            case TaskScheduled():
                execution.open_tasks[event.event_id] = event
                self._call(event.input).scheduled += 1
            case TaskCompleted() | TaskFailed():
                self._task_ended(execution, event)
            case TimerCreated():
                execution.open_timers[event.event_id] = event
            case TimerFired():
                self._timer_fired(execution, event)
            case _:
                self._apply_of_child(execution, event)

    def _apply_of_child(self, execution: Execution, event: HistoryEvent) -> None:
        match event:
            case SubOrchestrationInstanceCreated():
                execution.open_children.add(event.event_id)
            case SubOrchestrationInstanceCompleted() | SubOrchestrationInstanceFailed():
                if event.task_scheduled_id not in execution.open_children:
                    self.violate(f"promise 3: {event} entered a history that waits for none")
                execution.open_children.discard(event.task_scheduled_id)
            case _:
                pass

    def _task_ended(self, execution: Execution, event: TaskCompleted | TaskFailed) -> None:
        scheduled = execution.open_tasks.pop(event.task_scheduled_id, None)
        if scheduled is None:
            self.violate(f"promise 2: {event} entered history of {execution.run.describe()} again")
            return
        call = self._call(scheduled.input)
        if isinstance(event, TaskFailed):
            call.failed += 1
            return
        call.is_completed = True
        if event.result not in call.results:
            self.violate(f"promise 2: {event} entered history, but activities gave {call.results}")

    def _timer_fired(self, execution: Execution, event: TimerFired) -> None:
        created = execution.open_timers.pop(event.timer_id, None)
        if created is None:
            self.violate(f"promise 5: {event} entered history, but no such timer was open")
        elif created.fire_at > self._clock.now() or event.fire_at != created.fire_at:
            self.violate(f"promise 5: {event} fired early for {created}")

    # What runs

    def _call(self, text: str | None) -> _Call:
        value = json.loads(text or "null")
        return self._calls.setdefault(value["key"], _Call(value))

    def failures_of(self, key: str) -> int:
        """Count the attempts of an activity call that history knows to have failed."""
        return self._calls[key].failed

    def activity_started(self, name: str, value: dict[str, Any]) -> None:
        """Note that an activity starts, and check that it may."""
        key: str = value["key"]
        self.trace(f"activity {name} starts {value}")
        call = self._calls.setdefault(key, _Call(value))
        if call.first_input != value:
            self.violate(
                f"promise 6: activity {key} starts with {value}, before it had {call.first_input}"
            )
        if call.is_completed:
            self.violate(f"promise 2: activity {key} starts after its result was recorded")
        if call.scheduled > call.failed:
            return
        opening = self._openings.get(key.rpartition("/")[0])
        if opening is not None and opening.is_over:
            return  # asked for in the step that continued as new: never recorded, nobody waits
        if call.scheduled > 0:
            self.violate(f"promise 2: activity {key} starts after its failure was recorded")
        elif opening is None or opening.has_answered:
            self.violate(f"promise 6: activity {key} starts before what it follows from is durable")

    def activity_ended(self, key: str, result: str | None) -> None:
        """Note what an activity gave; None for a failure."""
        self.trace(f"activity ends {key} {result}")
        if result is not None:
            self._calls[key].results.append(result)

    def unfinished(self) -> list[Run]:
        return [run for run in self.runs if not run.is_over]


def _text_of(commit: Commit) -> str:
    status = commit.status
    outbox = [(out.instance_id, encode_message(out.event).decode()) for out in commit.outbox]
    return (
        f"commit {commit.instance_id} {commit.fence} {encode_history(commit.events).decode()} "
        f"{status.runtime_status.value} {status.custom_status} {status.output} {outbox} "
        f"{commit.consumed} {commit.cancelled_timers} {commit.open_activities}"
    )


def _outcome(commit: Commit, execution: Execution) -> Outcome:
    status = commit.status.runtime_status
    completed = next(
        event for event in reversed(execution.history) if isinstance(event, ExecutionCompleted)
    )
    details = completed.failure_details
    text = commit.status.output
    is_json = status is OrchestrationRuntimeStatus.Completed
    custom_status = commit.status.custom_status
    return Outcome(
        status=status.value,
        result=json.loads(text or "null") if is_json else text,
        custom_status=None if custom_status is None else json.loads(custom_status),
        failure=None if details is None else (details.error_type, details.error_message),
    )
