"""Messages as the provider's envelopes: who sends which event to whom.

An envelope that is too large for a queue lies in a blob, and the queue holds a wrapper that names
the blob (`func_host.durable.backends.azure_storage.large` has the names).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from func_host.durable.backends.azure_storage.message_events import (
    instance_member,
    message_event,
    read_message_event,
    tags_member,
)
from func_host.durable.backends.azure_storage.wire_events import QueueEvent, UnreadableError
from func_host.durable.history import ExecutionStarted, TaskScheduled

if TYPE_CHECKING:
    from collections.abc import Mapping

_DATA_TYPE: Final = "DurableTask.AzureStorage.MessageData"
_MESSAGE_TYPE: Final = "DurableTask.Core.TaskMessage"
_CONTEXT_TYPE: Final = "DurableTask.Core.OrchestrationExecutionContext"
_NO_ACTIVITY_ID: Final = "00000000-0000-0000-0000-000000000000"


class Party(msgspec.Struct, frozen=True, rename="pascal"):
    """Who sends or receives: a run of an instance, or (with no execution id) its current run."""

    instance_id: str = ""
    execution_id: str | None = None


CLIENT: Final = Party("", "")
"""The sender of everything that no instance sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A message with its addresses.

    Args:
        event: What arrives.
        target: Who gets it. A start names the execution it begins, a result or a timer the one
            that waits for it; events, terminations, suspensions and resumptions name none.
        activity_id: 32 hex digits, another for each message; names the blob of a large one.
        sender: The instance that sends it, `CLIENT` for clients. The answer of an activity comes
            from the orchestration itself.
        sequence_number: Counts what this process sends, from 1; orders messages of one second.
        episode: How many episodes the sending orchestration has begun; None from a client. The
            answer of an activity repeats that of its request.
        tags: The tags of the orchestration that asks for an activity or a child.
    """

    event: QueueEvent
    target: Party
    activity_id: str
    sender: Party = CLIENT
    sequence_number: int = 0
    episode: int | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class LargeMessage:
    """What a queue holds instead of an envelope that lies in a blob."""

    blob_name: str


def encode_envelope(envelope: Envelope) -> bytes:
    """Write an envelope as JSON, member for member as the provider does."""
    members: dict[str, object] = {
        "$type": _DATA_TYPE,
        "ActivityId": _dashed(envelope.activity_id),
        "TaskMessage": {
            "$type": _MESSAGE_TYPE,
            "Event": message_event(envelope.event),
            "SequenceNumber": 0,
            "OrchestrationInstance": instance_member(
                envelope.target.instance_id, envelope.target.execution_id
            ),
            "OrchestrationExecutionContext": _context(envelope),
        },
        "CompressedBlobName": None,
        "SequenceNumber": envelope.sequence_number,
    }
    if envelope.episode is not None:
        members["Episode"] = envelope.episode
    members["Sender"] = envelope.sender
    members["SerializableTraceContext"] = None
    return msgspec.json.encode(members)


def encode_wrapper(message: LargeMessage) -> bytes:
    """Write what the queue holds instead of a large envelope."""
    return msgspec.json.encode(
        {
            "$type": _DATA_TYPE,
            "ActivityId": _NO_ACTIVITY_ID,
            "TaskMessage": None,
            "CompressedBlobName": message.blob_name,
            "SequenceNumber": 0,
            "Sender": None,
            "SerializableTraceContext": None,
        }
    )


def decode_envelope(text: bytes | str) -> Envelope | LargeMessage:
    """Read a message: members may come in any order, be missing where they can, or be unknown.

    Raises:
        UnreadableError: It is no envelope, or its event is none that a queue can hold.
    """
    try:
        data = _decoder.decode(text)
    except ValueError as error:
        raise UnreadableError(f"A message is no envelope of DurableTask: {error}") from error
    if data.TaskMessage is None:
        if not data.CompressedBlobName:
            raise UnreadableError("A message holds neither an event nor the name of a blob.")
        return LargeMessage(data.CompressedBlobName)
    event = read_message_event(data.TaskMessage.Event)
    return Envelope(
        event=event,
        target=_target(data.TaskMessage, event),
        activity_id=(data.ActivityId or "").replace("-", ""),
        sender=data.Sender or CLIENT,
        sequence_number=data.SequenceNumber or 0,
        episode=data.Episode,
        tags=_tags(data.TaskMessage.OrchestrationExecutionContext),
    )


class _Context(msgspec.Struct):
    OrchestrationTags: dict[str, str | None] | None = None


class _TaskMessage(msgspec.Struct):
    Event: dict[str, Any]
    OrchestrationInstance: Party | None = None
    OrchestrationExecutionContext: _Context | None = None


class _MessageData(msgspec.Struct):
    ActivityId: str | None = None
    TaskMessage: _TaskMessage | None = None
    CompressedBlobName: str | None = None
    SequenceNumber: int | None = None
    Episode: int | None = None
    Sender: Party | None = None


_decoder: Final[msgspec.json.Decoder[_MessageData]] = msgspec.json.Decoder(_MessageData)


def _dashed(activity_id: str) -> str:
    digits = activity_id
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _context(envelope: Envelope) -> dict[str, object] | None:
    """Give the tags along with a request for work; nothing else carries them."""
    match envelope.event:
        case TaskScheduled():
            pass
        case ExecutionStarted(parent_instance=parent) if parent is not None:
            pass
        case _:
            return None
    return {"$type": _CONTEXT_TYPE, "OrchestrationTags": tags_member(envelope.tags or {})}


def _tags(context: _Context | None) -> dict[str, str] | None:
    if context is None or context.OrchestrationTags is None:
        return None
    tags = context.OrchestrationTags
    return {name: tag for name, tag in tags.items() if tag is not None and name != "$type"}


def _target(message: _TaskMessage, event: QueueEvent) -> Party:
    if message.OrchestrationInstance is not None:
        return message.OrchestrationInstance
    if isinstance(event, ExecutionStarted):
        instance = event.orchestration_instance
        return Party(instance.instance_id, instance.execution_id)
    raise UnreadableError("A message does not say which instance it is for.")
