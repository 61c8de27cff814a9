"""Deletes what is stored of an instance: history, blobs, and the status row last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_host.durable.backends import rules

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.hub import Hub


class Purging:
    """Purges for clients of this process."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def purge(self, instance_id: str) -> bool:
        """Delete all that is stored of an instance that has ended; False where there is none.

        Raises:
            InstanceConflictError: The instance has not ended.
        """
        hub = self._hub
        async with hub.alone(instance_id):
            hot = hub.known_instance(instance_id)
            if hot is None or hot.is_ended:
                stored = await hub.instances.get(instance_id, fetch_input=False)
                if stored is None:
                    hub.known.drop(instance_id)
                    return False
                status = stored.record.runtime_status
            else:
                status = hot.record.runtime_status
            rules.check_purgeable(instance_id, status)
            await hub.drop_messages(instance_id, but_starts_of_others=False)
            hub.dispatcher.forget(instance_id)
            await hub.histories.delete(instance_id)
            await hub.blobs.delete_of(instance_id)
            await hub.instances.delete(instance_id)
            hub.known.drop(instance_id)
            return True

    async def purge_entity(self, instance_id: str, execution_id: str) -> bool:
        """Delete an entity that is still in this execution, and that nothing waits for here.

        The history goes first, under its fence: whoever writes a batch meanwhile keeps it.
        """
        hub = self._hub
        partition = hub.ownership.partition_of(instance_id)
        async with hub.alone(instance_id):
            if hub.inbox.of(instance_id) or hub.order.holds_for(instance_id, partition):
                return False
            stored = await hub.instances.get(instance_id, fetch_input=False)
            if stored is None or stored.record.execution_id != execution_id:
                return False
            if not await hub.histories.delete_execution(instance_id, execution_id):
                return False
            await hub.drop_messages(instance_id, but_starts_of_others=False)
            hub.dispatcher.forget(instance_id)
            hub.known.drop(instance_id)
            await hub.blobs.delete_of(instance_id)
            await hub.instances.delete(instance_id, stored.etag)
            return True
