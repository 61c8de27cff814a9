"""Takes messages from the control queues, tells what is new from what came again, and hands it out.

A message comes again where a host died before it had deleted it, or where it was kept as a claim.
What the history says decides which of both it is.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.hot_instances import HotInstance
from func_host.durable.backends.azure_storage.inbox import Claim
from func_host.durable.history import (
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

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from func_host.durable.backends.azure_storage.control_queues import Received
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.tickets import Ticket
    from func_host.durable.history import HistoryEvent, MessageEvent

_POLL_FIRST_S: Final = 0.05
_FULL_WAIT_S: Final = 1.0
_AT_ONCE_AFTER_WORK: Final = 2
_DELAY_MAX_S: Final = 600
_START_TRIES: Final = 10

_ANSWERS = (
    TaskCompleted,
    TaskFailed,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
)
logger = logging.getLogger(__name__)


class Arrivals:
    """What comes in on the partitions of this host."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def poll(self, partition: int) -> None:
        """Look into a queue again and again, less often the longer it has been empty."""
        hub = self._hub
        empty = _AT_ONCE_AFTER_WORK
        while not hub.is_stopping:
            if hub.inbox.held_count() >= hub.settings.buffer_max * 16:
                await hub.pause(_FULL_WAIT_S)
                continue
            try:
                count = await self.take(partition)
            except Exception as error:  # noqa: BLE001 -- a queue at fault is asked again
                logger.warning("a control queue cannot be read: %s", error)
                count = 0
            empty = 0 if count else empty + 1
            if empty > _AT_ONCE_AFTER_WORK:
                await hub.pause(self._pause_s(empty - _AT_ONCE_AFTER_WORK - 1))

    async def take(self, partition: int) -> int:
        """Take what is visible in a queue, and hand it out; give how much it was."""
        hub = self._hub
        received = await hub.queues.take(partition, invisible_s=hub.settings.visibility_s)
        fresh = [one for one in received if not hub.inbox.renew(one.ticket)]
        by_instance: dict[str, list[Received]] = {}
        for one in fresh:
            by_instance.setdefault(one.envelope.target.instance_id, []).append(one)
        for instance_id, some in by_instance.items():
            async with hub.alone(instance_id):
                for one in some:
                    await self._receive(instance_id, one)
        return len(received)

    def _pause_s(self, step: int) -> float:
        longest_s = self._hub.settings.polling_interval_max_s
        pause_s = min(_POLL_FIRST_S * 2.0 ** min(step, 32), longest_s)
        return pause_s * (0.8 + 0.4 * self._hub.ids.jitter())

    async def _receive(self, instance_id: str, received: Received) -> None:
        event = received.envelope.event
        if isinstance(event, TaskScheduled | ExecutionRewound):
            await self._put_off(received)  # not for a control queue, or not known here yet
        elif isinstance(event, ExecutionStarted):
            await self._receive_start(instance_id, event, received)
        else:
            await self._receive_message(instance_id, event, received)

    async def _receive_start(
        self, instance_id: str, start: ExecutionStarted, received: Received
    ) -> None:
        hub = self._hub
        execution_id = start.orchestration_instance.execution_id
        if start.generation == 0:  # the first use of an id, which is what none says, too
            start = msgspec.structs.replace(start, generation=None)
        hot = await hub.instance(instance_id)
        if hot is not None and hot.record.execution_id != execution_id:
            stored = await hub.instances.get(instance_id)
            if stored is not None and stored.record.execution_id == execution_id:
                hot = hub.known_row(instance_id, stored)
        is_from_instance = bool(received.envelope.sender.instance_id)
        if hot is None and is_from_instance:
            etag = await hub.instances.insert(start, start.timestamp, message_blob=None)
            if etag is not None:
                record = rules.new_record(start)
                hot = HotInstance(record, record, etag, hub.clock.monotonic())
                hub.known.put(instance_id, hot)
        if hot is None:
            await self._wait_for_row(received, created=None)
            return
        if hot.record.execution_id != execution_id:
            if is_from_instance:
                self._hand_out(instance_id, start, received, start.scheduled_start_time)
            else:
                await self._wait_for_row(received, created=hot.record.created_time)
            return
        await hub.with_history(instance_id, hot)
        if hot.stored or hot.withheld:
            await self._came_again(instance_id, hot, received)
        else:
            self._hand_out(instance_id, start, received, start.scheduled_start_time)
            await self._hide_until(received, start.scheduled_start_time)

    async def _wait_for_row(self, received: Received, *, created: datetime | None) -> None:
        """Put a start off whose status row is not there yet; drop it where it never will be."""
        inserted = received.inserted
        is_old = created is not None and inserted is not None and inserted < created
        if is_old or received.dequeue_count >= _START_TRIES:
            await self._hub.queues.delete(received.ticket)
        else:
            await self._put_off(received)

    async def _receive_message(
        self, instance_id: str, event: MessageEvent, received: Received
    ) -> None:
        hub = self._hub
        hot = await hub.instance(instance_id)
        if hot is None:
            await hub.queues.delete(received.ticket)
            return
        await hub.with_history(instance_id, hot)
        if hot.is_ended:
            await hub.queues.delete(received.ticket)
            return
        if isinstance(event, GenericEvent) or _is_consumed(event, received.ticket, hot):
            await self._came_again(instance_id, hot, received)
        elif isinstance(event, _ANSWERS) and not _is_asked(event, hot.history):
            is_of_this_run = received.envelope.target.execution_id == hot.record.execution_id
            if is_of_this_run and received.dequeue_count <= _START_TRIES:
                await self._put_off(received)
            else:
                await hub.queues.delete(received.ticket)
        else:
            due = event.fire_at if isinstance(event, TimerFired) else None
            self._hand_out(instance_id, event, received, due)
            await self._hide_until(received, due)

    async def _came_again(self, instance_id: str, hot: HotInstance, received: Received) -> None:
        """Take a consumed message as the claim of an instance that has something to do."""
        hub, inbox = self._hub, self._hub.inbox
        if hot.is_ended or inbox.claim_of(instance_id) is not None or not _is_open(hot):
            await hub.queues.delete(received.ticket)
            return
        is_generic = isinstance(received.envelope.event, GenericEvent)
        inbox.claim(instance_id, Claim(received.ticket, is_generic))
        if not inbox.has_open_activities(instance_id):
            inbox.set_open(instance_id, is_open=True)
            hub.dispatcher.abandon(instance_id)

    async def settle(self, instance_id: str, hot: HotInstance) -> None:
        """Let go of what the history has consumed, though its commit seemed to fail."""
        hub, inbox = self._hub, self._hub.inbox
        gone: list[Ticket] = []
        for message in inbox.of(instance_id):
            ticket = inbox.ticket_of(message.id)
            if ticket is None or not _is_consumed(message.event, ticket, hot):
                continue
            inbox.remove(instance_id, (message.id,))
            hub.dispatcher.consumed(instance_id, (message.id,))
            if inbox.claim_of(instance_id) is None and _is_open(hot):
                inbox.claim(instance_id, Claim(ticket, isinstance(message.event, GenericEvent)))
                inbox.set_open(instance_id, is_open=True)
            else:
                gone.append(ticket)
        await hub.delete(gone)

    def _hand_out(
        self,
        instance_id: str,
        event: MessageEvent,
        received: Received,
        visible_at: datetime | None,
    ) -> None:
        self._hub.deliver(
            instance_id,
            event,
            received.envelope.target.execution_id,
            received.ticket,
            visible_at=visible_at,
        )

    async def _hide_until(self, received: Received, due: datetime | None) -> None:
        """Keep a message that came early away until it is due."""
        hub = self._hub
        if due is None or due <= hub.clock.now():
            return
        ticket = await hub.queues.hide(received.ticket, invisible_s=hub.hidden_s(due))
        if ticket is not None:
            hub.inbox.renew(ticket)

    async def _put_off(self, received: Received) -> None:
        delay_s = min(2**received.dequeue_count, _DELAY_MAX_S)
        await self._hub.queues.hide(received.ticket, invisible_s=delay_s)


def _is_open(hot: HotInstance) -> bool:
    is_told = hot.is_left_open or hot.record.parked is not None
    return is_told or hot.is_unanswered or bool(hot.withheld)


def _is_consumed(event: MessageEvent, ticket: Ticket, hot: HotInstance) -> bool:
    """Tell whether a commit has consumed this message."""
    if isinstance(event, ExecutionStarted):
        execution_id = event.orchestration_instance.execution_id
        return execution_id == hot.record.execution_id and bool(hot.stored)
    return ticket.queue_id in hot.consumed_ids or _has_happened(event, hot.history)


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
