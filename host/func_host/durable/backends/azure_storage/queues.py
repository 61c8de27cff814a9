"""Messages in the queues of a hub: put, taken, kept invisible, rewritten and deleted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from func_host.durable.backends.azure_storage.large import message_blob_name
from func_host.durable.backends.azure_storage.message_events import event_name
from func_host.durable.backends.azure_storage.messages import (
    Envelope,
    LargeMessage,
    decode_envelope,
    encode_envelope,
    encode_wrapper,
)
from func_host.durable.backends.azure_storage.partitions import partition_of
from func_host.durable.backends.azure_storage.queue_text import (
    TIME_TO_LIVE_S,
    from_queue_text,
    is_large,
    to_queue_text,
)
from func_host.durable.backends.azure_storage.tickets import Ticket
from func_host.durable.backends.azure_storage.wire_events import UnreadableError
from func_host.durable.history import TaskScheduled

if TYPE_CHECKING:
    from datetime import datetime

    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

    from func_host.clock import Clock
    from func_host.durable.backends.azure_storage.blobs import LargeValues
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.names import TaskHubNames

BATCH_MAX: Final = 32

_TAKING_S: Final = 100.0
"""How long an answer to a take is waited for: what it took is hidden, answered or not."""

_LOST: Final = frozenset({"MessageNotFound", "PopReceiptMismatch"})
_RENEWING_TURNS: Final = 500
_RENEWING_TURN_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message that was taken.

    `envelope` is what it says, or why it cannot be read; `text` is as it lies in the queue.
    """

    ticket: Ticket
    envelope: Envelope | UnreadableError
    text: str
    inserted: datetime | None
    dequeue_count: int


