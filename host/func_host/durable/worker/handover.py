"""Hands activities and instances over to other hosts, where several share a hub.

A session is handed over while its own task works on it, so that no step of it overlaps: what is in
its draft has been committed, and its results wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from func_host.durable.worker.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from func_host.durable.backend import Backend, SharedActivity
    from func_host.durable.history import OrchestrationInstance
    from func_host.durable.worker.activities import ActivityDispatcher
    from func_host.durable.worker.entity_session import EntitySession
    from func_host.durable.worker.recording import ActivityCall
    from func_host.durable.worker.session import ActivityResult


class Handover:
    """Shares activities of this process.

    Args:
        backend: Where they are shared.
        activities: Those that wait and run here.
        deliver_shared: Takes the results of shared ones.
    """

    def __init__(
        self,
        backend: Backend,
        activities: ActivityDispatcher,
        deliver_shared: Callable[[SharedActivity, ActivityResult], None],
    ) -> None:
        self._backend = backend
        self._activities = activities
        self._deliver_shared = deliver_shared

    async def share_excess(self, session: Session) -> None:
        """Let others run what waits behind more than one activity for each slot here."""
        instance = session.committed_instance
        waiting = self._activities.take_waiting(instance, only_excess=True)
        await self._share(session, instance, waiting, ())

    async def carry_on(self, session: Session) -> None:
        """Let others see the activities that are in flight; they go on here."""
        instance = session.committed_instance
        running = self._activities.running_of(instance)
        await self._share(session, instance, (), running)

    async def release(self, session: Session | EntitySession) -> None:
        """Let go of an instance: what waits runs elsewhere, what runs ends here."""
        if session.is_loaded and isinstance(session, Session):
            instance = session.committed_instance
            waiting = self._activities.take_waiting(instance)
            running = self._activities.running_of(instance)
            await self._share(session, instance, waiting, running)
        await self._backend.release_instance(session.instance_id)

    async def leave(self, instance: OrchestrationInstance) -> None:
        """Let others run all that waits or runs: this process ends."""
        waiting = self._activities.take_waiting(instance)
        running = self._activities.running_of(instance)
        actions = [call.action for call in (*waiting, *running)]
        if actions:
            await self._backend.share_activities(instance.instance_id, waiting=actions)

    async def _share(
        self,
        session: Session,
        instance: OrchestrationInstance,
        waiting: Sequence[ActivityCall],
        running: Sequence[ActivityCall],
    ) -> None:
        if not waiting and not running:
            return
        try:
            kept = await self._backend.share_activities(
                instance.instance_id,
                waiting=[call.action for call in waiting],
                running=[call.action for call in running],
            )
        except BaseException:
            self._activities.dispatch(waiting)
            raise
        for activity in kept:
            if not self._activities.share(activity):  # it has ended meanwhile
                result = session.take_result(instance, activity.action.id)
                if result is not None:
                    self._deliver_shared(activity, result)
