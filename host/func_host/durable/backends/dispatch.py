"""Who gets work next: the part of a store that lives in memory, the same for every store.

It knows which instances have something new, in order of waiting, and hands each message out once.
Messages are cached until they are handed out, within a limit of bytes; beyond it, and after
`abandon` or a start, they are read back from the store. Delayed messages stay in the store: only
the time of the next one is kept here. No task runs in the background: whoever waits for work also
waits for that time.

Recovery walks the store by instance id, a page at a time. An instance that gets a message before
the walk has reached it is read back from the store, so that older messages come first, and is
skipped by the walk. When more instances are ready than may be remembered, further ones are left to
another such walk.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from func_host.durable.backend import (
    BackendUnavailableError,
    Message,
    MessageId,
    Release,
    WorkItem,
)
from func_host.durable.codec import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from func_host.clock import Clock

READY_MAX = 20_000
CACHED_BYTES_MAX = 16 * 1024 * 1024
PAGE_SIZE = 256
RECOVERY_PAGE_SIZE = 500
MESSAGE_OVERHEAD_BYTES = 500
WAIT_MAX_S = 600.0
"""How long one wait may be; after it the time of the next message is looked up again."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A stored message that its instance may see; `arrives_at` is in microseconds."""

    arrives_at: int
    instance_id: str
    message: Message
    size: int = 0

    @property
    def position(self) -> tuple[int, int]:
        """Where it stands in the order of arrival."""
        return (self.arrives_at, self.message.id)


class MessageSource(Protocol):
    """What is read back from the store; only what is durable may be given."""

    def waiting(
        self, instance_id: str, *, until: int, known: Collection[MessageId], limit: int
    ) -> Sequence[Arrival]:
        """Give messages of an instance visible at `until`, in order, less those known."""
        ...

    def due(self, *, after: tuple[int, int], until: int, limit: int) -> Sequence[Arrival]:
        """Give delayed messages of all instances with a position in this range, in order."""
        ...

    def next_due(self, *, after: tuple[int, int]) -> int | None:
        """Tell when the first delayed message beyond this position becomes visible."""
        ...

    def has_open_activities(self, instance_id: str) -> bool:
        """Tell whether the instance has not ended and has activities in flight."""
        ...

    async def recoverable(self, *, after: str, limit: int) -> Sequence[str]:
        """Give ids beyond this one, in order, that have undelayed messages or open activities."""
        ...


@dataclass(slots=True)
class _Mailbox:
    waiting: dict[MessageId, Arrival] = field(default_factory=dict[MessageId, Arrival])
    delivered: set[MessageId] = field(default_factory=set[MessageId])
    is_stale: bool = False  # what waits must be read back from the store
    is_reopened: bool = False  # comes even without messages where activities were left open
    is_replaced: bool = False  # what was delivered before is void
    release: Release | None = None  # what the worker is asked to hand over

    @property
    def is_empty(self) -> bool:
        is_marked = self.is_stale or self.is_reopened or self.is_replaced or self.release
        return not (self.waiting or self.delivered or is_marked)


