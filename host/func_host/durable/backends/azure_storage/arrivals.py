"""Takes messages from the control queues, tells what is new from what came again, and hands it out.

A message comes again where a host died before it had deleted it, or where it was kept as a claim.
What the history says decides which of both it is. A message whose handling keeps raising an error
is put off, ever longer, and becomes a dead letter in the end. How often a queue has handed it out
says nothing of that: hosts that die raise that number, too.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from func_host.durable.backend import StaleCommitError
from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.attempts import ATTEMPTS_MAX, AttemptCounter
from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS
from func_host.durable.backends.azure_storage.client_order import in_order
from func_host.durable.backends.azure_storage.inbox import Claim
from func_host.durable.backends.azure_storage.polling import PollingRhythm
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.history import (
    EventRaised,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionTerminated,
    GenericEvent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerFired,
)
from func_host.log import INSTANCE_ID, REASON

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from func_host.durable.backend import MessageId
    from func_host.durable.backends.azure_storage.dead_letters import DeadLetters
    from func_host.durable.backends.azure_storage.entity_batches import EntityBatches
    from func_host.durable.backends.azure_storage.hot_instances import HotInstance
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.messages import Envelope
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.queues import Received
    from func_host.durable.backends.azure_storage.tickets import Ticket
    from func_host.durable.history import HistoryEvent, MessageEvent

_FULL_WAIT_S: Final = 1.0
_DELAY_MAX_S: Final = 600
_ROW_COMES_WITHIN: Final = timedelta(minutes=17)
"""After this long a start whose status row never came is dropped; the provider tries ten times."""

_CLOCKS_APART_MAX: Final = timedelta(minutes=5)
"""A row says when its client created it, a message when the service took it."""

_SUSPICIOUS_COUNT: Final = 8
_AT_ONCE: Final = 16
_ROOM: Final = 16
_SETTLED_S: Final = 0.05

_ANSWERS = (
    TaskCompleted,
    TaskFailed,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
)
logger = logging.getLogger(__name__)


class Arrivals:
    """What comes in on the partitions of this host.

    Args:
        hub: The hub.
        dead_letters: Where messages go that cannot be handled.
        names: What the queues are called.
        batches: Sends what the batch of an entity may not have sent.
    """

    def __init__(
        self, hub: Hub, dead_letters: DeadLetters, names: TaskHubNames, batches: EntityBatches
    ) -> None:
        self._hub = hub
        self._batches = batches
        self._dead_letters = dead_letters
        self._names = names
        self._attempts = AttemptCounter()
        self._put_offs = AttemptCounter()
        self._bells: dict[int, asyncio.Event] = {}

    async def poll(self, partition: int) -> None:
        """Look into a queue again and again, less often the longer it has been empty."""
        hub = self._hub
        rhythm = PollingRhythm(hub.ids)
        bell = self._bells[partition] = asyncio.Event()
        await self.ask_whether_empty(partition)
        while not hub.is_stopping and hub.ownership.is_served(partition):
            # What is taken while the lease is in doubt could only be given back.
            if self.is_full or not hub.ownership.holds(partition):
                await hub.pause(_FULL_WAIT_S, bell)
                bell.clear()
                continue
            try:
                count = await self.take(partition)
            except STORAGE_ERRORS as error:
                logger.warning("a control queue cannot be read", extra={REASON: str(error)})
                count = 0
            pause_s = rhythm.after(count, longest_s=hub.longest_pause_s())
            settles_in_s = hub.order.settles_in_s(partition)
            if pause_s and settles_in_s is not None:
                pause_s = min(pause_s, settles_in_s + _SETTLED_S)
            if pause_s:
                await hub.pause(pause_s, bell)
                if bell.is_set():
                    bell.clear()
                    rhythm.begin_anew()

    @property
    def is_full(self) -> bool:
        """Whether so much is held that no more is taken.

        What was put by this process counts, too, so there is room for more than the setting says.
        """
        held = self._hub.inbox.held_count() + self._hub.order.held_count
        return held >= self._hub.settings.buffer_max * _ROOM

    async def ask_whether_empty(self, partition: int) -> None:
        """Ask how much lies in a queue: where it is nothing, nobody has hidden anything there."""
        hub = self._hub
        if hub.order.is_settled(partition):
            return
        try:
            if await hub.queues.count(partition) == 0:
                hub.order.found_empty(partition)
        except STORAGE_ERRORS as error:  # then it is waited for
            logger.warning("a control queue cannot be counted", extra={REASON: str(error)})

    def ring(self, partition: int) -> None:
        """Look into a queue soon: something may come, or it is to be read no more."""
        bell = self._bells.get(partition)
        if bell is not None:
            bell.set()

    async def take(self, partition: int) -> int:
        """Take what is visible in a queue, and hand it out; give how much it was."""
        hub = self._hub
        began = hub.pacing.monotonic()
        received = await hub.queues.take(partition, invisible_s=hub.settings.visibility_s)
        if not hub.ownership.is_served(partition):  # given back meanwhile: others may have it
            await asyncio.gather(*(hub.queues.hide(one.ticket, invisible_s=0) for one in received))
            return 0
        fresh = [one for one in received if not self._is_held(one)]
        of_entities = sorted((one for one in fresh if is_entity(_target_of(one))), key=in_order)
        await self._receive_some([one for one in fresh if not is_entity(_target_of(one))])
        await self._receive_some(of_entities)
        is_all = len(received) < hub.settings.batch
        await self._receive_some(hub.order.looked(partition, began=began, is_all=is_all))
        return len(received)

    def _is_held(self, received: Received) -> bool:
        ticket = received.ticket
        return self._hub.inbox.renew(ticket) or self._hub.order.renew(ticket)

    async def _receive_some(self, received: Sequence[Received]) -> None:
        by_instance: dict[str, list[Received]] = {}
        for one in received:
            by_instance.setdefault(_target_of(one), []).append(one)
        some = list(by_instance.items())
        for first in range(0, len(some), _AT_ONCE):
            group = some[first : first + _AT_ONCE]
            await asyncio.gather(*(self._receive_all(one, each) for one, each in group))

    async def _receive_all(self, instance_id: str, received: Sequence[Received]) -> None:
        async with self._hub.alone(instance_id):
            for one in received:
                try:
                    await self._receive(instance_id, one)
                except STORAGE_ERRORS as error:
                    # It shows up again by itself.
                    logger.warning("a message is taken up again", extra={REASON: str(error)})
                except StaleCommitError:
                    await self._hub.queues.hide(one.ticket, invisible_s=0)
                except Exception as error:  # noqa: BLE001 -- whatever a message does, others go on
                    await self._failed(instance_id, one, error)
                else:
                    self._attempts.succeeded(one.ticket.queue_id)

    async def _receive(self, instance_id: str, received: Received) -> None:
        envelope = received.envelope
        if isinstance(envelope, UnreadableError):
            raise envelope
        if received.dequeue_count == _SUSPICIOUS_COUNT:
            logger.warning(
                "a message has been taken often, by hosts that ended before they had dealt with it",
                extra={INSTANCE_ID: instance_id},
            )
        event = envelope.event
        if isinstance(event, TaskScheduled | ExecutionRewound):
            raise UnreadableError(f"An event {type(event).__name__} is not for an instance.")
        if isinstance(event, ExecutionStarted):
            await self._receive_start(instance_id, event, received, envelope)
        else:
            await self._receive_message(instance_id, event, received, envelope)

    async def _failed(self, instance_id: str, received: Received, error: Exception) -> None:
        """Put a message off that could not be handled, or set it aside where that happens again."""
        ticket = received.ticket
        attempts = self._attempts.failed(ticket.queue_id)
        fields = {INSTANCE_ID: instance_id, REASON: str(error) or type(error).__name__}
        try:
            if attempts < ATTEMPTS_MAX:
                logger.warning("a message cannot be handled and is put off", extra=fields)
                await self._hub.queues.hide(ticket, invisible_s=min(2**attempts, _DELAY_MAX_S))
                return
            assert ticket.partition is not None
            await self._dead_letters.bury(
                self._names.control_queue(ticket.partition),
                ticket.queue_id,
                received.text,
                instance_id=instance_id or None,
                reason=fields[REASON],
                attempts=attempts,
                now=self._hub.pacing.now(),
            )
            logger.error("a message cannot be handled and is a dead letter now", extra=fields)
            await self._hub.queues.delete(ticket)
        except STORAGE_ERRORS as fault:
            logger.warning("a message is taken up again", extra={REASON: str(fault)})

    async def _receive_start(
        self, instance_id: str, start: ExecutionStarted, received: Received, envelope: Envelope
    ) -> None:
        hub = self._hub
        execution_id = start.orchestration_instance.execution_id
        if start.generation == 0:  # the first use of an id, which is what none says, too
            start = msgspec.structs.replace(start, generation=None)
        hot = await hub.instance(instance_id)
        if hot is not None and hot.record.execution_id != execution_id:
            stored = await hub.instances.get(instance_id)
            if stored is not None and stored.record.execution_id == execution_id:
                # A client of another host has put a new instance in its place.
                hub.dispatcher.replaced(instance_id)
                await hub.drop_messages(instance_id, but_starts_of_others=False)
                hot = hub.known_row(instance_id, stored)
        is_from_instance = bool(envelope.sender.instance_id)
        if hot is None and is_from_instance:
            etag = await hub.instances.insert_child(start)
            if etag is not None:
                hot = hub.new_instance(rules.new_record(start), etag, is_loaded=False)
                hub.remember(instance_id, hot, epoch=hub.ownership.epoch(instance_id))
            else:  # somebody else was quicker, or our own answer was lost
                hot = await hub.instance(instance_id)
        if hot is None:
            await self._wait_for_row(received, created=None)
            return
        if hot.record.execution_id != execution_id:
            await self._receive_start_of_other_run(hot, start, received, envelope)
            return
        await hub.with_history(instance_id, hot)
        is_ended_child = hot.is_ended and is_from_instance  # its parent may not know of the end
        if (hot.stored or hot.withheld) and not is_ended_child:
            await self._came_again(instance_id, hot, received, envelope)
        else:
            await self._hand_out(start, received, envelope, start.scheduled_start_time)

    async def _receive_start_of_other_run(
        self, hot: HotInstance, start: ExecutionStarted, received: Received, envelope: Envelope
    ) -> None:
        if envelope.sender.instance_id:
            await self._hand_out(start, received, envelope, start.scheduled_start_time)
        elif start.orchestration_instance.execution_id == hot.began_as:
            await self._hub.queues.delete(received.ticket)  # a copy: another run has followed it
        else:
            await self._wait_for_row(received, created=hot.record.created_time)

    async def _wait_for_row(self, received: Received, *, created: datetime | None) -> None:
        """Put a start off whose status row is not there yet; drop it where it never will be."""
        inserted = received.inserted or self._hub.pacing.now()
        is_old = created is not None and inserted < created - _CLOCKS_APART_MAX
        if is_old or self._hub.pacing.now() - inserted > _ROW_COMES_WITHIN:
            await self._hub.queues.delete(received.ticket)
        else:
            await self._put_off(received)

    async def _receive_message(
        self, instance_id: str, event: MessageEvent, received: Received, envelope: Envelope
    ) -> None:
        hub = self._hub
        hot = await hub.recipient(instance_id, event)
        if hot is None:
            await hub.queues.delete(received.ticket)
            return
        await hub.with_history(instance_id, hot)
        if hot.is_unborn and not isinstance(event, EventRaised):
            await hub.queues.delete(received.ticket)
            return
        if hot.is_ended:
            await self._receive_late(instance_id, hot, received)
            return
        is_consumed = _is_consumed(event, received.ticket, hot, hub.clock.now())
        if isinstance(event, GenericEvent) or is_consumed:
            await self._came_again(instance_id, hot, received, envelope)
        elif (copy := hub.inbox.copy_of(received.ticket)) is not None:
            await self._keep_one(copy, received.ticket)
        elif isinstance(event, _ANSWERS) and not _is_asked(event, hot.history):
            is_of_this_run = envelope.target.execution_id == hot.record.execution_id
            if is_of_this_run:
                await self._put_off(received)
            else:
                await hub.queues.delete(received.ticket)
        elif not is_entity(instance_id) or not self._hold_back(received):
            due = event.fire_at if isinstance(event, TimerFired) else None
            await self._hand_out(event, received, envelope, due)

    def _hold_back(self, received: Received) -> bool:
        """Keep the operation of a client for later where an earlier one may show up."""
        partition = received.ticket.partition
        return partition is not None and self._hub.order.hold_back(partition, received)

    async def _keep_one(self, held: MessageId, ticket: Ticket) -> None:
        """Keep one copy of a message that was put twice, as its sender got no answer."""
        if self._hub.inbox.ticket_of(held) is None:
            self._hub.inbox.attach(held, ticket)
        else:
            await self._hub.queues.delete(ticket)

    async def _receive_late(self, instance_id: str, hot: HotInstance, received: Received) -> None:
        """Drop what comes after the end, unless a client has put a new instance in its place."""
        stored = await self._hub.instances.get(instance_id, fetch_input=False)
        if stored is None or stored.record.execution_id == hot.record.execution_id:
            await self._hub.queues.delete(received.ticket)
        else:
            await self._put_off(received)  # the start of the new one is on its way

    async def _came_again(
        self, instance_id: str, hot: HotInstance, received: Received, envelope: Envelope
    ) -> None:
        """Take a consumed message as the claim of an instance that has something to do."""
        hub, inbox = self._hub, self._hub.inbox
        await self._batches.send_again(instance_id, hot)
        if hot.is_ended or inbox.claim_of(instance_id) is not None or not _is_open(hot):
            await hub.queues.delete(received.ticket)
            return
        is_generic = isinstance(envelope.event, GenericEvent)
        if not is_generic and is_entity(instance_id):
            # It is known as consumed for a while only.
            wake_up, ticket = hub.wake_up(instance_id), received.ticket
            visibility_s = hub.settings.visibility_s
            is_generic = await hub.queues.hide(ticket, invisible_s=visibility_s, content=wake_up)
            if not is_generic:  # somebody else has it
                return
        inbox.claim(instance_id, Claim(received.ticket, is_generic))
        if not inbox.has_open_activities(instance_id):
            inbox.set_open(instance_id, is_open=True)
            hub.dispatcher.abandon(instance_id)

    async def settle(self, instance_id: str, hot: HotInstance) -> list[MessageId]:
        """Let go of what the history has consumed, though its commit seemed to fail; give it."""
        hub, inbox = self._hub, self._hub.inbox
        if hot.is_ended and hot.is_dirty:
            await hub.write_status(instance_id, hot)
        await self._batches.send_again(instance_id, hot)
        now = hub.clock.now()
        gone: list[Ticket] = []
        consumed: list[MessageId] = []
        for message in inbox.of(instance_id):
            ticket = inbox.ticket_of(message.id)
            identity = inbox.identity_of(message.id)
            is_consumed = identity is not None and hot.has_consumed((identity,), now)
            if ticket is not None:
                is_consumed = _is_consumed(message.event, ticket, hot, now)
            if not is_consumed or (hot.is_ended and _is_of_parent(message.event)):
                continue
            consumed.append(message.id)
            inbox.remove(instance_id, (message.id,))
            hub.dispatcher.consumed(instance_id, (message.id,))
            if ticket is None:
                continue
            if inbox.claim_of(instance_id) is None and _is_open(hot):
                inbox.claim(instance_id, Claim(ticket, isinstance(message.event, GenericEvent)))
                inbox.set_open(instance_id, is_open=True)
            else:
                gone.append(ticket)
        if hot.is_ended:
            inbox.set_open(instance_id, is_open=False)
            claim = inbox.unclaim(instance_id)
            gone += [] if claim is None else [claim.ticket]
        await hub.delete(gone)
        return consumed

    async def _hand_out(
        self,
        event: MessageEvent,
        received: Received,
        envelope: Envelope,
        due: datetime | None,
    ) -> None:
        """Hand a message out; one that came early is kept away until it is due."""
        hub, target, ticket = self._hub, envelope.target, received.ticket
        delivered = hub.deliver(
            target.instance_id, event, target.execution_id, ticket, visible_at=due
        )
        if delivered is None:
            await hub.queues.hide(ticket, invisible_s=hub.delay_s(due))
        elif due is not None and due > hub.clock.now():
            await hub.queues.hide(ticket, invisible_s=hub.hidden_s(due))

    async def _put_off(self, received: Received) -> None:
        """Look at a message later, ever later; hosts that died with it do not count."""
        times = self._put_offs.failed(received.ticket.queue_id)
        await self._hub.queues.hide(received.ticket, invisible_s=min(2**times, _DELAY_MAX_S))


def _target_of(received: Received) -> str:
    envelope = received.envelope
    return "" if isinstance(envelope, UnreadableError) else envelope.target.instance_id


def _is_open(hot: HotInstance) -> bool:
    is_told = hot.is_left_open or hot.record.parked is not None
    return is_told or hot.is_unanswered or bool(hot.withheld)


def _is_of_parent(event: MessageEvent) -> bool:
    """Tell whether a parent asks for a child: one that has ended tells it so again."""
    return isinstance(event, ExecutionStarted) and event.parent_instance is not None


def _is_consumed(event: MessageEvent, ticket: Ticket, hot: HotInstance, now: datetime) -> bool:
    """Tell whether a commit has consumed this message."""
    if isinstance(event, ExecutionStarted):
        execution_id = event.orchestration_instance.execution_id
        return execution_id == hot.record.execution_id and bool(hot.stored)
    names = {ticket.identity, ticket.queue_id}
    return hot.has_consumed(names, now) or _has_happened(event, hot.history)


def _has_happened(event: MessageEvent, history: Sequence[HistoryEvent]) -> bool:
    """Tell whether the history has this event already."""
    match event:
        case TimerFired(timer_id=timer_id):
            return any(isinstance(one, TimerFired) and one.timer_id == timer_id for one in history)
        case ExecutionTerminated():
            return any(isinstance(one, ExecutionTerminated) for one in history)
        case _ if isinstance(event, _ANSWERS):
            return any(
                isinstance(one, _ANSWERS) and one.task_scheduled_id == event.task_scheduled_id
                for one in history
            )
        case _:
            return False


def _is_asked(event: HistoryEvent, history: Sequence[HistoryEvent]) -> bool:
    """Tell whether the history has the step that this event answers."""
    return any(
        isinstance(one, TaskScheduled | SubOrchestrationInstanceCreated)
        and one.event_id == getattr(event, "task_scheduled_id", None)
        for one in history
    )
