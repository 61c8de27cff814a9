"""The witness of entities: what they were sent, what they have done, and who holds them.

An operation is known by the key in its input. It waits from the moment at which its request is
durable until an entity commits it; then its effect is what the plain interpreter says, and all that
the commit holds must follow from that. A lock is held from the commit that grants it until its
owner sends the release: meanwhile only the owner's operations are done.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from func_host.durable.history import EventRaised
from tests.simulation.entity_batches import Ran, Sayings, Sent, is_in_time, read_outbox
from tests.simulation.entity_model import effect_of
from tests.simulation.operations import UNHEARD_ENTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from func_host.clock import Clock
    from func_host.durable.backend import Commit, OutgoingMessage
    from tests.simulation.entity_batches import Outbox
    from tests.simulation.entity_model import Effect


class Witness(Protocol):
    """Writes down what was seen."""

    def trace(self, what: str) -> None: ...

    def violate(self, text: str) -> None: ...

    def is_current(self, instance_id: str, execution_id: str) -> bool:
        """Tell whether an execution is that of its instance, and has not ended."""
        ...


@dataclass(slots=True, eq=False)
class Lock:
    """A lock that was asked for, and the entities that were given back."""

    request: dict[str, Any]
    targets: list[str]
    released: set[str] = field(default_factory=set[str])

    @property
    def owner(self) -> str:
        return str(self.request["parent"])


@dataclass(slots=True)
class Entity:
    """One entity: its state by the model, all that it has been, and who holds it."""

    state: dict[str, int] | None = None
    states: list[dict[str, int] | None] = field(default_factory=lambda: [None])
    holder: Lock | None = None


class EntityLedger:
    """Everything about entities that is durable.

    Args:
        clock: Gives the time.
        witness: Is told of what breaks a promise.
        keeps_order: Whether the store does, or stamps must.
    """

    def __init__(self, clock: Clock, witness: Witness, *, keeps_order: bool) -> None:
        self.inputs: dict[str, Any] = {}
        self.effects: dict[str, Effect] = {}
        self.entities: dict[str, Entity] = {}
        self.on_busy: Callable[[], None] = lambda: None
        self.on_rest: Callable[[], None] = lambda: None
        self._clock = clock
        self._witness = witness
        self._keeps_order = keeps_order
        self._waiting: dict[str, Sent] = {}
        self._lines: dict[tuple[str, str, str], list[Sent]] = {}
        self._locks: dict[str, Lock] = {}
        self._running: dict[str, datetime] = {}
        self._ran: dict[str, Ran] = {}

    @property
    def waiting(self) -> list[str]:
        """What has not been done, and what is still held."""
        held = [
            f"the lock of {entity.holder.owner} on {name}"
            for name, entity in self.entities.items()
            if entity.holder is not None
        ]
        return [*self._waiting, *held]

    def entity(self, entity_id: str) -> Entity:
        """Give what is known of an entity."""
        return self.entities.setdefault(entity_id, Entity())

    # What runs

    def host_began(self) -> None:
        """Forget what the host before was about."""
        self._running.clear()
        self._ran.clear()

    def batch_began(self, entity: str) -> None:
        """Note that operations begin to run."""
        if entity in self._running:
            self._witness.violate(f"promise 4: operations of {entity} run at the same time")
        self._running[entity] = self._clock.now()

    def batch_ended(self, entity: str, keys: Sequence[str]) -> None:
        """Note that operations have run; the next commit of the entity is about them."""
        self._witness.trace(f"operations of {entity} {keys}")
        now = self._clock.now()
        self._ran[entity] = Ran(keys, self._running.pop(entity, now), now)

    def take_ran(self, entity: str) -> Ran:
        """Give what has run since the last commit, at the moment at which the next is written."""
        now = self._clock.now()
        return self._ran.pop(entity, None) or Ran((), now, now)

    # What is sent

    def sent(self, sender: str, target: str, event: EventRaised) -> None:
        """Note a message to an entity that has become durable."""
        value = json.loads(event.input or "null")
        if event.name == "release":
            self._released(target, value)
        elif value["op"] is None:
            self._lock_asked(sender, target, value)
        else:
            self._operation_sent(sender, target, value)

    def sent_from_outside(self, target: str, event: EventRaised) -> None:
        """Note a message of a client, or the release of a lock whose owner is gone."""
        value = json.loads(event.input or "null")
        if event.name == "release":
            lock = self._locks[value["id"]]
            if self._witness.is_current(lock.owner, lock.request["parentExecution"]):
                text = f"promise 4: {target} was taken from {lock.owner}, which runs"
                self._witness.violate(text)
            self._released(target, value)
        else:
            key = json.loads(value["input"])["key"]
            self._operation_sent(key.rpartition(".")[0], target, value)

    def _operation_sent(self, sender: str, target: str, request: dict[str, Any]) -> None:
        value = json.loads(request["input"])
        key = value["key"]
        if key in self.inputs:
            self._witness.violate(f"promise 4: {key} was sent to {target} twice")
            return
        self.inputs[key] = value
        due = request.get("due")
        arrives_at = None if due is None else max(self._clock.now(), _moment(due))
        line = self._line(sender, target, request)
        self._add(Sent(key, request, target, sender, value, line, arrives_at))

    def _lock_asked(self, sender: str, target: str, request: dict[str, Any]) -> None:
        targets = [f"@{each['name']}@{each['key']}" for each in request["lockset"]]
        if targets[request.get("pos", 0)] != target or targets != sorted(set(targets)):
            self._witness.violate(f"promise 4: {request} was sent to {target}")
        lock = self._locks.setdefault(request["id"], Lock(request, targets))
        if target not in lock.released:
            key, line = _lock_key(request["id"], target), self._line(sender, target, request)
            self._add(Sent(key, request, target, sender, {}, line, None))

    def _line(self, sender: str, target: str, request: dict[str, Any]) -> tuple[str, str, str]:
        """Give the line that a request stands in.

        Where the store does not keep order, stamps do, and those begin anew with each execution.
        """
        execution_id = "" if self._keeps_order else request.get("parentExecution", "")
        return sender, execution_id, target

    def _add(self, sent: Sent) -> None:
        if not self._waiting:
            self.on_busy()
        self._waiting[sent.key] = sent
        if sent.arrives_at is None:
            self._lines.setdefault(sent.line, []).append(sent)

    def _remove(self, sent: Sent) -> None:
        del self._waiting[sent.key]
        if sent.arrives_at is None:
            self._lines[sent.line].remove(sent)

    def _note_rest(self) -> None:
        if not self.waiting:
            self.on_rest()

    # Locks

    def _released(self, target: str, release: dict[str, Any]) -> None:
        lock = self._locks[release["id"]]
        lock.released.add(target)
        entity = self.entity(target)
        if entity.holder is lock:
            entity.holder = None
        asked = self._waiting.get(_lock_key(release["id"], target))
        if asked is not None:
            self._remove(asked)
        self._note_rest()

    def execution_ended(self, execution_id: str) -> None:
        """Check that an execution has given back all that it had locked, or asked for."""
        for lock in self._locks.values():
            is_its = lock.request["parentExecution"] == execution_id
            if is_its and len(lock.released) < len(lock.targets):
                self._witness.violate(f"promise 4: {lock.owner} ends and keeps {lock.targets}")

    def _granted(self, entity_id: str, lock_id: str, position: int) -> None:
        lock, entity = self._locks[lock_id], self.entity(entity_id)
        asked = self._waiting.get(_lock_key(lock_id, entity_id))
        if lock.targets[position] != entity_id or entity.holder is not None:
            self._witness.violate(
                f"promise 4: {entity_id} is granted to {lock.owner}, who waits for "
                f"{lock.targets[position]}, while {entity.holder} has it"
            )
        if entity_id in lock.released:
            return  # the owner has given it back already, and that is on its way
        if asked is None:
            self._witness.violate(f"promise 4: {lock.request} is granted twice")
            return
        if position == 0:  # else an entity has sent it, in the name of the owner
            self._check_first(asked)
        self._remove(asked)
        entity.holder = lock

    # What is done

    def committed(self, commit: Commit, ran: Ran) -> None:
        """Note a batch: what its commit says must be what follows from its operations."""
        entity_id = commit.instance_id
        entity = self.entity(entity_id)
        expected = Sayings()
        delays_s: list[float | None] = []
        for key in ran.keys:
            effect = self._done(entity_id, entity, key, ran, expected)
            delays_s += () if effect is None else [told.delay_s for told in effect.told]
        entity.states.append(entity.state)
        self._check_state(commit, entity, ran)
        self._check_outbox(entity_id, read_outbox(commit), expected, delays_s, ran)
        self._note_rest()

    def _done(
        self, entity_id: str, entity: Entity, key: str, ran: Ran, expected: Sayings
    ) -> Effect | None:
        sent = self._waiting.get(key)
        if sent is None or sent.entity != entity_id:
            how = "is done again" if key in self.effects else "was not sent there"
            self._witness.violate(f"promise 4: operation {key} of {entity_id} {how}")
            return None
        self._check_turn(sent, entity, ran)
        self._remove(sent)
        effect = effect_of(entity_id, entity.state, sent.request["op"], sent.input)
        entity.state = effect.state
        self.effects[key] = effect
        expected.add(sent, effect)
        return effect

    def _check_turn(self, sent: Sent, entity: Entity, ran: Ran) -> None:
        holder = entity.holder
        if holder is not None and holder.owner != sent.sender:
            self._witness.violate(f"promise 4: {sent.key} is done while {holder.owner} has a lock")
        if sent.arrives_at is None:
            self._check_first(sent)
            return
        if _moment(sent.request["due"]) > ran.began_at:
            self._witness.violate(f"promise 5: {sent.key} is done early, at {ran.began_at}")
        for other in self._waiting.values() if self._keeps_order else ():
            is_before = other.arrives_at is not None and other.arrives_at < sent.arrives_at
            if is_before and other.line == sent.line:
                self._witness.violate(f"promise 4: {sent.key} is done before {other.key} is")

    def _check_first(self, sent: Sent) -> None:
        first = self._lines[sent.line][0]
        if first is not sent:
            self._witness.violate(f"promise 4: {sent.key} is done before {first.key} is")

    def _check_state(self, commit: Commit, entity: Entity, ran: Ran) -> None:
        assert commit.started is not None
        text = json.loads(commit.started.input or "null").get("state")
        state = None if text is None else json.loads(text)
        if state != entity.state:
            self._witness.violate(
                f"promise 4: after {list(ran.keys)} the state of {commit.instance_id} is {state}, "
                f"the model says {entity.state}"
            )

    def _check_outbox(
        self,
        entity_id: str,
        outbox: Outbox,
        expected: Sayings,
        delays_s: Sequence[float | None],
        ran: Ran,
    ) -> None:
        """Compare what leaves with what the model says, and note what is sent."""
        said = outbox.said
        for out, request in outbox.forwarded:
            self._granted(entity_id, request["id"], request["pos"] - 1)
            self._lock_asked(request["parent"], out.instance_id, request)
        for out, request in outbox.signals:
            if not self._is_put_off(entity_id, out, request):
                position = len(said.signals)
                delay_s = delays_s[position] if position < len(delays_s) else None
                if not is_in_time(out, request.get("due"), delay_s, ran):
                    self._witness.violate(f"promise 5: {out} of {ran}, told for {delay_s} s later")
                said.signals.append((out.instance_id, request["op"], json.loads(request["input"])))
                self._operation_sent(entity_id, out.instance_id, request)
        for out, value in outbox.events:
            self._take_answer(entity_id, out, value, said, expected)
        if said != expected:
            self._witness.violate(f"promise 4: {entity_id} says {said}, the model says {expected}")

    def _is_put_off(self, entity_id: str, out: OutgoingMessage, request: dict[str, Any]) -> bool:
        """Tell whether this is a request that came before it was due, put off by its entity."""
        sent = self._waiting.get(json.loads(request["input"])["key"])
        return sent is not None and sent.entity == entity_id == out.instance_id

    def _take_answer(
        self,
        entity_id: str,
        out: OutgoingMessage,
        value: dict[str, Any],
        said: Sayings,
        expected: Sayings,
    ) -> None:
        """Take what is told to an orchestration: that it holds its locks, or how a call ended."""
        assert isinstance(out.event, EventRaised)
        lock = self._locks.get(out.event.name)
        if lock is not None:
            self._granted(entity_id, out.event.name, len(lock.targets) - 1)
            return
        value.pop("failureDetails", None)
        said.answers.append((out.instance_id, out.execution_id, out.event.name, value))
        if entity_id == UNHEARD_ENTITY:
            asked = [each for each in self._waiting.values() if each.entity == entity_id]
            for sent in asked:
                if sent.request["id"] == out.event.name:
                    self._remove(sent)
                    expected.add_refused(sent.request)


def _lock_key(lock_id: str, target: str) -> str:
    return f"lock {lock_id} of {target}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