class MessageQueues:
    """The control queues and the work-item queue of a hub.

    Args:
        clients: Of the storage account.
        names: The hub.
        blobs: Where large messages lie.
        clock: The machine's.
        partition_count: Control queues of the hub.
        batch: How many messages are taken at a time.
    """

    def __init__(
        self,
        clients: StorageClients,
        names: TaskHubNames,
        blobs: LargeValues,
        clock: Clock,
        *,
        partition_count: int,
        batch: int = BATCH_MAX,
    ) -> None:
        self.partition_count = partition_count
        self._clients = clients
        self._names = names
        self._blobs = blobs
        self._clock = clock
        self._batch = batch

    def partition_of(self, instance_id: str) -> int:
        """Give the partition of an instance."""
        return partition_of(instance_id, self.partition_count)

    def message_blob(self, envelope: Envelope) -> str | None:
        """Give the blob that a message will lie in; None where it fits into the queue."""
        if not is_large(encode_envelope(envelope)):
            return None
        return _blob_name(envelope)

    async def put(self, envelope: Envelope, *, invisible_s: float = 0) -> Ticket:
        """Put a message to its target, an activity to all hosts; a delay is rounded up."""
        partition = None
        if not isinstance(envelope.event, TaskScheduled):
            partition = self.partition_of(envelope.target.instance_id)
        seconds = math.ceil(invisible_s)
        put = await self._queue(partition).send_message(
            await self._text(envelope), visibility_timeout=seconds, time_to_live=TIME_TO_LIVE_S
        )
        ticket = self._ticket(partition, put, seconds)
        ticket.key = envelope.activity_id
        return ticket

    async def take(self, partition: int, *, invisible_s: float) -> list[Received]:
        """Take the messages of a control queue that are visible, in order of arrival."""
        received = await self._take(partition, self._batch, math.ceil(invisible_s))
        received.sort(key=_order)
        return received

    async def count(self, partition: int) -> int:
        """Count the messages of a control queue, hidden ones as well; it may be less than told."""
        properties = await self._queue(partition).get_queue_properties()
        return properties.approximate_message_count or 0

    async def take_activity(self, *, invisible_s: float) -> Received | None:
        """Take one activity that hosts share; None where there is none."""
        received = await self._take(None, 1, math.ceil(invisible_s))
        return received[0] if received else None

    async def _take(self, partition: int | None, most: int, seconds: int) -> list[Received]:
        pages = (
            self._queue(partition)
            .receive_messages(
                messages_per_page=most, visibility_timeout=seconds, read_timeout=_TAKING_S
            )
            .by_page()
        )
        async for page in pages:
            messages = [message async for message in page]
            tickets = [self._ticket(partition, message, seconds) for message in messages]
            pairs = zip(tickets, messages, strict=True)
            return [await self._read(ticket, message) for ticket, message in pairs]
        return []

    async def hide(
        self, ticket: Ticket, *, invisible_s: float, content: Envelope | None = None
    ) -> bool:
        """Keep a message invisible from now on, maybe with other content; False: it is lost."""
        seconds = math.ceil(invisible_s)
        text = None if content is None else await self._text(content)
        await self._wait_for_renewal(ticket)
        ticket.is_renewing = True
        try:
            updated = await self._queue(ticket.partition).update_message(
                ticket.queue_id, ticket.receipt, content=text, visibility_timeout=seconds
            )
            ticket.receipt = updated.pop_receipt or ""
            ticket.until = self._clock.monotonic() + seconds
        except HttpResponseError as error:
            if _is_lost(error):
                return False
            raise
        finally:
            ticket.is_renewing = False
        return True

    async def delete(self, ticket: Ticket) -> None:
        """Delete a message; one that is gone, or somebody else's now, is left alone."""
        await self._wait_for_renewal(ticket)
        try:
            await self._queue(ticket.partition).delete_message(ticket.queue_id, ticket.receipt)
        except HttpResponseError as error:
            if not _is_lost(error):
                raise

    async def _wait_for_renewal(self, ticket: Ticket) -> None:
        """Wait for a renewal that the other thread has begun: it changes the receipt."""
        for _ in range(_RENEWING_TURNS):
            if not ticket.is_renewing:
                return
            await self._clock.sleep(_RENEWING_TURN_S)

    def _queue(self, partition: int | None) -> QueueClient:
        names = self._names
        name = names.work_item_queue if partition is None else names.control_queue(partition)
        return self._clients.queue(name)

    def _ticket(self, partition: int | None, message: QueueMessage, invisible_s: int) -> Ticket:
        return Ticket(
            partition=partition,
            queue_id=message.id,
            receipt=message.pop_receipt or "",
            until=self._clock.monotonic() + invisible_s,
        )

    async def _text(self, envelope: Envelope) -> str:
        text = encode_envelope(envelope)
        if is_large(text):
            name = _blob_name(envelope)
            await self._blobs.put(name, text)
            text = encode_wrapper(LargeMessage(name))
        return to_queue_text(text)

    async def _read(self, ticket: Ticket, message: QueueMessage) -> Received:
        envelope: Envelope | UnreadableError
        try:
            envelope = await self._decoded(message.content)
            ticket.key = envelope.activity_id
        except UnreadableError as error:
            envelope = error
        except ResourceNotFoundError:
            envelope = UnreadableError("The blob that a message lies in is gone.")
        return Received(
            ticket=ticket,
            envelope=envelope,
            text=message.content,
            inserted=message.inserted_on,
            dequeue_count=message.dequeue_count or 1,
        )

    async def _decoded(self, text: str) -> Envelope:
        envelope = decode_envelope(from_queue_text(text))
        if isinstance(envelope, LargeMessage):
            envelope = decode_envelope(await self._blobs.get(envelope.blob_name))
        if isinstance(envelope, LargeMessage):
            raise UnreadableError("The blob of a message names another blob.")
        return envelope


def _blob_name(envelope: Envelope) -> str:
    return message_blob_name(
        envelope.target.instance_id, envelope.activity_id, event_name(envelope.event)
    )


def _order(received: Received) -> tuple[float, int]:
    inserted = received.inserted
    moment = 0.0 if inserted is None else inserted.timestamp()
    envelope = received.envelope
    return (moment, 0 if isinstance(envelope, UnreadableError) else envelope.sequence_number)


def _is_lost(error: HttpResponseError) -> bool:
    """Tell whether the message is gone, or was taken by somebody else."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code)) in _LOST
