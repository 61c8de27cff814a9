"""Keeps the order of each sender: stamps on what is sent, buffers for what arrives too early.

A sender stamps each request to one entity with a stamp that grows and with the one before. The
receiver drops what it has had, and holds back what has a predecessor that has not come yet; after
the reorder window it waits no more. Rules and JSON are those of the extension's message sorter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from func_host.durable.engine.entities.messages import Request, Stamp, read_stamp, stamp_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLLECTED_EVERY: Final = 10 * 10_000_000
"""Stamps between two cleanings: ten seconds."""


_EARLIER_MAX: Final = 4
"""So many executions of a sender are remembered beside the one that has sent last."""


class ReceiveBuffer(msgspec.Struct, kw_only=True, omit_defaults=True, rename="pascal"):
    """What has come from one sender; `execution_id` is None where an entity sends.

    `earlier` is ours: the same of executions before it, so that a late request of theirs does not
    make the current one wait for what has been done.
    """

    last: str = ""
    execution_id: str | None = None
    buffered: dict[str, Request] = {}
    earlier: list[ReceiveBuffer] = []

    @property
    def last_stamp(self) -> Stamp:
        """Stamp of the request that was let through last."""
        return read_stamp(self.last) if self.last else 0


class SorterState(msgspec.Struct, kw_only=True, omit_defaults=True, rename="pascal"):
    """What an entity remembers of its senders and receivers."""

    last_sent_to_instance: dict[str, str] = {}
    received_from_instance: dict[str, ReceiveBuffer] = {}
    receive_horizon: str | None = None
    send_horizon: str | None = None


def next_stamp(
    state: SorterState, destination: str, now: Stamp, window: Stamp
) -> tuple[Stamp, Stamp]:
    """Give the stamp of the next request to an instance, and that of its predecessor."""
    if window <= 0:
        return 0, 0
    horizon = _read(state.send_horizon)
    if horizon + window + _COLLECTED_EVERY < now:
        horizon = now - window
        state.send_horizon = stamp_text(horizon)
        state.last_sent_to_instance = {
            one: last
            for one, last in state.last_sent_to_instance.items()
            if read_stamp(last) >= horizon
        }
    last = _read(state.last_sent_to_instance.get(destination))
    stamp = max(now, last + 1)
    state.last_sent_to_instance[destination] = stamp_text(stamp)
    return stamp, last


def in_order(state: SorterState, request: Request, window: Stamp) -> Iterator[Request]:
    """Let requests through whose turn it is, maybe none; requests of clients pass at once."""
    takes_part = request.parent is not None and not request.pos and request.due is None
    if window <= 0 or not takes_part:
        yield request
        return
    assert request.parent is not None
    stamp = read_stamp(request.timestamp)
    yield from _advance(state, stamp, window)
    horizon = _read(state.receive_horizon)
    if stamp < horizon:  # later than anybody waits for it
        yield request
        return
    buffer = state.received_from_instance.get(request.parent)
    if buffer is None:
        buffer = ReceiveBuffer(execution_id=request.parent_execution)
        state.received_from_instance[request.parent] = buffer
    elif buffer.execution_id != request.parent_execution:
        yield from _turn_to(buffer, request.parent_execution)
    if stamp <= buffer.last_stamp:  # it was sent twice
        return
    predecessor = read_stamp(request.predecessor)
    if predecessor > buffer.last_stamp and predecessor >= horizon:
        buffer.buffered[request.timestamp] = request
        return
    yield request
    buffer.last = request.timestamp
    yield from _let_through(buffer, horizon)


def _advance(state: SorterState, stamp: Stamp, window: Stamp) -> Iterator[Request]:
    """Move the horizon on: what waits for something older than it waits no more."""
    horizon = _read(state.receive_horizon)
    if horizon + window + _COLLECTED_EVERY >= stamp:
        return
    horizon = stamp - window
    state.receive_horizon = stamp_text(horizon)
    for sender, buffer in list(state.received_from_instance.items()):
        for one in (*buffer.earlier, buffer):
            if one.last_stamp < horizon:
                one.last = ""
            yield from _let_through(one, horizon)
        buffer.earlier = [one for one in buffer.earlier if one.last or one.buffered]
        if not (buffer.last or buffer.buffered or buffer.earlier):
            del state.received_from_instance[sender]


def _turn_to(buffer: ReceiveBuffer, execution_id: str | None) -> Iterator[Request]:
    """Go on with the order of another execution; nobody waits for the one forgotten for it."""
    known = next((one for one in buffer.earlier if one.execution_id == execution_id), None)
    left = [one for one in buffer.earlier if one is not known]
    if buffer.last or buffer.buffered:
        left.append(
            ReceiveBuffer(
                last=buffer.last, execution_id=buffer.execution_id, buffered=buffer.buffered
            )
        )
    found = known or ReceiveBuffer(execution_id=execution_id)
    buffer.last, buffer.buffered = found.last, found.buffered
    buffer.execution_id, buffer.earlier = execution_id, left[-_EARLIER_MAX:]
    for forgotten in left[:-_EARLIER_MAX]:
        yield from (forgotten.buffered[one] for one in sorted(forgotten.buffered, key=read_stamp))


def _let_through(buffer: ReceiveBuffer, horizon: Stamp) -> Iterator[Request]:
    while buffer.buffered:
        first = min(buffer.buffered, key=read_stamp)
        request = buffer.buffered[first]
        predecessor = read_stamp(request.predecessor)
        if predecessor > buffer.last_stamp and predecessor >= horizon:
            return
        del buffer.buffered[first]
        buffer.last = request.timestamp
        yield request


def _read(text: str | None) -> Stamp:
    return 0 if text is None else read_stamp(text)
