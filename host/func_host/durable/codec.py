"""History events as JSON text, and moments as whole microseconds: how stores keep both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from func_host.durable.history import HistoryEvent, MessageEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_encoder = msgspec.json.Encoder()
_history_decoder: msgspec.json.Decoder[list[HistoryEvent]] = msgspec.json.Decoder(
    list[HistoryEvent]
)
_chunks_decoder: msgspec.json.Decoder[list[list[HistoryEvent]]] = msgspec.json.Decoder(
    list[list[HistoryEvent]]
)
_message_decoder: msgspec.json.Decoder[MessageEvent] = msgspec.json.Decoder(MessageEvent)


def encode_history(events: Sequence[HistoryEvent]) -> bytes:
    """Write events as one JSON array, oldest first."""
    return _encoder.encode(events)


def decode_history(text: str | bytes) -> list[HistoryEvent]:
    """Read a JSON array of events.

    Raises:
        ValueError: The text is not JSON, or holds something that is not a history event; the
            message names the place.
    """
    return _history_decoder.decode(text)


def decode_history_chunks(text: str | bytes) -> list[HistoryEvent]:
    """Read a JSON array of arrays of events, such as one array a step, as one history.

    Raises:
        ValueError: As with `decode_history`.
    """
    return [event for chunk in _chunks_decoder.decode(text) for event in chunk]


def encode_message(event: MessageEvent) -> bytes:
    """Write one event that arrives at an instance as a JSON object."""
    return _encoder.encode(event)


def decode_message(text: str | bytes) -> MessageEvent:
    """Read one event that arrives at an instance.

    Raises:
        ValueError: The text is not JSON, or not an event that can arrive; the message names the
            place.
    """
    return _message_decoder.decode(text)


def to_microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware moment: exact, and ordered as time is."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Aware UTC of whole microseconds since 1970."""
    return _EPOCH + microseconds * _MICROSECOND
