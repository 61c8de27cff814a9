"""Drives one execution by hand, and records its history as a session does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from func_host.durable.actions import ContinueAsNew, ScheduleTask, SendEvent
from func_host.durable.engine.commit import record_of
from func_host.durable.engine.entities import messages
from func_host.durable.engine.options import RunOptions
from func_host.durable.engine.replay import OrchestratorRun
from func_host.durable.executor import replay_safe
from func_host.durable.history import (
    EventRaised,
    EventSent,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    OrchestrationInstance,
    OrchestratorCompleted,
    OrchestratorStarted,
    ParentInstance,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerCreated,
    TimerFired,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from func_bindings import OrchestrationContext
    from func_host.durable.actions import CompleteOrchestration, OrchestratorAction
    from func_host.durable.history import Failure, HistoryEvent, MessageEvent

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

Orchestrator: TypeAlias = "Callable[[OrchestrationContext], Any]"
Shape: TypeAlias = "Callable[[Orchestrator], Orchestrator]"


def as_generator(function: Orchestrator) -> Orchestrator:
    """Give a generator orchestrator as it is."""
    return function


def as_coroutine(function: Orchestrator) -> Orchestrator:
    """Give the `async def` orchestrator that awaits what a generator yields."""

    async def orchestrator(context: OrchestrationContext) -> Any:
        generator = function(context)
        resume, value = generator.send, None
        while True:
            try:
                task = resume(value)
            except StopIteration as stop:
                return stop.value
            try:
                value = await task
            except BaseException as error:  # noqa: BLE001 -- the generator gets whatever it is
                resume, value = generator.throw, error
            else:
                resume = generator.send

    orchestrator.__name__ = function.__name__
    return orchestrator


SHAPES = [as_coroutine, as_generator]


class Catalog:
    """Takes every name; a function is called by its own, with the result type of its annotation."""

    def __init__(self, result_types: dict[str, Any] | None = None) -> None:
        self.result_types = result_types or {}

    def activity_name(self, function: str | Callable[..., Any]) -> str:
        return function if isinstance(function, str) else function.__name__

    orchestrator_name = entity_name = activity_name

    def activity_result_type(self, name: str) -> Any:
        return self.result_types.get(name, Any)

    orchestrator_result_type = activity_result_type

    def entity_result_type(self, name: str, operation: str) -> Any:
        return self.result_types.get(f"{name}.{operation}", Any)

    def is_user_file(self, filename: str) -> bool:
        return filename == __file__ or "tests" in filename


class Driver:
    """One execution: fed messages in episodes, its history recorded, its actions collected."""

    def __init__(
        self,
        function: Orchestrator,
        input_: object = None,
        *,
        name: str = "orchestrator",
        version: str = "",
        parent: ParentInstance | None = None,
        catalog: Catalog | None = None,
        now: datetime = T0,
        **options: Any,
    ) -> None:
        self.function = function
        self.name = name
        self.options = RunOptions(catalog=catalog or Catalog(), replay_safe=replay_safe, **options)
        self.run = OrchestratorRun(name, function, self.options)
        self.history: list[HistoryEvent] = []
        self.now = now
        self.actions: list[OrchestratorAction] = []
        self.feed(
            ExecutionStarted(
                timestamp=now,
                orchestration_instance=OrchestrationInstance("instance", "execution"),
                name=name,
                version=version,
                input=None if input_ is None else json.dumps(input_),
                parent_instance=parent,
            )
        )

    # An episode

    def feed(self, *messages: MessageEvent, after: timedelta = timedelta(0)) -> list[Any]:
        """Feed messages in one episode and record it; give the new actions."""
        self.now += after
        events: list[HistoryEvent] = [OrchestratorStarted(timestamp=self.now), *messages]
        for event in events:
            self.run.feed(event)
        actions = self.run.take_actions()
        self.actions += actions
        for action in actions:
            if isinstance(action, ContinueAsNew):
                continue
            events.append(record_of(action, self.now, store_inputs=False))
        events.append(OrchestratorCompleted(timestamp=self.now))
        self.run.feed(events[-1])
        self.history += events
        return actions

    # Messages

    def completes(self, task_id: int, result: object = None, **when: timedelta) -> list[Any]:
        event = TaskCompleted(
            timestamp=self.now, task_scheduled_id=task_id, result=json.dumps(result)
        )
        return self.feed(event, **when)

    def fails(
        self,
        task_id: int,
        reason: str = "it failed",
        failure: Failure | None = None,
        **when: timedelta,
    ) -> list[Any]:
        event = TaskFailed(
            timestamp=self.now,
            task_scheduled_id=task_id,
            reason=reason,
            failure_details=failure,
        )
        return self.feed(event, **when)

    def child_completes(self, task_id: int, result: object = None) -> list[Any]:
        return self.feed(
            SubOrchestrationInstanceCompleted(
                timestamp=self.now, task_scheduled_id=task_id, result=json.dumps(result)
            )
        )

    def child_fails(self, task_id: int, reason: str = "it failed") -> list[Any]:
        return self.feed(
            SubOrchestrationInstanceFailed(
                timestamp=self.now, task_scheduled_id=task_id, reason=reason
            )
        )

    def fires(self, timer_id: int) -> list[Any]:
        """Let the timer fire at its time."""
        fire_at = next(
            event.fire_at
            for event in self.history
            if isinstance(event, TimerCreated) and event.event_id == timer_id
        )
        self.now = max(self.now, fire_at)
        return self.feed(TimerFired(timestamp=self.now, timer_id=timer_id, fire_at=fire_at))

    def raises(self, name: str, data: object = None) -> list[Any]:
        return self.feed(EventRaised(timestamp=self.now, name=name, input=json.dumps(data)))

    def answers(self, step: int, result: object = None) -> list[Any]:
        """Let the entity answer the call of this step."""
        response = messages.Response(result=json.dumps(result))
        return self.feed(messages.response_event(self.request(step), response, self.now))

    def refuses(self, step: int, error_type: str, text: str) -> list[Any]:
        """Let the entity say that the operation of this step has failed."""
        response = messages.Response(result=text, exception_type=error_type)
        return self.feed(messages.response_event(self.request(step), response, self.now))

    def grants(self, step: int) -> list[Any]:
        """Grant the lock of this step."""
        return self.feed(messages.granted_event(self.request(step), self.now))

    def request(self, step: int) -> messages.Request:
        """Give the request that the step of this number has sent."""
        return messages.read_request(
            next(
                event
                for event in self.history
                if isinstance(event, EventSent) and event.event_id == step
            )
        )

    def suspends(self) -> list[Any]:
        return self.feed(ExecutionSuspended(timestamp=self.now, reason="hold on"))

    def resumes(self) -> list[Any]:
        return self.feed(ExecutionResumed(timestamp=self.now, reason="go on"))

    def terminates(self, reason: str | None = "enough") -> list[Any]:
        return self.feed(ExecutionTerminated(timestamp=self.now, input=reason))

    # What came of it

    @property
    def end(self) -> CompleteOrchestration:
        """The last step, which is the end."""
        last = self.actions[-1]
        assert type(last).__name__ == "CompleteOrchestration", f"not ended: {last}"
        return last  # type: ignore[return-value]  # asserted by name, which pyright cannot see

    @property
    def status(self) -> str:
        return self.end.status.value

    @property
    def result(self) -> Any:
        """The result of a run that completed."""
        assert self.status == "Completed", self.end.result
        return None if self.end.result is None else json.loads(self.end.result)

    def replayed(
        self,
        history: Sequence[HistoryEvent] | None = None,
        function: Orchestrator | None = None,
    ) -> OrchestratorRun:
        """Give a new run that has been fed the history."""
        run = OrchestratorRun(self.name, function or self.function, self.options)
        run.replay(self.history if history is None else history)
        return run


def sent(actions: Sequence[OrchestratorAction]) -> list[str]:
    """Say what messages are sent to entities: `1 call @counter@k add 5`."""
    return [_sent(action) for action in actions if isinstance(action, SendEvent)]


def _sent(action: SendEvent) -> str:
    if action.name == messages.RELEASE:
        return f"{action.id} release {action.instance_id}"
    request = messages.read_request(action)
    if request.lockset is not None:
        locked = [each.instance_id for each in request.lockset]
        return " ".join([f"{action.id} lock", *locked])
    kind = "signal" if request.signal else "call"
    words = [str(action.id), kind, action.instance_id, request.op or "", request.input or ""]
    return " ".join(words).rstrip()


def activities(actions: Sequence[OrchestratorAction]) -> list[tuple[int, str, Any]]:
    """Give id, name and input of the activities asked for."""
    return [
        (action.id, action.name, None if action.input is None else json.loads(action.input))
        for action in actions
        if isinstance(action, ScheduleTask)
    ]
