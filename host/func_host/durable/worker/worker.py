"""The worker: takes work items, feeds sessions, commits, and lets activities run.

    next_work_item ──▶ session.advance ──▶ backend.commit ──▶ dispatch activities
                           ▲                                        │
                           └──────────── results, in memory ◀───────┘

Where hosts share a hub, activities are handed over with `Handover`, and those that other hosts have
shared are run, too.

Each session is processed by one task at a time, so a step of an instance never overlaps another.
After a fault of the store, or a commit that came too late, the session is dropped and the store
asked to hand out again what is unconsumed: what is stored decides, not what is in memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from itertools import count, islice
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from func_host import log
from func_host.durable.backend import (
    BackendError,
    BackendUnavailableError,
    Release,
    StaleCommitError,
)
from func_host.durable.engine.entities.messages import is_entity
from func_host.durable.worker.activities import ActivityDispatcher
from func_host.durable.worker.entities import EntityRunner
from func_host.durable.worker.entity_session import EntitySession
from func_host.durable.worker.handover import Handover
from func_host.durable.worker.lock_watch import LockWatch
from func_host.durable.worker.recording import Advance
from func_host.durable.worker.session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from func_host.clock import Clock, IdSource
    from func_host.durable.backend import Backend, SharedActivity
    from func_host.durable.entity_executor import EntityExecutor
    from func_host.durable.executor import Executor
    from func_host.durable.history import OrchestrationInstance
    from func_host.durable.worker.activities import ActivityCatalog
    from func_host.durable.worker.session import ActivityResult
    from func_host.durable.worker.settings import WorkerSettings
    from func_host.invocation.invoker import Invoker

T = TypeVar("T")
RESTING_MAX: Final = 10_000
"""How many instances may run operations, or wait for their next try, before no more are taken."""

AnySession: TypeAlias = "Session | EntitySession"

logger = logging.getLogger(__name__)


class DurableWorker:
    """Runs the orchestrations and activities of one app over one task hub."""

    def __init__(
        self,
        *,
        backend: Backend,
        executor: Executor,
        entities: EntityExecutor,
        catalog: ActivityCatalog,
        invoker: Invoker,
        clock: Clock,
        ids: IdSource,
        settings: WorkerSettings,
    ) -> None:
        """Work for an opened backend."""
        self._backend = backend
        self._executor = executor
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._activities = ActivityDispatcher(
            catalog,
            invoker,
            clock,
            slots=settings.max_concurrent_activities,
            may_start=backend.owns,
            refused=self._refused,
            deliver=self._deliver,
            deliver_shared=self._deliver_shared,
        )
        self._handover = Handover(backend, self._activities, self._deliver_shared)
        self._entities = EntityRunner(
            backend, entities, clock, max_concurrent=settings.max_concurrent_entities
        )
        self._locks = LockWatch(backend, clock)
        self._has_room = asyncio.Event()
        self._unsent = 0  # results of shared activities that are on their way
        self._sessions: OrderedDict[str, AnySession] = OrderedDict()
        self._processing: set[str] = set()
        self._resting = 0
        self._waiting: OrderedDict[str, AnySession] = OrderedDict()
        self._lingering: deque[tuple[float, Session]] = deque()
        self._has_lingering = asyncio.Event()
        self._slot_is_free = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_draining = False
        self._tasks: asyncio.TaskGroup | None = None
        self._receiver: asyncio.Task[None] | None = None
        self._activity_receiver: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Work until cancelled; what is in memory is dropped then, what is stored goes on later."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._receiver = tasks.create_task(self._receive())
                tasks.create_task(self._locks.run())
                if self._backend.features.shares_activities:
                    self._activity_receiver = tasks.create_task(self._receive_activities())
                try:
                    await self._flush_lingering()
                finally:
                    self._tasks = None  # what is cancelled now must not begin anything new
        finally:
            for session in self._sessions.values():
                session.discard()
            self._sessions.clear()

    async def drain(self) -> None:
        """Take no new work, let running activities end and commit their results.

        Returns when nothing runs any more; the caller sets the deadline by cancelling `run`.
        """
        self._is_draining = True
        for receiver in (self._receiver, self._activity_receiver):
            if receiver is not None:
                receiver.cancel()
        self._activities.stop(self._note_idle)
        self._note_idle()
        await self._is_idle.wait()

    async def release(self) -> None:
        """After a drain: let other hosts run the activities that have not ended or not started."""
        if not self._backend.features.shares_activities:
            return
        for instance in self._activities.instances():
            if instance.instance_id in self._processing:
                continue
            try:
                await self._handover.leave(instance)
            except BackendError as error:
                # It runs again once whoever takes over has missed its result.
                extra = {log.INSTANCE_ID: instance.instance_id, log.REASON: str(error)}
                logger.warning("activities were not handed over", extra=extra)

    def _note_idle(self) -> None:
        busy = self._activities.running or self._processing or self._waiting or self._lingering
        busy = busy or self._unsent
        if self._is_draining and not busy:
            self._is_idle.set()

    # What arrives

    async def _receive(self) -> None:
        while True:
            while not self._has_slot:
                self._slot_is_free.clear()
                await self._slot_is_free.wait()
            item = await self._insistently("ask for work", self._backend.next_work_item)
            session = self._session(item.instance_id)
            session.receive(item.messages, is_replaced=item.is_replaced)
            session.ask_release(item.release)
            session.is_reopened |= not item.messages and item.release is None
            self._wake(session)

    async def _receive_activities(self) -> None:
        while True:
            while not self._activities.has_room:
                self._has_room.clear()
                await self._has_room.wait()
            activity = await self._insistently("ask for activities", self._backend.next_activity)
            self._activities.run_shared(activity)

    def _deliver_shared(self, activity: SharedActivity, result: ActivityResult) -> None:
        self._has_room.set()
        if self._tasks is not None:
            self._unsent += 1
            self._tasks.create_task(self._complete(activity, result))

    async def _complete(self, activity: SharedActivity, result: ActivityResult) -> None:
        try:
            await self._insistently(
                "complete an activity", lambda: self._backend.complete_activity(activity, result)
            )
        except BackendError as error:
            # It shows up again for some host, once nobody holds it any more.
            logger.warning("an activity could not be completed", extra={log.REASON: str(error)})
        finally:
            self._unsent -= 1
            self._note_idle()

    def _deliver(self, instance: OrchestrationInstance, result: ActivityResult) -> None:
        self._has_room.set()
        session = self._session(instance.instance_id)
        assert isinstance(session, Session)
        session.receive_result(instance, result)
        self._wake(session)

    def _refused(self, instance: OrchestrationInstance) -> None:
        """Take an instance up anew whose activity may not start: nobody would start it later."""
        session = self._sessions.get(instance.instance_id)
        if session is not None:
            session.is_void = True
            self._wake(session)

    def _session(self, instance_id: str) -> AnySession:
        session = self._sessions.get(instance_id)
        if session is None:
            session = self._sessions[instance_id] = self._new_session(instance_id)
        else:
            self._sessions.move_to_end(instance_id)
        return session

    def _new_session(self, instance_id: str) -> AnySession:
        if not is_entity(instance_id):
            return Session(instance_id, self._executor, self._ids)
        settings = self._settings
        keeps_order = self._backend.features.keeps_order
        return EntitySession(
            instance_id,
            self._ids,
            window=0 if keeps_order else int(settings.entity_reorder_window_s * 10_000_000),
            batch_max=settings.entity_batch_max,
            default_version=self._executor.default_version,
        )

    # Who is processed, and when

    @property
    def _has_slot(self) -> bool:
        busy = len(self._processing) - self._resting
        return busy < self._settings.max_concurrent_orchestrators and self._resting < RESTING_MAX

    def _wake(self, session: AnySession) -> None:
        if session.instance_id in self._processing or self._tasks is None:
            return
        if not self._has_slot:
            self._waiting[session.instance_id] = session
            return
        self._waiting.pop(session.instance_id, None)
        self._processing.add(session.instance_id)
        self._tasks.create_task(self._process(session))

    def _processed(self, session: AnySession) -> None:
        self._processing.discard(session.instance_id)
        # An entity begins no batch while draining: what has arrived at it stays stored.
        is_left = self._is_draining and isinstance(session, EntitySession)
        if not is_left and (session.has_work or session.is_void or session.is_reopened):
            # It came while the session was given up.
            self._waiting[session.instance_id] = session
        elif session.is_idle and not session.is_loaded and not session.failures:
            self._sessions.pop(session.instance_id, None)
        self._trim()
        self._give_slot()
        self._note_idle()

    def _give_slot(self) -> None:
        if self._waiting:
            self._wake(next(iter(self._waiting.values())))
        self._slot_is_free.set()

    def _trim(self) -> None:
        """Drop the orchestrators that have been idle for longest, beyond the size of the cache."""
        excess = len(self._sessions) - self._settings.session_cache_size
        oldest = list(islice(self._sessions.values(), max(0, excess)))
        for session in oldest:
            is_busy = (
                session.instance_id in self._processing or session.instance_id in self._waiting
            )
            if session.is_idle and not is_busy:
                session.evict()
                del self._sessions[session.instance_id]

    async def _flush_lingering(self) -> None:
        """Commit what was put off once its time has come."""
        while True:
            while not self._lingering:
                self._has_lingering.clear()
                await self._has_lingering.wait()
            due, session = self._lingering[0]
            await self._clock.sleep(due - self._clock.monotonic())
            self._lingering.popleft()
            session.is_lingering = False
            if session.has_draft:
                session.is_due = True
                self._wake(session)
            self._note_idle()

    def _linger(self, session: Session) -> None:
        if not session.is_lingering:
            session.is_lingering = True
            due = self._clock.monotonic() + self._settings.result_commit_delay_s
            self._lingering.append((due, session))
            self._has_lingering.set()

    # One session

    async def _process(self, session: AnySession) -> None:
        try:
            with log.bind_log_fields(**{log.INSTANCE_ID: session.instance_id}):
                if isinstance(session, EntitySession):
                    await self._work_off_entity(session)
                else:
                    await self._work_off(session)
        except StaleCommitError:
            logger.info("commit came too late", extra={log.INSTANCE_ID: session.instance_id})
            session.failures += 1
            is_first = session.failures == 1
            await self._give_up(
                session, delay_s=0.0 if is_first else self._retry_delay_s(session.failures)
            )
        except asyncio.CancelledError as error:
            if self._tasks is None:
                raise
            # The worker goes on: user code has got hold of this task and cancelled it.
            _uncancel()
            await self._take_up_again(session, error)
        except Exception as error:  # noqa: BLE001 -- a fault of one session must not end the others
            await self._take_up_again(session, error)
        finally:
            self._processed(session)

    async def _take_up_again(self, session: AnySession, error: BaseException) -> None:
        session.failures += 1
        delay_s = self._retry_delay_s(session.failures)
        logger.warning(
            "instance could not be advanced and is taken up again",
            exc_info=None if isinstance(error, BackendError) else error,
            extra={
                log.INSTANCE_ID: session.instance_id,
                log.REASON: str(error) or type(error).__name__,
                log.DELAY_S: delay_s,
            },
        )
        await self._give_up(session, delay_s=delay_s)

    def _retry_delay_s(self, failures: int) -> float:
        settings = self._settings
        delay_s: float = settings.retry_delay_s * 2.0 ** min(failures - 1, 16)
        return min(delay_s, settings.retry_delay_max_s) * (0.5 + self._ids.jitter())

    async def _give_up(self, session: AnySession, *, delay_s: float) -> None:
        session.discard()
        self._resting += 1  # it needs no slot: instances that fail must not keep others from theirs
        self._give_slot()
        try:
            await self._clock.sleep(delay_s)
        finally:
            self._resting -= 1
        session.mailbox.clear()
        session.evict()
        self._locks.forget(session.instance_id)
        await self._insistently("abandon", lambda: self._backend.abandon(session.instance_id))

    async def _insistently(self, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the store again and again until it answers."""
        for failures in count(1):
            try:
                return await ask()
            except BackendUnavailableError as error:
                delay_s = self._retry_delay_s(failures)
                extra = {log.REASON: f"{what}: {error}", log.DELAY_S: delay_s}
                logger.warning("the store does not answer", extra=extra)
                await self._clock.sleep(delay_s)
        raise AssertionError("counting never ends")

    async def _work_off(self, session: Session) -> None:
        """Load, feed and commit until nothing more has arrived."""
        while True:
            self._see_that_it_holds(session)
            if not session.is_loaded:
                advance = await self._load(session)
            elif session.has_work:
                advance = session.advance(self._clock.now())
            elif session.has_draft and (session.is_due or session.is_to_share):
                advance = Advance(is_urgent=True)
            else:
                break
            await self._carry_out(session, advance)
            if not session.is_loaded:
                await self._hand_over(session)
                return
        if await self._hand_over(session):
            return
        if session.has_draft:
            self._linger(session)
        elif session.is_completed:
            self._activities.release(session.committed_instance)
            session.evict()

    async def _work_off_entity(self, session: EntitySession) -> None:
        """Load, run and commit batches until nothing more is to be done here."""
        self._see_that_it_holds(session)
        self._resting += 1  # its operations have a limit of their own
        self._give_slot()
        try:
            has_more = True
            while has_more and not self._is_draining and session.release is None:
                was_parked = session.parked
                has_more = await self._entities.run_batch(session)
                self._locks.note(session)
                self._tell_if_parked(session, before=was_parked)
        finally:
            self._resting -= 1
        await self._hand_over(session)

    def _see_that_it_holds(self, session: AnySession) -> None:
        """Go on with what is in memory only where it is what is stored, as far as anybody knows.

        Raises:
            StaleCommitError: It is surely not.
        """
        if session.is_void:
            raise StaleCommitError("An activity may not start here.")
        if session.is_reopened:
            session.is_reopened = False
            if session.is_idle:  # else its commit tells
                session.evict()

    async def _hand_over(self, session: AnySession) -> bool:
        """Share what is to be shared; give whether the whole instance has been let go of."""
        release, session.release = session.release, None
        has_excess, session.has_excess = session.has_excess, False
        if release is Release.INSTANCE:
            try:
                await self._handover.release(session)
            except BaseException:
                session.release = release
                raise
            session.discard()
            self._locks.forget(session.instance_id)
            return True
        if isinstance(session, EntitySession):
            return False
        if release is Release.ACTIVITIES and session.is_loaded:
            await self._handover.carry_on(session)
        elif has_excess and session.is_loaded:
            await self._handover.share_excess(session)
        return False

    def _note_excess(self) -> None:
        """Let other hosts have what this one would not come to soon."""
        if not self._backend.has_peers:
            return
        for instance in self._activities.excess():
            session = self._sessions.get(instance.instance_id)
            if session is not None and session.is_loaded and not session.has_excess:
                session.has_excess = True
                self._wake(session)

    async def _load(self, session: Session) -> Advance:
        """Load and replay; the session stays unloaded where its instance is gone."""
        stored = await self._backend.load(session.instance_id)
        if stored is None:
            session.discard()
            session.failures = 0
            return Advance()
        advance = session.load(stored, self._activities.is_dispatched)
        self._tell_if_parked(session, before=stored.parked)
        return advance

    async def _carry_out(self, session: Session, advance: Advance) -> None:
        """Dispatch what is ready; commit what is urgent, and what that makes urgent."""
        self._dispatch(advance)
        for commits in count():
            if not advance.is_urgent:
                return
            if commits:  # an orchestrator that starts over and over must leave others a turn
                await _take_turns()
            advance = await self._commit(session)

    def _dispatch(self, advance: Advance) -> None:
        if advance.ready:
            self._activities.dispatch(advance.ready)
            self._note_excess()

    async def _commit(self, session: Session) -> Advance:
        before = session.committed_instance
        was_parked = session.parked
        session.is_due = False
        await self._backend.commit(session.take_commit(self._clock.now()))
        advance = session.committed()
        self._dispatch(advance)
        if session.committed_instance != before:
            self._activities.release(before)
        self._tell_if_parked(session, before=was_parked)
        return advance

    def _tell_if_parked(self, session: AnySession, *, before: str | None) -> None:
        if session.parked is not None and session.parked != before:
            logger.error(
                "instance is parked",
                extra={log.INSTANCE_ID: session.instance_id, log.REASON: session.parked},
            )


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


async def _take_turns() -> None:
    """Let everything else that is ready run once."""
    turn = asyncio.Event()
    asyncio.get_running_loop().call_soon(turn.set)
    await turn.wait()
