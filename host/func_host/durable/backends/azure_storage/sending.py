"""Sends messages of clients to instances: through memory where this process serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_host.durable.backends import rules

if TYPE_CHECKING:
    from func_host.durable.backend import MessageId
    from func_host.durable.backends.azure_storage.direct_delivery import DirectDelivery
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.history import MessageEvent


class Sending:
    """Sends for clients of this process.

    Args:
        hub: The hub.
        direct: Who waits for a message to be consumed that lies in no queue.
    """

    def __init__(self, hub: Hub, direct: DirectDelivery) -> None:
        self._hub = hub
        self._direct = direct

    async def send(self, instance_id: str, event: MessageEvent) -> None:
        """Store a message to an instance that exists and has not ended.

        Raises:
            InstanceNotFoundError: There is no such instance.
            InstanceCompletedError: The instance has ended.
        """
        hub = self._hub
        direct: MessageId | None = None
        envelope = hub.envelope(instance_id, event, None)
        identity = envelope.activity_id
        async with hub.alone(instance_id):
            hot = await hub.instance(instance_id)
            rules.check_reachable(instance_id, None if hot is None else hot.head)
            if self._direct.is_possible and not hub.inbox.of(instance_id):
                direct = hub.deliver(instance_id, event, None, None, identity=identity)
        if direct is not None and await self._direct.is_consumed(direct):
            return
        async with hub.alone(instance_id):
            if direct is not None and hub.inbox.is_held(instance_id, direct):
                ticket = await hub.queues.put(envelope, invisible_s=hub.settings.visibility_s)
                hub.inbox.attach(direct, ticket)
                return
            if direct is not None:
                hot = await hub.instance(instance_id)
                if hot is not None:
                    await hub.with_history(instance_id, hot)
                    if identity in hot.consumed_ids:  # late, and all the same
                        return
                rules.check_reachable(instance_id, None if hot is None else hot.head)
            ticket, is_served = await hub.put(envelope)
            if is_served and hub.deliver(instance_id, event, None, ticket) is None:
                await hub.queues.hide(ticket, invisible_s=0)
