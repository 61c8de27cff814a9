"""Sends what a step sends: put before the row that records it, delivered after."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.messages import Party
from func_host.durable.engine.entities import messages
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.history import EventRaised, ExecutionStarted, OrchestratorStarted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.durable.backend import Commit, OutgoingMessage
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.tickets import Ticket

_PUTS_AT_ONCE: Final = 16
_NAMESPACE: Final = uuid.UUID("5f0a4c1e-9d3b-4a57-8a52-6c6f5e0d9b27")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was put; where this process serves its target, it is hidden."""

    message: OutgoingMessage
    ticket: Ticket
    is_served: bool


class Outbox:
    """Sends for the commits of a hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def deliverable(self, commit: Commit) -> list[OutgoingMessage]:
        """Leave out what nobody can receive; make the rows of new children."""
        found: list[OutgoingMessage] = []
        made = await self._make_children(commit)
        reachable: dict[str, bool] = {}
        for place, message in enumerate(commit.outbox):
            target = message.instance_id
            if rules.creating_start(target, message.event) is not None:
                found.append(message)
                continue
            if target in made:
                if place > made[target]:
                    found.append(message)
                continue
            if target == commit.instance_id:
                if not commit.status.runtime_status.is_terminal:
                    found.append(message)
                continue
            if not self._hub.ownership.serves(target):
                found.append(message)  # its owner decides
                continue
            if target not in reachable:
                hot = await self._hub.instance(target)
                reachable[target] = hot is not None and not hot.is_ended
            if reachable[target]:
                found.append(message)
        return found

    async def _make_children(self, commit: Commit) -> dict[str, int]:
        """Find the children that no row says anything of yet, by the place of their start."""
        starts: dict[str, int] = {}
        for place, message in enumerate(commit.outbox):
            is_start = isinstance(message.event, ExecutionStarted)
            if is_start and self._hub.ownership.serves(message.instance_id):
                starts.setdefault(message.instance_id, place)
        made: dict[str, int] = {}
        targets = list(starts)
        for first in range(0, len(targets), _PUTS_AT_ONCE):
            some = targets[first : first + _PUTS_AT_ONCE]
            known = await asyncio.gather(*map(self._hub.instance, some))
            made |= {one: starts[one] for one, hot in zip(some, known, strict=True) if hot is None}
        return made

    async def send(self, commit: Commit, outbox: Sequence[OutgoingMessage]) -> list[Sent]:
        """Put messages, and make the status rows of new children that this process serves.

        Raises:
            StaleCommitError: The sender is not this process's any more.
        """
        sender = Party(commit.instance_id, commit.fence.execution_id)
        episode = sum(isinstance(event, OrchestratorStarted) for event in commit.events)
        sent: list[Sent] = []
        made: set[str] = set()
        for first in range(0, len(outbox), _PUTS_AT_ONCE):
            some = outbox[first : first + _PUTS_AT_ONCE]
            sent += await asyncio.gather(*(self._put(one, sender, episode) for one in some))
            await self.insert_children([one for one in some if one.instance_id not in made])
            made |= {one.instance_id for one in some if isinstance(one.event, ExecutionStarted)}
        return sent

    async def insert_children(self, outbox: Sequence[OutgoingMessage]) -> None:
        """Make the status rows of new children that this process serves, of each once."""
        starts: dict[str, OutgoingMessage] = {}
        for one in outbox:
            if isinstance(one.event, ExecutionStarted):
                starts.setdefault(one.instance_id, one)
        await asyncio.gather(*map(self._insert_child, starts.values()))

    async def _put(self, message: OutgoingMessage, sender: Party, episode: int) -> Sent:
        hub = self._hub
        hub.check_owned(sender.instance_id)
        envelope = hub.envelope(
            message.instance_id,
            message.event,
            message.execution_id,
            sender=sender,
            episode=episode,
            activity_id=_repeatable_id(message),
        )
        ticket, is_served = await hub.put(envelope, message.visible_at)
        return Sent(message, ticket, is_served)

    async def _insert_child(self, message: OutgoingMessage) -> None:
        hub, instance_id, start = self._hub, message.instance_id, message.event
        assert isinstance(start, ExecutionStarted)
        if not hub.ownership.serves(instance_id) or hub.known_instance(instance_id) is not None:
            return
        epoch = hub.ownership.epoch(instance_id)
        etag = await hub.instances.insert_child(start)
        if etag is not None:
            hot = hub.new_instance(rules.new_record(start), etag, is_loaded=True)
            hub.remember(instance_id, hot, epoch=epoch)

    async def deliver(self, sent: Sequence[Sent]) -> None:
        """Hand over in memory what was put hidden; show what is another process's by now."""
        for one in sent:
            await self._deliver_one(one)

    async def _deliver_one(self, sent: Sent) -> None:
        message = sent.message
        if not sent.is_served:
            return
        delivered = self._hub.deliver(
            message.instance_id,
            message.event,
            message.execution_id,
            sent.ticket,
            visible_at=message.visible_at,
        )
        if delivered is None:
            await self._hub.queues.hide(
                sent.ticket, invisible_s=self._hub.delay_s(message.visible_at)
            )


def _repeatable_id(message: OutgoingMessage) -> str | None:
    """Give the id of what a step sends to an entity: the same where the step is done again.

    A host that dies between putting it and writing the row leaves a copy, and nothing else tells
    the two of an operation for later apart from two operations.
    """
    event = message.event
    if not isinstance(event, EventRaised) or not messages.is_request(event):
        return None
    if not is_entity(message.instance_id):
        return None
    try:
        request = messages.read_request(event)
    except ValueError:  # whoever gets it says so
        return None
    return uuid.uuid5(_NAMESPACE, f"{message.instance_id}\n{request.id}").hex
