"""Sends messages of clients to instances: through memory where this process serves them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.direct_delivery import ENTITY_PATIENCE_S, PATIENCE_S
from func_host.durable.engine.entities.messages import is_entity

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from func_host.durable.backend import MessageId
    from func_host.durable.backends.azure_storage.direct_delivery import DirectDelivery
    from func_host.durable.backends.azure_storage.hot_instances import HotInstance
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.messages import Envelope
    from func_host.durable.history import MessageEvent

_NAMESPACE: Final = uuid.UUID("0d7c9a52-7b1e-49a0-8a3c-3f1f1f0b6a11")


class Sending:
    """Sends for clients of this process.

    Args:
        hub: The hub.
        direct: Who waits for a message to be consumed that lies in no queue.
        ring: Has the queue of a partition looked into.
    """

    def __init__(self, hub: Hub, direct: DirectDelivery, ring: Callable[[int], None]) -> None:
        self._hub = hub
        self._direct = direct
        self._ring = ring

    async def send(
        self,
        instance_id: str,
        event: MessageEvent,
        *,
        visible_at: datetime | None = None,
        operation_id: str | None = None,
    ) -> None:
        """Store a message to an instance that exists and has not ended, or to an entity.

        The name of one with an operation id follows from that: whoever gets it twice knows.

        Raises:
            InstanceNotFoundError: There is no such instance.
            InstanceCompletedError: The instance has ended.
        """
        hub = self._hub
        activity_id = None
        if operation_id is not None:
            activity_id = uuid.uuid5(_NAMESPACE, f"{instance_id}\n{operation_id}").hex
        envelope = hub.envelope(instance_id, event, None, activity_id=activity_id)
        entity = is_entity(instance_id)
        async with hub.alone(instance_id):
            hot = await self._recipient(instance_id, event)
            rules.check_reachable(instance_id, None if hot is None else hot.head)
            held: MessageId | None = None
            if operation_id is not None and hot is not None:
                await hub.with_history(instance_id, hot)
                if self._has_consumed(hot, envelope):
                    return
                held = hub.inbox.named(envelope.activity_id)
                if held is not None and hub.inbox.ticket_of(held) is not None:
                    return
            if held is None and not await self._may_deliver(instance_id, visible_at):
                await self._put(event, envelope, visible_at)
                return
            if held is None:
                held = hub.deliver(instance_id, event, None, None, identity=envelope.activity_id)
        patience_s = ENTITY_PATIENCE_S if entity else PATIENCE_S
        if held is not None and await self._direct.is_consumed(held, patience_s):
            return
        await self._put_after_all(event, envelope, held)

    async def _recipient(self, instance_id: str, event: MessageEvent) -> HotInstance | None:
        """Give what is known of the instance; an entity of another host need not be asked for."""
        if is_entity(instance_id) and not self._hub.ownership.serves(instance_id):
            return None
        return await self._hub.recipient(instance_id, event)

    def _has_consumed(self, hot: HotInstance, envelope: Envelope) -> bool:
        return hot.has_consumed((envelope.activity_id,), self._hub.clock.now())

    async def _may_deliver(self, instance_id: str, visible_at: datetime | None) -> bool:
        """Tell whether a message may go into the next step without having been put."""
        hub = self._hub
        if visible_at is not None or not hub.ownership.serves(instance_id):
            return False
        if not is_entity(instance_id):
            return self._direct.is_possible and not hub.inbox.of(instance_id)
        # What is held for it comes before this one, in the same memory.
        partition = hub.ownership.partition_of(instance_id)
        return hub.order.is_direct(partition) and await self._direct.is_possible_soon()

    async def _put(
        self, event: MessageEvent, envelope: Envelope, visible_at: datetime | None
    ) -> None:
        """Put a message; where nothing can be in its way it is handed out from memory, too."""
        hub, instance_id = self._hub, envelope.target.instance_id
        partition = hub.ownership.partition_of(instance_id)
        if is_entity(instance_id) and not hub.order.is_direct(partition):
            hub.order.used(partition)
            await hub.queues.put(envelope, invisible_s=hub.delay_s(visible_at))
            hub.order.used(partition)
            if visible_at is None:
                self._ring(partition)
            return
        ticket, is_served = await hub.put(envelope, visible_at)
        if not is_served:
            return
        delivered = hub.deliver(instance_id, event, None, ticket, visible_at=visible_at)
        if delivered is None:
            await hub.queues.hide(ticket, invisible_s=hub.delay_s(visible_at))

    async def _put_after_all(
        self, event: MessageEvent, envelope: Envelope, held: MessageId | None
    ) -> None:
        """Put a message that no step has consumed in time; it keeps its place in memory."""
        hub, instance_id = self._hub, envelope.target.instance_id
        async with hub.alone(instance_id):
            if held is not None and hub.inbox.is_held(instance_id, held):
                if hub.inbox.ticket_of(held) is None:
                    ticket = await hub.queues.put(envelope, invisible_s=hub.settings.visibility_s)
                    hub.inbox.attach(held, ticket)
                return
            hot = await self._recipient(instance_id, event)
            if held is not None and hot is not None:
                await hub.with_history(instance_id, hot)
                if self._has_consumed(hot, envelope):  # late, and all the same
                    return
            rules.check_reachable(instance_id, None if hot is None else hot.head)
            await self._put(event, envelope, None)
