"""What messages to entities say that stand in a history: which step they are, what they lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_host.durable.actions import SendEvent
from func_host.durable.engine.entities import messages

if TYPE_CHECKING:
    from datetime import datetime

    from func_host.durable.engine.entities.messages import Request
    from func_host.durable.history import EventSent


def is_same(action: SendEvent, event: EventSent) -> bool:
    """Tell whether a recorded message is the one that the code sends.

    Entity, operation and what is locked must agree, and whether a result is waited for. The input
    may differ, and so may ids and stamps, which each host draws in its own way.
    """
    if action.instance_id != event.instance_id:
        return False
    if action.input == event.input and action.name == event.name:
        return True
    return _meaning(action) == _meaning(event)


def describe(message: SendEvent | EventSent, step: int) -> str:
    """Say what a message asks for."""
    target = message.instance_id
    if message.name == messages.RELEASE:
        return f"the release of entity '{target}' (step {step})"
    request = _request(message)
    if request is None:
        return f"message '{message.name}' to '{target}' (step {step})"
    if request.lockset is not None:
        locked = ", ".join(f"'{each.instance_id}'" for each in request.lockset)
        return f"a lock of {locked} (step {step})"
    kind = "signal" if request.signal else "call"
    return f"the {kind} of '{request.op}' of entity '{target}' (step {step})"


def _meaning(message: SendEvent | EventSent) -> object:
    request = _request(message)
    if request is None:
        return message.name
    lockset = request.lockset or ()
    return (request.op, request.signal, [each.instance_id for each in lockset])


def _request(message: SendEvent | EventSent) -> Request | None:
    if not messages.is_request(message):
        return None
    try:
        return messages.read_request(message)
    except ValueError:
        return None


class AskedLocks:
    """The locks that an execution has asked for, by its history, and not given back."""

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        """Begin with none."""
        self._asked: dict[str, list[str]] = {}

    def apply(self, event: EventSent) -> None:
        """Take one more message that was sent."""
        if event.name == messages.RELEASE:
            self._take_back(event)
        elif '"lockset"' in (event.input or ""):  # else it need not be read
            request = _request(event)
            if request is not None and request.lockset is not None:
                self._asked[request.id] = [each.instance_id for each in request.lockset]

    def _take_back(self, event: EventSent) -> None:
        try:
            request_id = messages.read_release(event).id
        except ValueError:
            return
        left = self._asked.get(request_id)
        if left is not None and event.instance_id in left:
            left.remove(event.instance_id)

    def releases(self, parent: str, first_step: int, now: datetime) -> list[SendEvent]:
        """Give the steps that give back what is left, numbered from this one."""
        pairs = [(target, one) for one, targets in self._asked.items() for target in targets]
        return [
            release(target, parent, request_id, step, now)
            for step, (target, request_id) in enumerate(pairs, first_step)
        ]


def release(target: str, parent: str, request_id: str, step: int, now: datetime) -> SendEvent:
    """Make the step that gives one entity back."""
    event = messages.release_event(parent, request_id, now)
    return SendEvent(step, target, event.name, event.input)
