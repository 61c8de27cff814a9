"""Hands activities and whole instances over to other hosts.

An activity is shared in this order: its message is put into the work-item queue, then the history
says that it was scheduled. A crash in between leaves a message whose result comes before it was
asked for; it waits until the history has been mended. Once nothing is in flight that only this
process stands for, the claim on the instance goes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from func_host.durable.backend import SharedActivity, StaleCommitError
from func_host.durable.backends.azure_storage.appending import HistoryWriting
from func_host.durable.backends.azure_storage.messages import Envelope, Party
from func_host.durable.codec import to_microseconds
from func_host.durable.history import OrchestrationInstance, OrchestratorStarted, TaskScheduled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.durable.actions import ScheduleTask
    from func_host.durable.backends.azure_storage.hot_instances import HotInstance
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.tickets import Ticket

_AT_ONCE: Final = 16


@dataclass(slots=True)
class ActivityTicket:
    """What a host holds of a shared activity.

    Args:
        ticket: The right to its message.
        episode: What its result repeats.
        is_answered: Its result has been sent: only its message is still to go.
    """

    ticket: Ticket
    episode: int | None
    is_answered: bool = False


class Sharing:
    """Shares what this process has of instances."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def share(
        self,
        instance_id: str,
        waiting: Sequence[ScheduleTask],
        running: Sequence[ScheduleTask],
    ) -> list[SharedActivity]:
        """Put activities that are in flight into the work-item queue; give those that run here.

        The caller lets nobody else change the instance meanwhile.

        Raises:
            StaleCommitError: The instance is not this process's any more.
        """
        hub = self._hub
        hot = hub.known_instance(instance_id)
        hub.check_owned(instance_id)
        if hot is None or not hot.is_loaded:
            raise StaleCommitError(f"The instance '{instance_id}' is not in memory any more.")
        inline = hot.inline
        mine = [action for action in running if action.id in inline]
        held = await self._put_all(instance_id, hot, mine, is_held=True)
        free = [action for action in waiting if action.id in inline]
        await self._put_all(instance_id, hot, free, is_held=False)
        hot.carried.update(action.id for action in (*mine, *free))
        await self._write(instance_id, hot)
        for one in held:  # only now: what a fault has left in the queue is to show up for others
            hub.keeper.hold(_ticket_of(one))
        return held

    async def _put_all(
        self,
        instance_id: str,
        hot: HotInstance,
        actions: Sequence[ScheduleTask],
        *,
        is_held: bool,
    ) -> list[SharedActivity]:
        put: list[SharedActivity] = []
        for first in range(0, len(actions), _AT_ONCE):
            some = actions[first : first + _AT_ONCE]
            put += await asyncio.gather(
                *(self._put(instance_id, hot, action, is_held=is_held) for action in some)
            )
        return put

    async def _put(
        self, instance_id: str, hot: HotInstance, action: ScheduleTask, *, is_held: bool
    ) -> SharedActivity:
        hub = self._hub
        hub.check_owned(instance_id)
        execution_id = hot.record.execution_id
        party = Party(instance_id, execution_id)
        episode = sum(isinstance(event, OrchestratorStarted) for event in hot.history)
        start = hot.start
        envelope = Envelope(
            event=TaskScheduled(
                event_id=action.id,
                timestamp=hub.clock.now(),
                name=action.name,
                input=action.input,
            ),
            target=party,
            sender=party,
            activity_id=hub.ids.new_id(),
            sequence_number=hub.next_sequence(),
            episode=episode,
            tags={} if start is None or start.tags is None else start.tags,
        )
        invisible_s = hub.settings.work_item_visibility_s if is_held else 0
        ticket = await hub.queues.put(envelope, invisible_s=invisible_s)
        instance = OrchestrationInstance(instance_id, execution_id)
        return SharedActivity(instance, action, ActivityTicket(ticket, episode))

    async def _write(self, instance_id: str, hot: HotInstance) -> None:
        """Write that they were scheduled; let go of the claim where nothing needs it any more."""
        hub = self._hub
        writing = HistoryWriting(
            instance_id=instance_id,
            execution_id=hot.record.execution_id,
            is_new_run=not hot.stored,
        )
        try:
            await writing.append(hub, hot, hot.withheld)
        except BaseException:
            hub.known.drop(instance_id)  # what is stored decides
            raise
        hot.stored += writing.stored
        hot.withheld = writing.withheld
        hot.withheld_since = hub.pacing.monotonic() if hot.inline else None
        if hot.is_dirty:
            await hub.write_status(instance_id, hot)
        if not self._needs_claim(hot):
            hub.inbox.set_open(instance_id, is_open=False)
            claim = hub.inbox.unclaim(instance_id)
            if claim is not None:
                await hub.queues.delete(claim.ticket)

    def _needs_claim(self, hot: HotInstance) -> bool:
        is_told = hot.is_left_open or hot.record.parked is not None
        return is_told or bool(hot.inline) or hot.is_unanswered

    async def let_go(self, instance_id: str) -> None:
        """Let other hosts have an instance: what waits for it shows up in its queue when it is due.

        The caller lets nobody else change the instance meanwhile.
        """
        hub = self._hub
        hot = hub.known_instance(instance_id)
        # At once: what is handed out from now on would be consumed here and given back as well.
        dropped = hub.inbox.drop(instance_id)
        hub.forget(instance_id)
        if hot is not None and hot.is_dirty:
            await hub.write_status(instance_id, hot)
        now = to_microseconds(hub.clock.now())
        # What is due later shows up by itself.
        waiting = [ticket for ticket, due in dropped.messages if due <= now]
        for first in range(0, len(waiting), _AT_ONCE):
            some = waiting[first : first + _AT_ONCE]
            await asyncio.gather(*(hub.queues.hide(one, invisible_s=0) for one in some))
        if dropped.claim is None:
            return
        if hot is None or self._needs_claim(hot):
            await hub.queues.hide(dropped.claim.ticket, invisible_s=0)
        else:
            await hub.queues.delete(dropped.claim.ticket)


def _ticket_of(activity: SharedActivity) -> Ticket:
    assert isinstance(activity.ticket, ActivityTicket)
    return activity.ticket.ticket
