"""Hosts that share a hub in memory: each has a store of its own, and activities lie in one pool."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from func_host.durable.backend import SharedActivity
from func_host.durable.history import OrchestrationInstance
from tests.host.durable.worker.world import WatchedBackend, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.clock import Clock
    from func_host.durable.actions import ScheduleTask
    from func_host.durable.backend import BackendFeatures, Release, StoredInstance
    from func_host.durable.backends.memory import MemoryStore
    from func_host.durable.history import TaskCompleted, TaskFailed


@dataclass
class Pool:
    """The activities that hosts share, and where their instances are at home."""

    waiting: asyncio.Queue[SharedActivity] = field(default_factory=asyncio.Queue[SharedActivity])
    homes: dict[str, SharingBackend] = field(default_factory=dict[str, "SharingBackend"])


class SharingBackend(WatchedBackend):
    """A store whose activities other hosts can run; it may disown instances, or fail to share."""

    def __init__(self, store: MemoryStore, clock: Clock, pool: Pool) -> None:
        super().__init__(store, clock)
        self._pool = pool
        self.peers = True
        self.disowned: set[str] = set()
        self.shared: list[tuple[str, list[int], list[int]]] = []
        self.released: list[str] = []
        self.completed: list[int] = []
        self.share_gate: asyncio.Event | None = None
        self.abandoned: list[str] = []
        self._carried: dict[str, set[int]] = defaultdict(set)

    @property
    def features(self) -> BackendFeatures:
        return replace(super().features, shares_activities=True)

    @property
    def has_peers(self) -> bool:
        return self.peers

    def owns(self, instance_id: str) -> bool:
        return instance_id not in self.disowned

    async def abandon(self, instance_id: str) -> None:
        self.abandoned.append(instance_id)
        await super().abandon(instance_id)

    def ask_release(self, instance_id: str, release: Release) -> None:
        self._dispatcher.ask_release(instance_id, release)

    async def load(self, instance_id: str) -> StoredInstance | None:
        stored: StoredInstance | None = await super().load(instance_id)
        if stored is None:
            return None
        return replace(stored, carried=frozenset(self._carried[instance_id]))

    async def share_activities(
        self,
        instance_id: str,
        *,
        waiting: Sequence[ScheduleTask] = (),
        running: Sequence[ScheduleTask] = (),
    ) -> Sequence[SharedActivity]:
        if self.share_gate is not None:
            await self.share_gate.wait()
        self._fail(self.fails_before, "share")
        record = await self.get_instance(instance_id)
        assert record is not None
        instance = OrchestrationInstance(instance_id, record.execution_id)
        self._pool.homes[instance_id] = self
        self._carried[instance_id].update(action.id for action in (*waiting, *running))
        self.shared.append(
            (instance_id, [each.id for each in waiting], [each.id for each in running])
        )
        for action in waiting:
            self._pool.waiting.put_nowait(SharedActivity(instance, action, "put"))
        return [SharedActivity(instance, action, "held") for action in running]

    async def release_instance(self, instance_id: str) -> None:
        self.released.append(instance_id)

    async def next_activity(self) -> SharedActivity:
        return await self._pool.waiting.get()

    async def complete_activity(
        self, activity: SharedActivity, result: TaskCompleted | TaskFailed
    ) -> None:
        self._fail(self.fails_before, "complete")
        self.completed.append(activity.action.id)
        home = self._pool.homes[activity.instance.instance_id]
        await home.send_message(activity.instance.instance_id, result)


@dataclass
class SharingWorld(World):
    """A host among others; those with the same pool share activities."""

    pool: Pool = field(default_factory=Pool)

    def make_backend(self) -> SharingBackend:
        self.hub = SharingBackend(self.store, self.clock, self.pool)
        return self.hub

    async def offer(self, activity: SharedActivity) -> None:
        """Put an activity into the pool, as another host does."""
        self.pool.waiting.put_nowait(activity)
        await self.settle()
