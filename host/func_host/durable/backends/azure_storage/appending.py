"""Appends events to the history of an instance, and knows it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from func_host.durable.backends.azure_storage.history_store import Append
from func_host.durable.backends.azure_storage.withholding import writable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from func_host.durable.backends.azure_storage.hot_instances import HotInstance
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.table_rows import Value
    from func_host.durable.history import HistoryEvent


@dataclass(slots=True, kw_only=True)
class HistoryWriting:
    """What is being written of an instance; what has to wait is left over.

    Args:
        instance_id: The instance.
        execution_id: The run that the events are of.
        message_ids: By the identity of an event, the queue message that it came in.
        is_continued: The events begin a run that follows another one, by continue-as-new.
        is_new_run: They replace what is stored.
        stored: What has been written, in the order in which it is stored.
        withheld: What must wait.
        more: Other columns of the fence.
        blobs: Where large values of what has been written lie.
    """

    instance_id: str
    execution_id: str
    message_ids: Mapping[int, str] = field(default_factory=dict[int, str])
    is_continued: bool = False
    is_new_run: bool = False
    stored: list[HistoryEvent] = field(default_factory=list["HistoryEvent"])
    withheld: list[HistoryEvent] = field(default_factory=list["HistoryEvent"])
    is_written: bool = False
    more: Mapping[str, Value] = field(default_factory=dict[str, "Value"])
    blobs: list[str] = field(default_factory=list[str])

    async def append(
        self,
        hub: Hub,
        hot: HotInstance,
        events: Sequence[HistoryEvent],
        *,
        is_ended: bool = False,
        is_left_open: bool = False,
    ) -> None:
        """Write what may be written of these events.

        Raises:
            StaleCommitError: Somebody else has written, or owns the instance by now.
        """
        parts = writable(events, is_ended=is_ended, carried=hot.carried)
        self.withheld = list(parts.withheld)
        if not parts.events:
            return
        is_first = self.is_new_run and not self.is_written
        ordinal = 0 if is_first else hot.next_ordinal
        hot.is_own = hot.is_own and not (is_first and hot.fence_etag is not None)
        is_left_open = is_left_open and not self.withheld and not is_ended
        is_continued = self.is_continued and is_first
        follows = None
        if is_continued:
            follows = hot.record.execution_id
        elif is_first and hot.fence_etag is not None:
            follows = ""
        hub.check_owned(self.instance_id)
        appended = await hub.histories.append(
            Append(
                instance_id=self.instance_id,
                execution_id=self.execution_id,
                events=parts.events,
                first_ordinal=ordinal,
                etag=hot.fence_etag,
                now=hub.clock.now(),
                message_ids={
                    place: self.message_ids[id(event)]
                    for place, event in enumerate(parts.events)
                    if id(event) in self.message_ids
                },
                is_continued=is_continued,
                is_left_open=is_left_open if is_left_open or hot.is_left_open else None,
                are_rows_new=hot.is_own,
                unconfirmed=hot.unconfirmed if hot.unconfirmed or hot.tells_consumed else None,
                follows=follows,
                more=self.more,
            )
        )
        hot.tells_consumed = bool(hot.unconfirmed)
        hot.fence_etag = appended.etag
        hot.is_left_open = is_left_open
        hot.next_ordinal = ordinal + len(parts.events)
        self.stored += appended.events
        self.blobs += appended.blobs
        self.is_written = True
