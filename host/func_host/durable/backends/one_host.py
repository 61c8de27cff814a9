"""What a store says of other hosts when there are none: one process owns everything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from func_host.durable.actions import ScheduleTask
    from func_host.durable.backend import SharedActivity
    from func_host.durable.history import TaskCompleted, TaskFailed


class OneHost:
    """The part of a `Backend` that hosts need to share a hub, for a hub that only one uses."""

    @property
    def has_peers(self) -> bool:
        """There are none."""
        return False

    def owns(self, instance_id: str) -> bool:  # noqa: ARG002 -- the protocol's name
        """Own every instance."""
        return True

    async def share_activities(
        self,
        instance_id: str,
        *,
        waiting: Sequence[ScheduleTask] = (),
        running: Sequence[ScheduleTask] = (),
    ) -> Sequence[SharedActivity]:
        """Be never asked: there is nobody to share with."""
        raise NotImplementedError(instance_id, waiting, running)

    async def release_instance(self, instance_id: str) -> None:
        """Be never asked: there is nobody to take it."""
        raise NotImplementedError(instance_id)

    async def next_activity(self) -> SharedActivity:
        """Wait for ever: nobody shares any."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def complete_activity(
        self, activity: SharedActivity, result: TaskCompleted | TaskFailed
    ) -> None:
        """Be never asked: no activity is shared."""
        raise NotImplementedError(activity, result)
