"""Owns partitions of a hub: a thread with an event loop of its own takes, renews and returns them.

Renewals must not wait for user code that blocks the main loop, hence the thread. The main side
asks `owns` before each effect on the outside, is told of changes through a `PartitionListener` on
its own loop, and says with `finish_drain` when a partition may be given back.

    acquired ─▶ (draining ─▶ finish_drain) ─▶ lost
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeAlias

from azure.core.exceptions import ResourceNotFoundError

from func_host.clock import SystemClock
from func_host.durable.backend import BackendUnavailableError
from func_host.durable.backends.azure_storage.app_lease import AppLease, AppLeaseSettings
from func_host.durable.backends.azure_storage.client import StorageClients
from func_host.durable.backends.azure_storage.client_errors import STORAGE_ERRORS, explain
from func_host.durable.backends.azure_storage.client_transport import RetrySettings
from func_host.durable.backends.azure_storage.leases import LeaseSettings
from func_host.durable.backends.azure_storage.leases_table import AzureLeaseTable
from func_host.durable.backends.azure_storage.partition_manager_checks import (
    check_older_managers,
    check_rows,
)
from func_host.durable.backends.azure_storage.partition_manager_rounds import PartitionRounds
from func_host.log import REASON, TASK_HUB, WORKER_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from types import TracebackType

    from func_host.clock import Clock
    from func_host.durable.backends.azure_storage.connection import StorageConnection
    from func_host.durable.backends.azure_storage.names import TaskHubNames
    from func_host.durable.backends.azure_storage.request_count import RequestCounter

_logger = logging.getLogger(__name__)

_RETRY: Final = RetrySettings(attempts=2, connect_timeout_s=2.0, read_timeout_s=3.0)
_LAYING_OUT_S: Final = 3.0
_JOIN_S: Final = 10.0


Companion: TypeAlias = "Callable[[StorageClients], Coroutine[None, None, None]]"
"""Something to run in the thread: renewing what else must not wait for the main loop."""


class PartitionListener(Protocol):
    """Who reads the control queues; told of each change once, in order, on its own loop."""

    def partition_acquired(self, partition: int) -> None:
        """Start to read its queue."""
        ...

    def partition_draining(self, partition: int) -> None:
        """Stop reading, let what is in flight end, then call `finish_drain`."""
        ...

    def partition_lost(self, partition: int) -> None:
        """Stop at once: it belongs to somebody else, or to nobody."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSettings:
    """What of a hub's configuration concerns its partitions.

    Args:
        partition_count: `partitionCount`.
        app_name: Name of the app, for the app lease; empty where it has none.
        use_app_lease: `useAppLease`.
        app_lease: `appLeaseOptions`.
        leases: The times of the partition leases.
    """

    partition_count: int = 4
    app_name: str = ""
    use_app_lease: bool = True
    app_lease: AppLeaseSettings = field(default_factory=AppLeaseSettings)
    leases: LeaseSettings = field(default_factory=LeaseSettings)


