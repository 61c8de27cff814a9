"""Serves the partitions of this host: reads their queues, hands them over, or loses them.

acquired ─▶ its queue is read
draining ─▶ it is read no more; each instance with something in flight is handed over by the
            worker, the others here; then it is given back
lost     ─▶ all that is in memory of it is void, at once
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from func_host.durable.backend import BackendError, Release
from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS
from func_host.log import PARTITION, REASON

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from func_host.durable.backends.azure_storage.arrivals import Arrivals
    from func_host.durable.backends.azure_storage.hub import Hub
    from func_host.durable.backends.azure_storage.sharing import Sharing
    from func_host.durable.backends.completion import Completions

_AT_ONCE: Final = 16
logger = logging.getLogger(__name__)


class Serving:
    """Told of what happens to the partitions of this host, on the main loop.

    Args:
        hub: The hub.
        arrivals: Reads the queues.
        sharing: Hands instances over.
        completions: Who waits for ends; they look again when an owner changes.
    """

    def __init__(
        self, hub: Hub, arrivals: Arrivals, sharing: Sharing, completions: Completions
    ) -> None:
        self._hub = hub
        self._arrivals = arrivals
        self._sharing = sharing
        self._completions = completions
        self._finish_drain: Callable[[int], None] = _nobody_drains
        self._is_given_back: Callable[[int], bool] = _nobody_knows
        self._polls: dict[int, asyncio.Task[None]] = {}
        self._drains: dict[int, asyncio.Task[None]] = {}
        self._leaving: dict[int, set[str]] = {}
        self._has_left = asyncio.Event()
        self._is_reading = False
        self._is_closing = False

    def on_taking(self, is_given_back: Callable[[int], bool]) -> None:
        """Say who knows whether the one that had a partition before gave it back in order."""
        self._is_given_back = is_given_back

    def on_drained(self, finish_drain: Callable[[int], None]) -> None:
        """Say whom to tell that nothing of a partition is in flight any more."""
        self._finish_drain = finish_drain

    async def start_reading(self) -> None:
        """Take what waits in the partitions that are served by now, and read on from then on."""
        served = sorted(self._hub.ownership.served)
        await asyncio.gather(*map(self._arrivals.ask_whether_empty, served))
        await asyncio.gather(*map(self._take_all, served))
        self._is_reading = True
        for partition in self._hub.ownership.served:
            self._read(partition)

    async def _take_all(self, partition: int) -> None:
        while await self._arrivals.take(partition):
            if self._arrivals.is_full:
                return

    async def close(self) -> None:
        """Read no more, and give back all that is held."""
        self._is_closing = True
        tasks = [*self._polls.values(), *self._drains.values()]
        for task in self._drains.values():
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for partition in self._hub.ownership.served:
            await self._show_held_back(partition)
        for instance_id in self._hub.inbox.instances() | set(self._hub.known.ids()):
            async with self._hub.alone(instance_id):
                await self._let_go(instance_id)
        for partition in self._drains:  # nobody else will say so any more
            self._finish_drain(partition)

    async def aborted(self) -> None:
        """Wait until what read has ended."""
        tasks = [*self._polls.values(), *self._drains.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # What happens

    def partition_acquired(self, partition: int) -> None:
        """Serve it from now on."""
        self._hub.ownership.begin(partition)
        self._hub.order.begin(partition, is_given_back=self._is_given_back(partition))
        self._completions.look_again()
        if self._is_reading:
            self._read(partition)

    def partition_draining(self, partition: int) -> None:
        """Hand over what is in flight, then give it back."""
        self._hub.ownership.end(partition)
        self._arrivals.ring(partition)
        self._end_drain(partition)
        self._drains[partition] = self._spawn(self._drain(partition))

    def partition_lost(self, partition: int) -> None:
        """Forget all of it."""
        hub = self._hub
        hub.ownership.end(partition)
        self._arrivals.ring(partition)
        self._end_drain(partition)
        hub.order.end(partition)
        for instance_id in self._instances(partition):
            hub.forget(instance_id)
        self._completions.look_again()

    def _end_drain(self, partition: int) -> None:
        drain = self._drains.pop(partition, None)
        if drain is not None:
            drain.cancel()
        self._leaving.pop(partition, None)

    def _read(self, partition: int) -> None:
        if not self._is_closing and not self._hub.is_stopping:
            before = self._polls.get(partition)
            self._polls[partition] = self._spawn(self._poll_after(before, partition))

    async def _poll_after(self, before: asyncio.Task[None] | None, partition: int) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        await self._arrivals.poll(partition)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        task.add_done_callback(_tell_if_failed)
        return task

    def _instances(self, partition: int) -> list[str]:
        ids = self._hub.inbox.instances() | set(self._hub.known.ids())
        return self._hub.ownership.among(ids, partition)

    # Handing over

    async def _drain(self, partition: int) -> None:
        if self._is_closing:
            self._finish_drain(partition)
            return
        poll = self._polls.get(partition)
        if poll is not None:
            await asyncio.wait([poll])
        await self._show_held_back(partition)
        leaving = self._leaving[partition] = set[str]()
        present = self._instances(partition)
        for instance_id in [one for one in present if self._is_in_flight(one)]:
            self._ask_release(instance_id, leaving)
        for instance_id in [one for one in present if one not in leaving]:
            async with self._hub.alone(instance_id):
                if self._is_in_flight(instance_id):  # the worker has taken it up meanwhile
                    self._ask_release(instance_id, leaving)
                else:
                    await self._let_go(instance_id)
        while leaving:
            self._has_left.clear()
            await self._has_left.wait()
        logger.info("partition drained", extra={PARTITION: partition})
        self._leaving.pop(partition, None)
        self._finish_drain(partition)

    async def _show_held_back(self, partition: int) -> None:
        """Let others have what was held back here; what fails shows up by itself."""
        held = self._hub.order.end(partition)
        for first in range(0, len(held), _AT_ONCE):
            some = held[first : first + _AT_ONCE]
            shown = [self._hub.queues.hide(one.ticket, invisible_s=0) for one in some]
            await asyncio.gather(*shown, return_exceptions=True)

    def _ask_release(self, instance_id: str, leaving: set[str]) -> None:
        leaving.add(instance_id)
        self._hub.dispatcher.ask_release(instance_id, Release.INSTANCE)

    def _is_in_flight(self, instance_id: str) -> bool:
        """Tell whether the worker may be about to change an instance."""
        return self._hub.inbox.has_open_activities(
            instance_id
        ) or self._hub.dispatcher.is_with_worker(instance_id)

    async def release(self, instance_id: str) -> None:
        """Let go of an instance of which nothing is in flight here any more."""
        leaving = self._leaving.get(self._hub.ownership.partition_of(instance_id))
        if leaving is None or instance_id not in leaving:
            return
        async with self._hub.alone(instance_id):
            await self._let_go(instance_id)
        leaving.discard(instance_id)
        self._has_left.set()

    async def _let_go(self, instance_id: str) -> None:
        try:
            await self._sharing.let_go(instance_id)
        except (BackendError, *STORAGE_ERRORS) as error:
            # What is hidden shows up again by itself.
            logger.warning("an instance was not handed over", extra={REASON: str(error)})
            self._hub.forget(instance_id)


def _nobody_drains(_partition: int) -> None:
    """Nothing is drained before there is somebody to tell."""


def _nobody_knows(_partition: int) -> bool:
    """Nobody has given anything back, as far as anybody knows."""
    return False


def _tell_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("the reading of a partition failed", exc_info=task.exception())
