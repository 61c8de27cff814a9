"""The orchestrator's side of entities: what it sends to them, and the answers it waits for.

Each message takes a step of its own. Ids of requests derive from the step, and stamps grow with
each request of the execution to one entity and name the one before, so that a message which is sent
twice is known, and those of one sender are done in order. Where another host has recorded a message
its id and stamp hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from func_bindings.durable.locks import CriticalSection
from func_bindings.durable.tasks import Task
from func_bindings.errors import SerializationError
from func_host.durable.actions import SendEvent
from func_host.durable.engine import identity
from func_host.durable.engine.entities import messages, recorded
from func_host.durable.engine.entities.answers import error_of
from func_host.durable.engine.entities.sections import Section
from func_host.durable.engine.steps import end_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from func_bindings.durable.entities import EntityId
    from func_host.durable.engine.entities.messages import Request, Response, Stamp
    from func_host.durable.engine.steps import Steps
    from func_host.durable.history import EventRaised, EventSent, OrchestrationInstance


@dataclass(frozen=True, slots=True)
class _Call:
    """An operation that has not been answered."""

    target: str
    task: Task[Any]
    read: Callable[[str], Any]
    section: Section | None


@dataclass(frozen=True, slots=True)
class _Lock:
    """A lock that has not been granted."""

    section: Section
    task: Task[CriticalSection]


class SentToEntities:
    """What one execution has sent to entities."""

    def __init__(self, sender: OrchestrationInstance, steps: Steps) -> None:
        """Send in the name of this execution, as steps of it."""
        self._sender = sender
        self._steps = steps
        self._stamps: dict[str, Stamp] = {}
        self._asked: dict[str, _Call | _Lock | None] = {}
        self._section: Section | None = None

    # What the context asks for

    def call(
        self, entity: EntityId, operation: str, text: str | None, read: Callable[[str], Any]
    ) -> Task[Any]:
        """Run an operation and wait for its result.

        Raises:
            LockingRulesViolationError: A critical section does not allow it.
        """
        section, target = self._section, str(entity)
        if section is not None:
            section.check_call(entity)
        task: Task[Any] = Task()
        request_id = self._request(target, operation, text, is_signal=False)
        if not self._steps.is_detached:
            self._asked[request_id] = _Call(target, task, read, section)
            if section is not None:
                section.busy.add(target)
        return task

    def signal(
        self, entity: EntityId, operation: str, text: str | None, due: datetime | None
    ) -> Task[None]:
        """Send an operation; give a task that has ended.

        Raises:
            LockingRulesViolationError: A critical section does not allow it.
        """
        if self._section is not None:
            self._section.check_signal(entity)
        self._request(str(entity), operation, text, is_signal=True, due=due)
        task: Task[None] = Task()
        task.complete(None)
        return task

    def lock(self, entities: tuple[EntityId, ...]) -> Task[CriticalSection]:
        """Ask for a lock over entities, in the order that is the same everywhere.

        Raises:
            LockingRulesViolationError: There is a critical section already.
        """
        if self._section is not None:
            self._section.refuse_lock()
        in_order = tuple(sorted(set(entities), key=str))
        task: Task[CriticalSection] = Task()
        request_id = self._lock_request(in_order)
        if not self._steps.is_detached:
            self._section = Section(request_id, in_order)
            self._asked[request_id] = _Lock(self._section, task)
        return task

    def check_child(self) -> None:
        """Refuse to start a sub-orchestration in a critical section.

        Raises:
            LockingRulesViolationError: There is a critical section.
        """
        if self._section is not None:
            self._section.refuse_child()

    @property
    def held(self) -> tuple[EntityId, ...]:
        """The entities that this execution holds."""
        section = self._section
        return section.entities if section is not None and section.is_granted else ()

    def release_all(self) -> None:
        """Give back what is held, or still asked for: the execution ends."""
        if self._section is not None:
            self._release(self._section)

    def _release(self, section: Section) -> None:
        if self._section is not section or self._steps.is_detached:
            return
        self._section = None
        for entity in section.entities:
            self._steps.ask(
                recorded.release(
                    str(entity),
                    self._sender.instance_id,
                    section.request_id,
                    self._steps.owed_step(),
                    self._steps.now,
                )
            )

    # Messages

    def _request(
        self,
        target: str,
        operation: str,
        text: str | None,
        *,
        is_signal: bool,
        due: datetime | None = None,
    ) -> str:
        step = self._steps.next_step()
        stamp, predecessor = (0, 0) if due is not None else self._next_stamp(target)
        request = messages.operation(
            id=self._request_id(step),
            op=operation,
            input=text,
            is_signal=is_signal,
            parent=self._sender.instance_id,
            parent_execution=self._sender.execution_id,
            due=due,
            stamp=stamp,
            predecessor=predecessor,
        )
        return self._send(step, target, request, due)

    def _lock_request(self, entities: tuple[EntityId, ...]) -> str:
        step, target = self._steps.next_step(), str(entities[0])
        stamp, predecessor = self._next_stamp(target)
        request = messages.lock(
            id=self._request_id(step),
            parent=self._sender.instance_id,
            parent_execution=self._sender.execution_id,
            targets=tuple((entity.name.lower(), entity.key) for entity in entities),
            stamp=stamp,
            predecessor=predecessor,
        )
        return self._send(step, target, request)

    def _request_id(self, step: int) -> str:
        return identity.request_id(self._sender.instance_id, self._sender.execution_id, step)

    def _send(
        self, step: int, target: str, request: Request, visible_at: datetime | None = None
    ) -> str:
        event = messages.request_event(request, self._steps.now)
        self._steps.ask(SendEvent(step, target, event.name, event.input, visible_at))
        return request.id

    def _next_stamp(self, target: str) -> tuple[Stamp, Stamp]:
        """Give the stamp of the next request to an entity, and that of the one before."""
        last = self._stamps.get(target, 0)
        stamp = max(messages.stamp_of(self._steps.now), last + 1)
        self._stamps[target] = stamp
        return stamp, last

    # What arrives

    def knows(self, event: EventRaised) -> bool:
        """Tell whether an event is an answer to something that was asked, maybe answered before."""
        return event.name in self._asked

    def on_answer(self, event: EventRaised) -> None:
        """End the call, or grant the lock, that an answer is for; a second answer says nothing."""
        asked = self._asked[event.name]
        self._asked[event.name] = None
        match asked:
            case _Call():
                if asked.section is not None:
                    asked.section.busy.discard(asked.target)
                self._end(asked.task, event, lambda text: end_task(asked.task, text, asked.read))
            case _Lock(section=section):
                section.is_granted = True
                granted = CriticalSection(section.entities, lambda: self._release(section))
                self._end(asked.task, event, lambda _: asked.task.complete(granted))
                if asked.task.is_failed:
                    self._release(section)
            case None:
                pass

    def _end(
        self, task: Task[Any], event: EventRaised, succeed: Callable[[str | None], None]
    ) -> None:
        try:
            response: Response = messages.read_response(event.input)
        except ValueError as error:
            message = f"The answer to request '{event.name}' cannot be read: {error}."
            task.fail(SerializationError(message))
            return
        if response.is_failure:
            task.fail(error_of(response))
        else:
            succeed(response.result)

    # What history confirms

    def on_confirmed(self, action: SendEvent, event: EventSent) -> None:
        """Go by the id and the stamp that were recorded, where another host has drawn them."""
        if event.input == action.input or not messages.is_request(event):
            return
        mine, theirs = messages.read_request(action), messages.read_request(event)
        stamp = messages.read_stamp(theirs.timestamp)
        target = event.instance_id
        self._stamps[target] = max(self._stamps.get(target, 0), stamp)
        if mine.id in self._asked and mine.id != theirs.id:
            self._asked[theirs.id] = self._asked.pop(mine.id)
        if self._section is not None and self._section.request_id == mine.id:
            self._section.request_id = theirs.id
