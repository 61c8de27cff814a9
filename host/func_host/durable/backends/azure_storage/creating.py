"""Creates instances: the start message first, the status row second, as the provider does.

A message without a row is dropped in the end; a row without a message would be an instance that
never begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from func_bindings.errors import InstanceAlreadyExistsError
from func_host.durable.backend import BackendError, BackendUnavailableError
from func_host.durable.backends import rules
from func_host.durable.backends.azure_storage.hot_instances import HotInstance
from func_host.durable.history import ExecutionStarted

if TYPE_CHECKING:
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.instance_store import StoredRow
    from func_host.durable.backends.azure_storage.messages import Envelope
    from func_host.durable.backends.azure_storage.tickets import Ticket

_REPLACE_TRIES: Final = 5


class Creation:
    """Creates instances for clients of this process."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def create(self, start: ExecutionStarted, *, replace_unfinished: bool) -> None:
        """Store a new instance as `Pending` and its start message.

        Raises:
            InstanceAlreadyExistsError: An instance with this id exists and may not be replaced.
        """
        hub, instance_id = self._hub, start.orchestration_instance.instance_id
        async with hub.alone(instance_id):
            known = hub.known_instance(instance_id)
            if known is not None:
                rules.check_creatable(
                    instance_id, known.head, replace_unfinished=replace_unfinished
                )
            epoch = hub.ownership.epoch(instance_id)
            before = await self._row_before(instance_id)
            numbered = _numbered(start, before, replace_unfinished=replace_unfinished)
            envelope = hub.envelope(instance_id, numbered, None)
            ticket, is_served = await hub.put(envelope, start.scheduled_start_time)
            try:
                hot, numbered = await self._write_row(
                    before, envelope, ticket, replace_unfinished=replace_unfinished
                )
            except (InstanceAlreadyExistsError, BackendError):
                await hub.queues.delete(ticket)
                raise
            # After any other error nobody knows whether the row is there: if so, the message
            # starts the instance, and if not, it is dropped in the end.
            if is_served:
                await self._begin(numbered if numbered.generation else start, hot, ticket, epoch)

    async def _begin(
        self, start: ExecutionStarted, hot: HotInstance, ticket: Ticket, epoch: int
    ) -> None:
        """Start a new instance from memory, if it is still this process's."""
        hub, instance_id = self._hub, start.orchestration_instance.instance_id
        if hot.row is not hot.record:  # it has taken the place of another
            hot.row = hot.record
            hub.dispatcher.replaced(instance_id)
            await hub.drop_messages(instance_id, but_starts_of_others=False)
            hub.known.drop(instance_id)
        hub.remember(instance_id, hot, epoch=epoch)
        execution_id = start.orchestration_instance.execution_id
        visible_at = start.scheduled_start_time
        delivered = hub.deliver(instance_id, start, execution_id, ticket, visible_at=visible_at)
        if delivered is None:
            await hub.queues.hide(ticket, invisible_s=hub.delay_s(visible_at))

    async def _row_before(self, instance_id: str) -> StoredRow | None:
        """Give what a client has to know before it puts a start: others see that at once.

        Who serves the instance need not ask: most ids are new, and the start is hidden from others
        until the row is written.
        """
        if self._hub.ownership.serves(instance_id):
            return None
        return await self._hub.instances.get(instance_id, fetch_input=False)

    async def _write_row(
        self,
        stored: StoredRow | None,
        envelope: Envelope,
        ticket: Ticket,
        *,
        replace_unfinished: bool,
    ) -> tuple[HotInstance, ExecutionStarted]:
        """Insert the status row, or replace that of an instance that may be replaced.

        Gives the start as it is stored, too: it says how often its id has been used before.
        """
        hub, instance_id, start = self._hub, envelope.target.instance_id, envelope.event
        assert isinstance(start, ExecutionStarted)
        blob = hub.queues.message_blob(envelope)
        record, now = rules.new_record(start), hub.clock.monotonic()
        for tries in range(_REPLACE_TRIES):
            if stored is None:
                etag = await hub.instances.insert(start, start.timestamp, message_blob=blob)
                if etag is not None:
                    return HotInstance(record, record, etag, now, is_loaded=tries == 0), start
            elif stored.record.execution_id == record.execution_id:
                # Ours: only the answer was lost.
                return HotInstance(record, record, stored.etag, now), start
            else:
                again = _numbered(start, stored, replace_unfinished=replace_unfinished)
                if again != start:
                    start = again
                    await self._rewrite(ticket, replace(envelope, event=start), start)
                etag = await hub.instances.replace(
                    start, start.timestamp, message_blob=blob, etag=stored.etag
                )
                if etag is not None:
                    return HotInstance(record, stored.record, etag, now), start
            stored = await hub.instances.get(instance_id, fetch_input=False)
        raise BackendUnavailableError(f"The instance '{instance_id}' changes all the time.")

    async def _rewrite(self, ticket: Ticket, envelope: Envelope, start: ExecutionStarted) -> None:
        """Let the message say what the row will say; one that was taken meanwhile stays."""
        hub, visible_at = self._hub, start.scheduled_start_time
        is_served = hub.ownership.serves(start.orchestration_instance.instance_id)
        invisible_s = hub.hidden_s(visible_at) if is_served else hub.delay_s(visible_at)
        await hub.queues.hide(ticket, invisible_s=invisible_s, content=envelope)


def _numbered(
    start: ExecutionStarted, before: StoredRow | None, *, replace_unfinished: bool
) -> ExecutionStarted:
    """Let a start say how often its id has been used before, if it may be used again."""
    generation = start.generation or 0
    if before is not None:
        old = before.record
        head = rules.Head(old.execution_id, 0, old.runtime_status)
        rules.check_creatable(old.instance_id, head, replace_unfinished=replace_unfinished)
        generation = (before.row.generation or 0) + 1
    return msgspec.structs.replace(start, generation=generation)
