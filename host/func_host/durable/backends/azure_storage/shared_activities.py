"""The work-item queue: activities that any host of the hub may run, taken and completed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeAlias

from func_host.durable.actions import ScheduleTask
from func_host.durable.backend import BackendUnavailableError, SharedActivity
from func_host.durable.backends.azure_storage.attempts import ATTEMPTS_MAX, AttemptCounter
from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS
from func_host.durable.backends.azure_storage.messages import Envelope, Party
from func_host.durable.backends.azure_storage.polling import PollingRhythm
from func_host.durable.backends.azure_storage.sharing import ActivityTicket
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from func_host.durable.history import (
    OrchestrationInstance,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
)
from func_host.log import REASON

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.dead_letters import DeadLetters
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.queues import Received
    from func_host.durable.backends.azure_storage.tickets import Ticket

_DELAY_MAX_S: Final = 600

_Key: TypeAlias = tuple[OrchestrationInstance, int]
"""An activity, whatever message stands for it."""

logger = logging.getLogger(__name__)


class SharedActivities:
    """What this host runs of the activities that hosts share.

    Args:
        hub: The hub.
        dead_letters: Where messages go that cannot be read.
        names: What the queue is called.
    """

    def __init__(self, hub: Hub, dead_letters: DeadLetters, names: TaskHubNames) -> None:
        self._hub = hub
        self._dead_letters = dead_letters
        self._queue_name = names.work_item_queue
        self._attempts = AttemptCounter()
        self._held: dict[_Key, ActivityTicket] = {}
        self._rhythm = PollingRhythm(hub.ids)
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Look into the queue soon: something has been put there."""
        self._bell.set()

    async def next(self) -> SharedActivity:
        """Wait for an activity.

        Raises:
            BackendUnavailableError: The hub is closed.
        """
        hub = self._hub
        while not hub.is_stopping:
            try:
                received = await hub.queues.take_activity(
                    invisible_s=hub.settings.work_item_visibility_s
                )
                activity = None if received is None else await self._read(received)
            except STORAGE_ERRORS as error:
                logger.warning("the work-item queue cannot be read", extra={REASON: str(error)})
                received = activity = None
            if activity is not None:
                self._rhythm.begin_anew()
                return activity
            longest_s = hub.longest_pause_s(of_activities=True)
            pause_s = self._rhythm.after(0 if received is None else 1, longest_s=longest_s)
            if pause_s:
                await hub.pause(pause_s, self._bell)
                if self._bell.is_set():
                    self._bell.clear()
                    self._rhythm.begin_anew()
        raise BackendUnavailableError("The task hub on Azure Storage is not open.")

    def hold(self, activity: SharedActivity) -> None:
        """Know that this host runs an activity which it has put into the queue itself."""
        ticket = activity.ticket
        assert isinstance(ticket, ActivityTicket)
        self._held[activity.instance, activity.action.id] = ticket

    async def complete(self, activity: SharedActivity, result: TaskCompleted | TaskFailed) -> None:
        """Send the result to the instance, then delete the message of the activity."""
        hub, held = self._hub, activity.ticket
        assert isinstance(held, ActivityTicket)
        if not held.is_answered:
            await self._answer(activity.instance, held.episode, result)
            held.is_answered = True
        hub.keeper.let_go(held.ticket)
        await hub.queues.delete(held.ticket)
        self._held.pop((activity.instance, activity.action.id), None)

    async def give_back(self) -> None:
        """Let other hosts run what this one has not ended."""
        unanswered = [held for held in self._held.values() if not held.is_answered]
        for held in unanswered:
            self._hub.keeper.let_go(held.ticket)
        await asyncio.gather(
            *(self._hub.queues.hide(held.ticket, invisible_s=0) for held in unanswered)
        )

    async def _answer(
        self,
        instance: OrchestrationInstance,
        episode: int | None,
        result: TaskCompleted | TaskFailed,
    ) -> None:
        hub = self._hub
        party = Party(instance.instance_id, instance.execution_id)
        envelope = hub.envelope(
            party.instance_id, result, party.execution_id, sender=party, episode=episode
        )
        ticket, is_served = await hub.put(envelope)
        if not is_served:
            return
        async with hub.alone(party.instance_id):
            hot = hub.known_instance(party.instance_id)
            is_known = hot is not None and result.task_scheduled_id in hot.carried
            delivered = None
            if is_known:
                delivered = hub.deliver(party.instance_id, result, party.execution_id, ticket)
            if delivered is None:  # its queue delivers it, and it is looked at as any other
                await hub.queues.hide(ticket, invisible_s=0)

    async def _read(self, received: Received) -> SharedActivity | None:
        """Read an activity; one that cannot be read is put off, and a dead letter in the end."""
        envelope, ticket = received.envelope, received.ticket
        if isinstance(envelope, Envelope) and isinstance(envelope.event, TaskScheduled):
            event = envelope.event
            execution_id = envelope.target.execution_id or ""
            activity = SharedActivity(
                OrchestrationInstance(envelope.target.instance_id, execution_id),
                ScheduleTask(event.event_id, event.name, event.input),
                ActivityTicket(ticket, envelope.episode),
            )
            return await self._take(activity, ticket, received.dequeue_count)
        await self._put_off(received)
        return None

    async def _take(
        self, activity: SharedActivity, ticket: Ticket, dequeue_count: int
    ) -> SharedActivity | None:
        """Hold an activity, unless this host does already, or it has been answered."""
        hub, held = self._hub, self._held.get((activity.instance, activity.action.id))
        if held is not None and held.ticket.queue_id == ticket.queue_id:
            held.ticket.receipt, held.ticket.until = ticket.receipt, ticket.until
            hub.keeper.hold(held.ticket)
            return None
        if held is not None or (dequeue_count > 1 and await self._is_answered(activity)):
            await hub.queues.delete(ticket)
            return None
        hub.keeper.hold(ticket)
        self.hold(activity)
        return activity

    async def _is_answered(self, activity: SharedActivity) -> bool:
        """Tell whether the result is recorded of an activity whose message comes again."""
        hub, instance = self._hub, activity.instance
        async with hub.alone(instance.instance_id):
            hot = await hub.instance(instance.instance_id)
            if hot is None:  # it may have no row yet
                return False
            await hub.with_history(instance.instance_id, hot)
            if hot.is_ended or hot.record.execution_id != instance.execution_id:
                return True
            return any(
                isinstance(event, TaskCompleted | TaskFailed)
                and event.task_scheduled_id == activity.action.id
                for event in hot.history
            )

    async def _put_off(self, received: Received) -> None:
        envelope, ticket = received.envelope, received.ticket
        reason = "It is no activity."
        if isinstance(envelope, UnreadableError):
            reason = str(envelope)
        attempts = self._attempts.failed(ticket.queue_id)
        if attempts < ATTEMPTS_MAX:
            logger.warning("an activity cannot be read and is put off", extra={REASON: reason})
            await self._hub.queues.hide(ticket, invisible_s=min(2**attempts, _DELAY_MAX_S))
            return
        await self._dead_letters.bury(
            self._queue_name,
            ticket.queue_id,
            received.text,
            instance_id=None,
            reason=reason,
            attempts=attempts,
            now=self._hub.pacing.now(),
        )
        logger.error("an activity cannot be read and is a dead letter now", extra={REASON: reason})
        await self._hub.queues.delete(ticket)
