"""Lists of instances, read from the table; what is not written yet is written before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import HubSummary, InstancePage
from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.hub import shown
from func_host.durable.engine.entities.messages import is_entity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.durable.backend import InstanceQuery, InstanceRecord
    from func_host.durable.backends.azure_storage.catching_up import StatusWriter
    from func_host.durable.backends.azure_storage.hub import Hub

_PAGE: Final = 1_000


class Listing:
    """What can be said of many instances at once."""

    def __init__(self, hub: Hub, statuses: StatusWriter) -> None:
        self._hub = hub
        self._statuses = statuses

    async def page(self, query: InstanceQuery) -> InstancePage:
        """Give one page, in the order of the table: by the UTF-16 units of escaped ids.

        Raises:
            ValueError: The continuation token is not one of ours.
        """
        after = rules.position_of(query.continuation_token)
        if query.runtime_status == ():
            return InstancePage(())
        await self._statuses.flush()
        found: list[InstanceRecord] = []
        limit = query.page_size + 1
        async for record in self._hub.instances.find(query, after=after, limit=limit):
            if len(found) == query.page_size:
                return InstancePage(tuple(found), rules.token_after(found[-1].instance_id))
            found.append(shown(record, fetch_input=query.fetch_input))
        return InstancePage(tuple(found))

    async def ended(self, query: InstanceQuery) -> Sequence[str]:
        """Give all that match and have ended, whatever the page size."""
        if query.runtime_status == ():
            return ()
        await self._statuses.flush()
        found = self._hub.instances.find(query, after="", limit=_PAGE)
        return [one.instance_id async for one in found if one.runtime_status.is_terminal]

    async def summary(self) -> HubSummary:
        """Count the instances by status."""
        await self._statuses.flush()
        counts: dict[OrchestrationRuntimeStatus, int] = {}
        async for instance_id, text in self._hub.instances.statuses():
            if is_entity(instance_id):
                continue
            status = OrchestrationRuntimeStatus(text)
            counts[status] = counts.get(status, 0) + 1
        return HubSummary(instances=counts)
