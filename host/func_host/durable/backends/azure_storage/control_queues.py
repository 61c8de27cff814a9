"""Messages in the control queues: put, taken, kept invisible, rewritten and deleted."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
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

if TYPE_CHECKING:
    from datetime import datetime

    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

    from func_host.clock import Clock
    from func_host.durable.backends.azure_storage.blobs import LargeValues
    from func_host.durable.backends.azure_storage.client import StorageClients
    from func_host.durable.backends.azure_storage.names import TaskHubNames

BATCH_MAX: Final = 32
POISON_DELAY_MAX_S: Final = 600

_BAD_RECEIPT: Final = 400
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message that was taken."""

    ticket: Ticket
    envelope: Envelope
    inserted: datetime | None
    dequeue_count: int


class ControlQueues:
    """The control queues of a hub."""

    def __init__(
        self,
        clients: StorageClients,
        names: TaskHubNames,
        blobs: LargeValues,
        clock: Clock,
        *,
        partition_count: int,
    ) -> None:
        self.partition_count = partition_count
        self._clients = clients
        self._names = names
        self._blobs = blobs
        self._clock = clock

    def partition_of(self, instance_id: str) -> int:
        """Give the partition of an instance."""
        return partition_of(instance_id, self.partition_count)

    def message_blob(self, envelope: Envelope) -> str | None:
        """Give the blob that a message will lie in; None where it fits into the queue."""
        if not is_large(encode_envelope(envelope)):
            return None
        return _blob_name(envelope)

    async def put(self, envelope: Envelope, *, invisible_s: float = 0) -> Ticket:
        """Put a message to its target; the delay is rounded up to whole seconds."""
        partition = self.partition_of(envelope.target.instance_id)
        seconds = math.ceil(invisible_s)
        put = await self._queue(partition).send_message(
            await self._text(envelope), visibility_timeout=seconds, time_to_live=TIME_TO_LIVE_S
        )
        return self._ticket(partition, put, seconds)

    async def take(self, partition: int, *, invisible_s: int) -> list[Received]:
        """Take the messages that are visible, at most 32, in order of arrival."""
        pages = (
            self._queue(partition)
            .receive_messages(messages_per_page=BATCH_MAX, visibility_timeout=invisible_s)
            .by_page()
        )
        received: list[Received] = []
        async for page in pages:
            async for message in page:
                ticket = self._ticket(partition, message, invisible_s)
                taken = await self._read(ticket, message)
                if taken is not None:
                    received.append(taken)
            break
        received.sort(key=_order)
        return received

    async def hide(
        self, ticket: Ticket, *, invisible_s: float, content: Envelope | None = None
    ) -> Ticket | None:
        """Keep a message invisible from now on, maybe with other content; None where it is lost."""
        seconds = math.ceil(invisible_s)
        text = None if content is None else await self._text(content)
        try:
            updated = await self._queue(ticket.partition).update_message(
                ticket.queue_id, ticket.receipt, content=text, visibility_timeout=seconds
            )
        except HttpResponseError as error:
            if _is_lost(error):
                return None
            raise
        until = self._clock.monotonic() + seconds
        return replace(ticket, receipt=updated.pop_receipt or "", until=until)

    async def delete(self, ticket: Ticket) -> None:
        """Delete a message; one that is gone, or somebody else's now, is left alone."""
        try:
            await self._queue(ticket.partition).delete_message(ticket.queue_id, ticket.receipt)
        except HttpResponseError as error:
            if not _is_lost(error):
                raise

    def _queue(self, partition: int) -> QueueClient:
        return self._clients.queue(self._names.control_queue(partition))

    def _ticket(self, partition: int, message: QueueMessage, invisible_s: int) -> Ticket:
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

    async def _read(self, ticket: Ticket, message: QueueMessage) -> Received | None:
        """Read a message; one that cannot be read is put off, ever longer, and does not block."""
        count = message.dequeue_count or 1
        try:
            envelope = decode_envelope(from_queue_text(message.content))
            if isinstance(envelope, LargeMessage):
                envelope = decode_envelope(await self._blobs.get(envelope.blob_name))
            if isinstance(envelope, LargeMessage):
                envelope = _refuse_blob_of_blob()
        except (UnreadableError, ResourceNotFoundError) as error:
            delay_s = min(2**count, POISON_DELAY_MAX_S)
            logger.warning("a message cannot be read and is put off: %s", error)
            await self.hide(ticket, invisible_s=delay_s)
            return None
        return Received(
            ticket=ticket,
            envelope=envelope,
            inserted=message.inserted_on,
            dequeue_count=count,
        )


def _refuse_blob_of_blob() -> Envelope:
    raise UnreadableError("The blob of a message names another blob.")


def _blob_name(envelope: Envelope) -> str:
    return message_blob_name(
        envelope.target.instance_id, envelope.activity_id, event_name(envelope.event)
    )


def _order(received: Received) -> tuple[float, int]:
    inserted = received.inserted
    moment = 0.0 if inserted is None else inserted.timestamp()
    return (moment, received.envelope.sequence_number)


def _is_lost(error: HttpResponseError) -> bool:
    """Tell whether the message is gone, or was taken by somebody else."""
    if isinstance(error, ResourceNotFoundError):
        return "MessageNotFound" in str(getattr(error, "error_code", ""))
    return error.status_code == _BAD_RECEIPT and "PopReceiptMismatch" in str(
        getattr(error, "error_code", "")
    )