class Dispatcher:
    """Hands out work items; told by its store about everything that has become durable."""

    def __init__(self, clock: Clock, source: MessageSource) -> None:
        self._clock = clock
        self._source = source
        self._mailboxes: dict[str, _Mailbox] = {}
        self._ready: OrderedDict[str, None] = OrderedDict()
        self.cached_bytes = 0  # of messages that wait, by their encoded size
        self._scanned: tuple[int, int] = (-1, -1)
        self._next_due: int | None = None
        self._walked: str | None = ""  # how far the walk has come; None where there is none
        self._is_first_walk = True
        self._has_missed = False  # instances were left to the next walk
        self._recovering: set[str] = set()
        self._overtook_walk: set[str] = set()
        self._walking = asyncio.Lock()
        self._bell = asyncio.Event()
        self._is_closed = False

    @property
    def remembered(self) -> int:
        """How many instances it has in mind: ready ones, and those that are being worked on."""
        return len(self._mailboxes)

    async def open(self) -> None:
        """Find the next delayed message and the first instances to recover."""
        self._next_due = self._source.next_due(after=self._scanned)
        await self._recover()

    def close(self) -> None:
        """Hand out nothing any more; whoever waits gets an error."""
        self._is_closed = True
        self._bell.set()

    def arrived(self, arrival: Arrival) -> None:
        """Note a durable message that is visible now."""
        if arrival.instance_id in self._mailboxes or len(self._ready) < READY_MAX:
            self._remember(arrival)
        else:
            self._has_missed = True

    def delayed(self, visible_at: int, message_id: MessageId) -> None:
        """Note a durable message that becomes visible later."""
        if (visible_at, message_id) <= self._scanned:  # the clock went back
            self._scanned = (visible_at, message_id - 1)
        if self._next_due is None or visible_at < self._next_due:
            self._next_due = visible_at
            self._bell.set()

    def consumed(self, instance_id: str, message_ids: Iterable[MessageId]) -> None:
        """Note that these messages are durably gone."""
        box = self._mailboxes.get(instance_id)
        if box is None:
            return
        for message_id in message_ids:
            box.delivered.discard(message_id)
            self._uncache(box, message_id)
        self._tidy(instance_id, box)

    def forget(self, instance_id: str, *, keep: Collection[MessageId] = ()) -> None:
        """Note that all messages of this instance but some are durably gone."""
        box = self._mailboxes.get(instance_id)
        if box is None:
            return
        for message_id in [one for one in box.waiting if one not in keep]:
            self._uncache(box, message_id)
        box.delivered.intersection_update(keep)
        if not keep:
            box.is_stale = box.is_reopened = False
        self._tidy(instance_id, box)

    def replaced(self, instance_id: str) -> None:
        """Note that a new instance has durably taken the place of this one and all its messages."""
        box = self._mailboxes.get(instance_id)
        if box is not None and box.delivered:
            box.is_replaced = True
        self.forget(instance_id)

    def abandon(self, instance_id: str) -> None:
        """Hand out again what is unconsumed, or that activities are left open."""
        box = self._open_box(instance_id)
        box.delivered.clear()
        box.is_replaced = False
        self._drop_cache(box)
        box.is_stale = box.is_reopened = True
        self._enqueue(instance_id)

    def ask_release(self, instance_id: str, release: Release) -> None:
        """Ask the worker to hand over what it has of an instance."""
        box = self._open_box(instance_id)
        if box.release is not Release.INSTANCE:
            box.release = release
        self._enqueue(instance_id)

    def is_with_worker(self, instance_id: str) -> bool:
        """Tell whether messages of an instance have been handed out and not been consumed."""
        box = self._mailboxes.get(instance_id)
        return box is not None and bool(box.delivered)

    def leave(self, instance_id: str) -> None:
        """Forget an instance: it is another process's from now on."""
        box = self._mailboxes.pop(instance_id, None)
        if box is not None:
            self._drop_cache(box)
        self._ready.pop(instance_id, None)
        self._recovering.discard(instance_id)

    async def next(self) -> WorkItem:
        """Wait for the instance that has waited longest."""
        while True:
            if self._is_closed:
                raise BackendUnavailableError("The store is closed.")
            await self._recover()
            item = self._take()
            if item is not None:
                return item
            if not self._begin_walk():
                await self._wait()

    def _take(self) -> WorkItem | None:
        now = to_microseconds(self._clock.now())
        self._collect_due(now)
        while self._ready:
            item = self._hand_out(next(iter(self._ready)), now)
            if item is not None:
                return item
        self._bell.clear()
        return None

    def _hand_out(self, instance_id: str, now: int) -> WorkItem | None:
        box = self._mailboxes[instance_id]
        if box.is_stale:
            self._read_back(instance_id, box, now)
        is_reopened = box.is_reopened and (
            bool(box.waiting) or self._source.has_open_activities(instance_id)
        )
        del self._ready[instance_id]
        self._recovering.discard(instance_id)
        arrivals = sorted(box.waiting.values(), key=lambda arrival: arrival.position)
        self._drop_cache(box)
        box.delivered.update(arrival.message.id for arrival in arrivals)
        box.is_reopened = False
        if box.is_stale:
            self._enqueue(instance_id)
        release, box.release = box.release, None
        if not arrivals and not is_reopened and release is None:
            self._tidy(instance_id, box)
            return None
        is_replaced, box.is_replaced = box.is_replaced, False
        self._tidy(instance_id, box)
        messages = tuple(arrival.message for arrival in arrivals)
        return WorkItem(instance_id, messages, is_replaced, release)

    def _read_back(self, instance_id: str, box: _Mailbox, now: int) -> None:
        arrivals = self._source.waiting(
            instance_id, until=now, known=box.delivered, limit=PAGE_SIZE
        )
        self._drop_cache(box)
        for arrival in arrivals:
            box.waiting[arrival.message.id] = arrival
            self.cached_bytes += arrival.size + MESSAGE_OVERHEAD_BYTES
        box.is_stale = len(arrivals) == PAGE_SIZE

    def _collect_due(self, now: int) -> None:
        if self._next_due is None or self._next_due > now or len(self._ready) >= READY_MAX:
            return
        arrivals = self._source.due(after=self._scanned, until=now, limit=PAGE_SIZE)
        if arrivals:
            self._scanned = arrivals[-1].position
        if len(arrivals) < PAGE_SIZE:
            self._next_due = self._source.next_due(after=self._scanned)
        for arrival in arrivals:
            self._remember(arrival)

    async def _recover(self) -> None:
        """Walk on, once what the walk found last has been handed out."""
        while not self._recovering and self._begin_walk():
            async with self._walking:
                if self._walked is None or self._recovering:  # another worker was quicker
                    continue
                page = await self._source.recoverable(after=self._walked, limit=RECOVERY_PAGE_SIZE)
                self._walked = page[-1] if len(page) == RECOVERY_PAGE_SIZE else None
                self._recover_page(page)

    def _begin_walk(self) -> bool:
        """Tell whether there is a walk to go on with, maybe a new one for what was missed."""
        if self._walked is None and self._has_missed and len(self._ready) < READY_MAX // 2:
            self._walked = ""
            self._has_missed = False
        return self._walked is not None

    def _recover_page(self, page: Sequence[str]) -> None:
        for instance_id in page:
            if instance_id in self._overtook_walk:
                continue
            box = self._mailboxes.setdefault(instance_id, _Mailbox())
            box.is_stale = True
            box.is_reopened |= self._is_first_walk
            self._recovering.add(instance_id)
            self._enqueue(instance_id)
        if self._walked is None:
            self._overtook_walk.clear()
            self._is_first_walk = False

    def _remember(self, arrival: Arrival) -> None:
        box = self._open_box(arrival.instance_id)
        if not box.is_stale:
            if arrival.message.id in box.delivered:
                return
            self._cache(box, arrival)
        self._enqueue(arrival.instance_id)

    def _open_box(self, instance_id: str) -> _Mailbox:
        """Give the mailbox of an instance; one that may have missed something is stale."""
        box = self._mailboxes.get(instance_id)
        if box is None:
            box = self._mailboxes[instance_id] = _Mailbox(is_stale=self._has_missed)
        if self._overtakes_walk(instance_id):
            box.is_stale = True
            box.is_reopened |= self._is_first_walk
        return box

    def _overtakes_walk(self, instance_id: str) -> bool:
        """Tell whether this is the first sign of an instance that the walk has yet to reach."""
        if self._walked is None or instance_id <= self._walked:
            return False
        if instance_id in self._overtook_walk:
            return False
        self._overtook_walk.add(instance_id)
        return True

    async def _wait(self) -> None:
        due = self._next_due
        if due is None:
            await self._bell.wait()
            return
        delay_s = max(due - to_microseconds(self._clock.now()), 1) / 1_000_000
        async with asyncio.TaskGroup() as group:
            alarm = group.create_task(self._ring_after(min(delay_s, WAIT_MAX_S)))
            await self._bell.wait()
            alarm.cancel()

    async def _ring_after(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._bell.set()

    def _enqueue(self, instance_id: str) -> None:
        self._ready.setdefault(instance_id)
        self._bell.set()

    def _cache(self, box: _Mailbox, arrival: Arrival) -> None:
        size = arrival.size + MESSAGE_OVERHEAD_BYTES
        if self.cached_bytes + size > CACHED_BYTES_MAX:
            self._drop_cache(box)
            box.is_stale = True
        elif arrival.message.id not in box.waiting:
            box.waiting[arrival.message.id] = arrival
            self.cached_bytes += size

    def _uncache(self, box: _Mailbox, message_id: MessageId) -> None:
        arrival = box.waiting.pop(message_id, None)
        if arrival is not None:
            self.cached_bytes -= arrival.size + MESSAGE_OVERHEAD_BYTES

    def _drop_cache(self, box: _Mailbox) -> None:
        for message_id in list(box.waiting):
            self._uncache(box, message_id)

    def _tidy(self, instance_id: str, box: _Mailbox) -> None:
        if box.is_empty:
            del self._mailboxes[instance_id]
            self._ready.pop(instance_id, None)
            self._recovering.discard(instance_id)
