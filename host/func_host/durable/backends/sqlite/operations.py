"""The changes a store can make, each all or nothing, as values that a transaction applies.

An operation is made on the event loop, where what it writes is encoded, and applied with others in
one transaction, maybe in another thread. It decides before it writes: one that raises has changed
nothing, so it does not harm those that share the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from func_host.durable.backend import OPERATION_ID_KEPT, Message, OutgoingMessage
from func_host.durable.backends import rules
from func_host.durable.backends.dispatch import Arrival
from func_host.durable.backends.sqlite.transaction import Effects, StoredHead
from func_host.durable.codec import encode_history, encode_message, to_microseconds
from func_host.durable.engine.entities.messages import is_entity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from func_host.durable.backend import Commit, StatusChange
    from func_host.durable.backends.sqlite.transaction import Row, Transaction
    from func_host.durable.history import ExecutionStarted, MessageEvent

LIGHT_SIZE_MAX = 128 * 1024
LIGHT_ROWS_MAX = 64
LIGHT_HISTORY_MAX = 200
"""Beyond any of these an operation is too long for the event loop and is applied in a thread."""


class Operation(Protocol):
    """One change."""

    @property
    def size(self) -> int:
        """About how many bytes it writes."""
        ...

    @property
    def is_heavy(self) -> bool:
        """True where it would hold up the event loop."""
        ...

    def apply(self, transaction: Transaction) -> Effects:
        """Write it, or raise before anything is written."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message with its event encoded."""

    message: OutgoingMessage
    text: str

    @classmethod
    def of(cls, message: OutgoingMessage) -> Outgoing:
        """Encode a message."""
        return cls(message, encode_message(message.event).decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """Changes nothing: once it is done, so is what was asked for before."""

    size: int = 0
    is_heavy: bool = False

    def apply(self, transaction: Transaction) -> Effects:  # noqa: ARG002  # it is an Operation
        """Do nothing."""
        return Effects()


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A new instance, asked for by a client; `replaced_length` is the history it may replace."""

    start: ExecutionStarted
    outgoing: Outgoing
    now: int
    replace_unfinished: bool
    replaced_length: int

    @property
    def size(self) -> int:
        """About how many bytes it writes."""
        return 2 * len(self.outgoing.text)

    @property
    def is_heavy(self) -> bool:
        """True for a large input, and where much is replaced."""
        return self.size > LIGHT_SIZE_MAX or self.replaced_length > LIGHT_HISTORY_MAX

    def apply(self, transaction: Transaction) -> Effects:
        """Write it, in place of one that has ended."""
        effects = Effects()
        instance_id = self.outgoing.message.instance_id
        found = transaction.find(instance_id)
        head = None if found is None else found.head
        rules.check_creatable(instance_id, head, replace_unfinished=self.replace_unfinished)
        if found is not None:
            transaction.wipe([found.key])
            effects.replaced.append(instance_id)
            effects.ended.append(instance_id)
        _deliver(transaction, [self.outgoing], {}, self.now, effects)
        return effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A message from a client; of one with an operation id only the first is sent."""

    outgoing: Outgoing
    now: int
    operation_id: str | None = None

    @property
    def size(self) -> int:
        """About how many bytes it writes."""
        return len(self.outgoing.text)

    @property
    def is_heavy(self) -> bool:
        """True for a large message."""
        return self.size > LIGHT_SIZE_MAX

    def apply(self, transaction: Transaction) -> Effects:
        """Write it for an instance that has not ended."""
        effects = Effects()
        instance_id = self.outgoing.message.instance_id
        found = transaction.find(instance_id)
        rules.check_reachable(instance_id, None if found is None else found.head)
        if self.operation_id is not None:
            if transaction.rows("knows_operation", (instance_id, self.operation_id)):
                return effects
            oldest = self.now - OPERATION_ID_KEPT // timedelta(microseconds=1)
            transaction.write("forget_operations", oldest)
            transaction.write("insert_operation", instance_id, self.operation_id, self.now)
        heads = {} if found is None else {instance_id: found}
        _deliver(transaction, [self.outgoing], heads, self.now, effects)
        return effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """Deletes those of some instances that have ended."""

    instance_ids: tuple[str, ...]
    purged: list[str] = field(default_factory=list[str])
    size: int = 0
    is_heavy: bool = True

    def apply(self, transaction: Transaction) -> Effects:
        """Delete them, and tell which in `purged`."""
        ended = transaction.purgeable(self.instance_ids)
        transaction.wipe([key for key, _ in ended])
        self.purged[:] = [instance_id for _, instance_id in ended]
        return Effects(forgotten=dict.fromkeys(self.purged, ()), ended=self.purged)


@dataclass(slots=True, kw_only=True)
class PurgeEntity:
    """Deletes an entity that is still in this execution, and that nothing waits for."""

    instance_id: str
    execution_id: str
    is_purged: bool = False
    size: int = 0
    is_heavy: bool = False

    def apply(self, transaction: Transaction) -> Effects:
        """Delete it, and tell so in `is_purged`."""
        found = transaction.find(self.instance_id)
        if found is None or found.head.execution_id != self.execution_id:
            return Effects()
        if transaction.rows("has_messages", (found.key,)):
            return Effects()
        transaction.wipe([found.key])
        self.is_purged = True
        return Effects(forgotten={self.instance_id: ()}, ended=[self.instance_id])


class Step:
    """A commit of a worker."""

    def __init__(self, commit: Commit, now: int) -> None:
        self._commit = commit
        self._now = now
        self._events = encode_history(commit.events).decode() if commit.events else ""
        self._outbox = [Outgoing.of(message) for message in commit.outbox]
        self.size = (
            len(self._events)
            + sum(len(outgoing.text) for outgoing in self._outbox)
            + len(commit.status.output or "")
        )

    @property
    def is_heavy(self) -> bool:
        """True for much data, many messages, and where a long history is replaced."""
        commit = self._commit
        rows = len(commit.outbox) + len(commit.consumed) + len(commit.cancelled_timers)
        replaced = 0 if commit.started is None else commit.fence.history_length
        return self.size > LIGHT_SIZE_MAX or rows > LIGHT_ROWS_MAX or replaced > LIGHT_HISTORY_MAX

    def apply(self, transaction: Transaction) -> Effects:
        """Write it where the fence says so."""
        commit, effects = self._commit, Effects()
        found = transaction.find(commit.instance_id)
        if found is None:
            raise rules.no_longer_stored(commit.instance_id)
        rules.check_fence(commit, found.head)
        rules.check_consumed(commit, found.head, lambda: transaction.message_ids(found.key))
        after = rules.head_after(commit)
        if commit.started is not None:
            _begin_execution(transaction, found, commit.started)
        if self._events:
            sequence = after.history_length - len(commit.events)
            transaction.write("append_history", found.key, sequence, self._events)
        self._take_messages(transaction, found.key, effects)
        self._update_status(transaction, found, after)
        if after.runtime_status.is_terminal:
            transaction.write("delete_messages_at_end", found.key, after.execution_id)
            effects.forgotten[commit.instance_id] = transaction.message_ids(found.key)
            effects.ended.append(commit.instance_id)
        heads = {commit.instance_id: StoredHead(found.key, after)}
        _deliver(transaction, self._outbox, heads, self._now, effects)
        return effects

    def _take_messages(self, transaction: Transaction, key: int, effects: Effects) -> None:
        commit = self._commit
        if commit.consumed:
            transaction.write_all("delete_message", [(one, key) for one in commit.consumed])
            effects.consumed[commit.instance_id] = commit.consumed
        if commit.cancelled_timers:
            transaction.write_all("cancel_timer", [(key, one) for one in commit.cancelled_timers])

    def _update_status(
        self, transaction: Transaction, found: StoredHead, after: rules.Head
    ) -> None:
        status = self._commit.status
        transaction.write(
            "update_instance",
            after.history_length,
            self._commit.open_activities,
            to_microseconds(status.last_updated_time),
            status.custom_status,
            status.parked,
            found.key,
        )
        if status.runtime_status is not found.head.runtime_status:
            transaction.write("change_status", status.runtime_status.value, found.key)
        _set_output(transaction, found, status)


def _set_output(transaction: Transaction, found: StoredHead, status: StatusChange) -> None:
    if status.output is not None:
        transaction.write("set_output", found.key, status.output)
        transaction.write("set_output_size", len(status.output), found.key)
    elif found.output_size is not None:
        transaction.write("delete_output", found.key)
        transaction.write("set_output_size", None, found.key)


def _begin_execution(transaction: Transaction, found: StoredHead, start: ExecutionStarted) -> None:
    execution_id = start.orchestration_instance.execution_id
    if found.head.history_length > 0:
        transaction.write("delete_history", found.key)
    elif execution_id == found.head.execution_id:
        return  # the row says so since the instance was created
    if not is_entity(start.orchestration_instance.instance_id):  # whose messages name no run
        transaction.write("delete_messages_of_other_runs", found.key, execution_id)
    transaction.write(
        "begin_execution",
        execution_id,
        to_microseconds(start.timestamp),
        start.name,
        start.version,
        None if start.input is None else len(start.input),
        found.key,
    )
    if start.input is None:
        transaction.write("delete_input", found.key)
    else:
        transaction.write("set_input", found.key, start.input)


def _deliver(
    transaction: Transaction,
    outbox: Sequence[Outgoing],
    heads: dict[str, StoredHead],
    now: int,
    effects: Effects,
) -> None:
    """Store messages, and the instances that they create; `heads` are the ones known already."""
    if not outbox:
        return
    strangers = dict.fromkeys(
        outgoing.message.instance_id
        for outgoing in outbox
        if outgoing.message.instance_id not in heads
    )
    heads |= transaction.find_all(strangers)
    instances: list[Row] = []
    inputs: list[Row] = []
    messages: list[Row] = []
    for outgoing in outbox:
        message = outgoing.message
        target = heads.get(message.instance_id)
        if target is None:
            start = rules.creating_start(message.instance_id, message.event)
            if start is None:
                continue
            target = StoredHead(transaction.new_key(), rules.new_head(start))
            heads[message.instance_id] = target
            instances.append(_instance_row(target.key, message.instance_id, start))
            if start.input is not None:
                inputs.append((target.key, start.input))
        elif not rules.is_delivered(message.event, target.head):
            continue
        messages.append(_message_row(transaction, target.key, outgoing, now, effects))
    transaction.write_all("insert_instance", instances)
    transaction.write_all("insert_input", inputs)
    transaction.write_all("insert_message", messages)


def _instance_row(key: int, instance_id: str, start: ExecutionStarted) -> Row:
    record = rules.new_record(start)
    return (
        key,
        instance_id,
        record.execution_id,
        record.runtime_status.value,
        to_microseconds(record.created_time),
        to_microseconds(record.last_updated_time),
        record.name,
        record.version,
        None if record.input is None else len(record.input),
    )


def _message_row(
    transaction: Transaction, key: int, outgoing: Outgoing, now: int, effects: Effects
) -> Row:
    message, event = outgoing.message, outgoing.message.event
    message_id = transaction.new_message_id()
    visible_at = now if message.visible_at is None else to_microseconds(message.visible_at)
    is_delayed = visible_at > now
    if is_delayed:
        effects.delayed.append((visible_at, message_id))
    else:
        stored = Message(message_id, event, message.execution_id)
        effects.arrived.append(Arrival(now, message.instance_id, stored, len(outgoing.text)))
    return (
        message_id,
        key,
        max(visible_at, now),
        int(is_delayed),
        outgoing.text,
        message.execution_id,
        rules.started_execution(event),
        rules.timer_of(event),
    )


def create(start: ExecutionStarted, *, now: int, replace: bool, replaced_length: int) -> Create:
    """Make the operation of `Backend.create_instance`."""
    message = OutgoingMessage(
        instance_id=start.orchestration_instance.instance_id,
        event=start,
        visible_at=start.scheduled_start_time,
    )
    return Create(
        start=start,
        outgoing=Outgoing.of(message),
        now=now,
        replace_unfinished=replace,
        replaced_length=replaced_length,
    )


def send(
    instance_id: str,
    event: MessageEvent,
    *,
    now: int,
    visible_at: datetime | None = None,
    operation_id: str | None = None,
) -> Send:
    """Make the operation of `Backend.send_message`."""
    message = OutgoingMessage(instance_id=instance_id, event=event, visible_at=visible_at)
    return Send(outgoing=Outgoing.of(message), now=now, operation_id=operation_id)