class PartitionManager:
    """The partitions of one worker; an async context manager.

    Args:
        connection: The storage account.
        names: The task hub.
        worker_id: Unique among all that work on the hub.
        listener: Who reads the control queues.
        settings: What is configured.
        counter: Counts the requests.
        clock: Where the time comes from.
        companions: What else is to run in the thread, with its clients, for as long as it does.
    """

    def __init__(
        self,
        connection: StorageConnection,
        names: TaskHubNames,
        *,
        worker_id: str,
        listener: PartitionListener,
        settings: PartitionSettings,
        counter: RequestCounter | None = None,
        clock: Clock | None = None,
        companions: Sequence[Companion] = (),
    ) -> None:
        self._companions = companions
        self._connection = connection
        self._names = names
        self._worker_id = worker_id
        self._listener = listener
        self._settings = settings
        self._counter = counter
        self._clock = clock or SystemClock()
        self._queues = names.control_queues(settings.partition_count)
        self._partitions = {queue: index for index, queue in enumerate(self._queues)}
        self._app_lease: AppLease | None = None
        self._rounds: PartitionRounds | None = None
        self._is_stopping = False
        self._is_aborted = False
        self._thread_loop: asyncio.AbstractEventLoop | None = None
        self._main_task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the thread; returns after its first round.

        Raises:
            ConfigError: The connection needs a package that is not installed.
            BackendError: The hub cannot be worked on, or not be reached.
        """
        self._main_loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._main_loop.create_future()
        self._ended: asyncio.Future[None] = self._main_loop.create_future()
        # A daemon: a process whose main thread is gone must not go on renewing its leases.
        self._thread = threading.Thread(target=self._run_thread, name="partitions", daemon=True)
        self._thread.start()
        try:
            await self._started
        except BaseException:
            await self._abort()
            raise
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the thread; what has not been given back runs out, or is taken again on restart."""
        await self._abort()

    def owns(self, partition: int) -> bool:
        """Tell whether this worker surely owns the partition now; safe to ask from any thread."""
        rounds, app_lease = self._rounds, self._app_lease
        return (
            rounds is not None
            and rounds.owns(self._queues[partition])
            and (app_lease is None or app_lease.is_held)
        )

    @property
    def owned(self) -> frozenset[int]:
        """The partitions that are owned now, those being given back included."""
        return frozenset(index for index in range(len(self._queues)) if self.owns(index))

    def is_given_back(self, partition: int, *, held_s: float) -> bool:
        """Tell whether an owned partition was free for the taking, and not taken from a dead host.

        The one that gave it back must have had it for `held_s`: else the one before may have died.
        """
        rounds = self._rounds
        return rounds is not None and rounds.is_given_back(self._queues[partition], held_s=held_s)

    @property
    def peers(self) -> frozenset[str]:
        """The other workers that own partitions, as far as the last look at them told."""
        rounds = self._rounds
        return frozenset() if rounds is None else rounds.peers

    def abandon(self) -> None:
        """Let the thread end where it is, and give nothing back, as when the process is killed."""
        self._is_aborted = True
        rounds, task = self._rounds, self._main_task
        if rounds is not None:
            rounds.disown()
        if task is not None:
            self._call(task.cancel)

    def finish_drain(self, partition: int) -> None:
        """Say that nothing of a draining partition is in flight any more."""
        rounds = self._rounds
        if rounds is not None:
            self._call(lambda: rounds.finish_drain(self._queues[partition]))

    async def drain(self) -> None:
        """Give all partitions back, each as soon as it is drained, and return when that is done."""
        rounds, leases = self._rounds, self._settings.leases
        if rounds is not None:
            self._is_stopping = True
            self._call(rounds.stop)
        # Where the storage is gone nothing can be given back: it runs out meanwhile.
        await asyncio.wait([self._ended], timeout=leases.drain_s + leases.lease_s)

    async def run(self) -> None:
        """Return when all was given back.

        Raises:
            BackendError: The storage refuses what cannot be done without.
        """
        await asyncio.shield(self._ended)

    def _call(self, action: Callable[[], object]) -> None:
        """Do something in the thread, and have it look at once."""

        def act() -> None:
            action()
            self._wake.set()

        if self._thread_loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
                self._thread_loop.call_soon_threadsafe(act)

    async def _abort(self) -> None:
        """End the thread where it is, which it may not have begun to run."""
        self.abandon()
        await asyncio.to_thread(self._thread.join, _JOIN_S)

    def _run_thread(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            self._tell(self._ended, None)
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the main side raises it
            self._tell(self._started, error)
            self._tell(self._ended, error)
        else:
            self._tell(self._ended, None)

    def _tell(self, future: asyncio.Future[None], error: BaseException | None) -> None:
        def tell() -> None:
            if future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # seen: nobody need await `run`

        with contextlib.suppress(RuntimeError):  # the main loop is closed
            self._main_loop.call_soon_threadsafe(tell)

    async def _main(self) -> None:
        """Run in the thread: open, then keep the leases until all is given back."""
        self._wake = asyncio.Event()
        self._thread_loop = asyncio.get_running_loop()
        self._main_task = asyncio.current_task()
        if self._is_aborted:
            return
        clients = StorageClients(
            self._connection, counter=self._counter, retry=_RETRY, clock=self._clock
        )
        async with clients:
            try:
                await self._open(clients)
            except STORAGE_ERRORS as error:
                raise explain(error, self._connection) from error
            try:
                async with asyncio.TaskGroup() as tasks:
                    others = [tasks.create_task(self._keep_app_lease())]
                    others += [tasks.create_task(each(clients)) for each in self._companions]
                    await self._keep_partitions()
                    for other in others:
                        other.cancel()
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from group

    async def _open(self, clients: StorageClients) -> None:
        """Check and lay out what this part of a hub needs."""
        names, settings = self._names, self._settings
        older = clients.container(names.leases_container)
        await check_older_managers(older, names, settings.partition_count)
        table = AzureLeaseTable(clients.table(names.partitions_table))
        leases = await table.create(self._queues)
        until = self._clock.monotonic() + _LAYING_OUT_S
        while (
            len(leases) < len(self._queues)
            and not any(lease.expires_at for lease in leases)
            and self._clock.monotonic() < until
        ):
            await self._clock.sleep(0.2)  # another worker may be laying out the same hub
            leases = await table.read()
        check_rows(leases, names, settings.partition_count)
        self._rounds = PartitionRounds(
            table,
            worker_id=self._worker_id,
            settings=settings.leases,
            clock=self._clock,
            listener=_Relay(self._main_loop, self._listener, self._partitions),
        )
        if settings.use_app_lease:
            self._app_lease = AppLease(
                clients,
                names,
                app_name=settings.app_name,
                settings=settings.app_lease,
                clock=self._clock,
            )
            await self._app_lease.create()
            if not await self._app_lease.acquire():
                self._warn_of_other_app()

    async def _keep_partitions(self) -> None:
        rounds = self._rounds
        assert rounds is not None, "it was opened"
        failing_since: float | None = None
        while not (self._is_stopping and rounds.is_idle):
            delay_s = self._settings.leases.renew_s
            if self._app_lease is not None and not self._app_lease.is_held:
                rounds.forget_all()
            else:
                try:
                    delay_s = await rounds.run()
                    failing_since = None
                except STORAGE_ERRORS as error:
                    failing_since = self._note_failure(error, failing_since)
                    delay_s = self._settings.leases.busy_s
            self._tell(self._started, None)
            if not (self._is_stopping and rounds.is_idle):
                await self._pause(delay_s)

    def _note_failure(self, error: Exception, failing_since: float | None) -> float:
        """Warn once of a series of failures, and end on one that will not pass by itself."""
        explained = explain(error, self._connection)
        now = self._clock.monotonic()
        if failing_since is None:
            _logger.warning("partition leases could not be renewed", extra={REASON: str(explained)})
            return now
        is_gone = isinstance(error, ResourceNotFoundError)  # no round brings its rows back
        is_passing = isinstance(explained, BackendUnavailableError) and not is_gone
        if not is_passing and now - failing_since > self._settings.leases.lease_s:
            raise explained from error
        return failing_since

    async def _keep_app_lease(self) -> None:
        lease, settings = self._app_lease, self._settings.app_lease
        if lease is None:
            return
        delay_s = settings.renew_s if lease.is_held else settings.acquire_s
        while True:
            await self._clock.sleep(delay_s)
            was_held = lease.is_held
            try:
                is_held = await lease.renew() if was_held else await lease.acquire()
            except STORAGE_ERRORS as error:
                explained = explain(error, self._connection)
                _logger.warning("app lease not renewed", extra={REASON: str(explained)})
                delay_s = self._settings.leases.busy_s
                continue
            if is_held != was_held:
                self._wake.set()
            if was_held and not is_held:
                self._warn_of_other_app()
            delay_s = settings.renew_s if is_held else settings.acquire_s

    def _warn_of_other_app(self) -> None:
        _logger.warning(
            "the task hub belongs to another app, so this host works on none of its partitions: "
            "set extensions.durableTask.hubName in host.json to a hub of its own",
            extra={TASK_HUB: self._names.hub, WORKER_ID: self._worker_id},
        )

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()


class _Relay:
    """Takes what the thread has to tell to the loop of the listener."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: PartitionListener,
        partitions: dict[str, int],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._partitions = partitions

    def partition_acquired(self, queue: str) -> None:
        self._tell(self._listener.partition_acquired, queue)

    def partition_draining(self, queue: str) -> None:
        self._tell(self._listener.partition_draining, queue)

    def partition_lost(self, queue: str) -> None:
        self._tell(self._listener.partition_lost, queue)

    def _tell(self, method: Callable[[int], None], queue: str) -> None:
        with contextlib.suppress(RuntimeError):  # the main loop is closed
            self._loop.call_soon_threadsafe(method, self._partitions[queue])
