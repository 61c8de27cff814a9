"""The composition root: builds the parts of a host, starts them in order and stops them.

    socket ─▶ store ─▶ function threads ─▶ worker ─▶ HTTP          the start
    HTTP and worker (what runs, ends) ─▶ function threads ─▶ store                 the stop

The port is taken before the store is opened, so that a second host on the same port changes
nothing; connections are accepted once everything behind them works. A part that fails stops the
others: the host ends with its error instead of going on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from func_host import __version__
from func_host.clock import SystemClock, SystemIds
from func_host.config import AzureStore, MemoryStore, SqliteStore
from func_host.durable.backends.request_report import RequestReport
from func_host.durable.catalog import AppCatalog
from func_host.durable.client import TaskHubClient
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.links import ManagementLinks
from func_host.durable.worker.settings import WorkerSettings
from func_host.durable.worker.worker import DurableWorker
from func_host.errors import AppError
from func_host.indexing import FunctionIndex, build_index
from func_host.invocation.invoker import LoopInvoker
from func_host.invocation.watchdog import LoopWatchdog
from func_host.server import HttpServer, ListeningSocket, is_loopback
from func_host.web.app import create_app
from func_host.web.routes import check_route
from func_host.web.settings import WebSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from starlette.types import ASGIApp

    from func_host.clock import Clock, IdSource
    from func_host.config import Configuration, HostJson
    from func_host.durable.backend import Backend

DEFAULT_ADDRESS = "127.0.0.1"
DEFAULT_PORT = 7071

_RELEASE_S = 5.0
"""How long handing over to other hosts may take, where several share a hub."""


class Host:
    """The parts that work without a socket: store, worker, client and the ASGI application.

    An async context manager. What runs is drained on leaving, within `drainTimeout`.
    """

    def __init__(
        self,
        configuration: Configuration,
        index: FunctionIndex,
        *,
        origin: str,
        master_key: str | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        """Build a host of the functions; nothing is opened yet.

        Args:
            configuration: What the host is told.
            index: The functions.
            origin: Scheme and authority of links where no request says them.
            master_key: Key that every request needs; None where only this machine can ask.
            clock: Where the time comes from, if not from the machine.
            ids: Where ids come from, if not from chance.
        """
        self._configuration = configuration
        self._clock = clock or SystemClock()
        self._ids = ids or SystemIds()
        self._origin = origin
        self._master_key = master_key
        self.index = index
        self._stack = AsyncExitStack()
        self._is_drained = False

    async def __aenter__(self) -> Self:
        """Open the store and start the worker.

        Raises:
            ConfigError: The store cannot be what the settings say.
            BackendError: The store cannot be opened; the message says why and what to do.
        """
        async with AsyncExitStack() as stack:
            await self._build(stack)
            self._stack = stack.pop_all()
        return self

    async def _build(self, stack: AsyncExitStack) -> None:
        host_json = self._configuration.host_json
        backend = open_backend(self._configuration, self._clock, self._ids)
        report = RequestReport(backend, self._clock)
        stack.callback(report.tell)  # the last line comes when the store is closed: that asks too
        self.backend: Backend = await stack.enter_async_context(backend)
        timeout = host_json.function_timeout
        timeout_s = None if timeout is None else timeout.total_seconds()
        stack.enter_context(LoopWatchdog(self.index, self._clock))
        # Activities have threads of their own: those that are slow must not keep requests waiting.
        http_invoker = await stack.enter_async_context(
            LoopInvoker(threads=host_json.worker.function_threads, timeout_s=timeout_s)
        )
        activity_invoker = await stack.enter_async_context(
            LoopInvoker(
                threads=host_json.durable_task.max_concurrent_activity_functions,
                timeout_s=timeout_s,
            )
        )
        entity_invoker = await stack.enter_async_context(
            LoopInvoker(
                threads=host_json.durable_task.max_concurrent_entity_functions,
                timeout_s=timeout_s,
            )
        )
        self.client = self._build_client(host_json)
        self.app: ASGIApp = create_app(
            index=self.index,
            client=self.client,
            invoker=http_invoker,
            clock=self._clock,
            settings=self._web_settings(host_json),
            request_counts=self.backend.request_counts,
        )
        self._worker = self._build_worker(host_json, activity_invoker, entity_invoker)
        await self._run_parts(stack, report)

    async def _run_parts(self, stack: AsyncExitStack, report: RequestReport) -> None:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        self._working = tasks.create_task(self._worker.run())
        reporting = tasks.create_task(report.run())
        stack.callback(reporting.cancel)
        stack.push_async_callback(self._stop_worker)

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain the worker, then close what it works with."""
        await close_parts(self._stack, error)

    async def drain(self) -> None:
        """Take no new work and let what runs end, for as long as `drainTimeout`.

        What has not ended then goes on at the next start.
        """
        timeout = self._configuration.host_json.worker.drain_timeout
        self._is_drained = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()):
                await self._worker.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_S):
                await self._worker.release()

    async def _stop_worker(self) -> None:
        if not self._working.done() and not self._is_drained:
            await self.drain()
        self._working.cancel()

    def _build_client(self, host_json: HostJson) -> TaskHubClient:
        durable = host_json.durable_task
        return TaskHubClient(
            backend=self.backend,
            clock=self._clock,
            ids=self._ids,
            orchestrators=self.index,
            entities=self.index,
            links=ManagementLinks(
                origin=self._origin, task_hub=durable.hub_name, key=self._master_key
            ),
            default_version=durable.default_version,
            overridable_states=durable.overridable_existing_instance_states,
        )

    def _build_worker(
        self, host_json: HostJson, invoker: LoopInvoker, entity_invoker: LoopInvoker
    ) -> DurableWorker:
        durable = host_json.durable_task
        features = self.backend.features
        catalog = AppCatalog(self.index)
        return DurableWorker(
            backend=self.backend,
            executor=InProcessExecutor(
                catalog,
                timer_leg_max=features.timer_leg_max,
                records_open_activities=features.records_open_activities,
                actions_max=durable.max_orchestration_actions,
                store_inputs=durable.store_inputs_in_orchestration_history,
                default_version=durable.default_version,
            ),
            entities=EntityExecutor(
                catalog,
                entity_invoker,
                self._clock,
                self._ids,
                rolls_back=durable.rollback_entity_operations_on_exceptions,
            ),
            catalog=catalog,
            invoker=invoker,
            clock=self._clock,
            ids=self._ids,
            settings=WorkerSettings(
                max_concurrent_activities=durable.max_concurrent_activity_functions,
                max_concurrent_orchestrators=durable.max_concurrent_orchestrator_functions,
                max_concurrent_entities=durable.max_concurrent_entity_functions,
                entity_batch_max=durable.max_entity_operation_batch_size,
                entity_reorder_window_s=durable.entity_message_reorder_window.total_seconds(),
                session_cache_size=host_json.worker.session_cache_size,
                result_commit_delay_s=host_json.worker.result_commit_delay.total_seconds(),
            ),
        )

    def _web_settings(self, host_json: HostJson) -> WebSettings:
        return WebSettings(
            route_prefix=host_json.http.route_prefix,
            master_key=self._master_key,
            task_hub=host_json.durable_task.hub_name,
            body_bytes_max=host_json.http.request_body_bytes_max,
            host_instance_id=self._ids.new_id(),
            version=__version__,
        )


async def serve(
    configuration: Configuration,
    index: FunctionIndex,
    *,
    listening: ListeningSocket,
    access_log: bool = False,
    on_started: Callable[[Host], None],
    stop: asyncio.Event,
) -> None:
    """Serve the functions on a bound socket until `stop` is set, then stop everything in order.

    Raises:
        AppError: The address needs a key and there is none.
        BackendError: The store cannot be opened.
        BaseExceptionGroup: A part of the host failed.
    """
    drain = configuration.host_json.worker.drain_timeout
    master_key = required_key(configuration, listening.address)
    async with Host(configuration, index, origin=listening.origin, master_key=master_key) as host:
        server = HttpServer(
            host.app,
            listening,
            access_log=access_log,
            drain_timeout_s=drain.total_seconds(),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run())
            await server.wait_started()
            on_started(host)
            await stop.wait()
            async with asyncio.TaskGroup() as stopping:
                stopping.create_task(server.stop())
                stopping.create_task(host.drain())


def load_functions(configuration: Configuration) -> FunctionIndex:
    """Load the apps and index their functions, less those that settings switch off.

    Raises:
        AppError: There are mistakes in the apps; the message tells all of them.
    """
    index = build_index(configuration.app_dirs, check_route)
    wanted = configuration.host_json.functions
    names = None if wanted is None else {name.lower() for name in wanted}
    enabled = [
        function
        for function in index.functions
        if (names is None or function.name.lower() in names)
        and not configuration.app_settings.is_disabled(function.name)
    ]
    return FunctionIndex(enabled, index.warnings)


async def close_parts(stack: AsyncExitStack, error: BaseException | None) -> None:
    """Close parts that run under a TaskGroup without letting the group wrap the body's own error.

    A part that failed cancels the body: that error the group must see, to raise the part's.
    """
    if isinstance(error, asyncio.CancelledError):
        await stack.__aexit__(type(error), error, error.__traceback__)
    else:
        await stack.__aexit__(None, None, None)


def required_key(configuration: Configuration, address: str) -> str | None:
    """Give the key that requests to the address need; None on loopback, where none is needed.

    Raises:
        AppError: One is needed, and there is none.
    """
    if is_loopback(address):
        return None
    key = configuration.app_settings.master_key
    if key is None:
        raise AppError(
            f"--host {address} can be reached from other machines: set FUNC_HOST_MASTER_KEY to the "
            "key that requests shall need (header x-functions-key), or listen on 127.0.0.1."
        )
    return key


def unfinished_in(store: SqliteStore) -> int:
    """Count the instances that have not ended in a store that nobody needs to have opened.

    Raises:
        BackendError: It cannot be read.
    """
    from func_host.durable.backends.sqlite import summarize_store  # noqa: PLC0415 -- rarely needed

    summary = summarize_store(store.path)
    return 0 if summary is None else summary.unfinished


def open_client_backend(configuration: Configuration) -> Backend:
    """Make the backend of a store for a command that looks at it; it is opened by entering it.

    Raises:
        ConfigError: The store cannot be what the settings say.
    """
    return open_backend(configuration, SystemClock(), SystemIds(), works=False)


def client_of(backend: Backend) -> TaskHubClient:
    """Make a client for a command that looks at a hub, and that knows no functions."""
    nothing = FunctionIndex(())
    return TaskHubClient(
        backend=backend,
        clock=SystemClock(),
        ids=SystemIds(),
        orchestrators=nothing,
        entities=nothing,
        links=ManagementLinks(origin="", task_hub=""),
    )


def open_backend(
    configuration: Configuration, clock: Clock, ids: IdSource, *, works: bool = True
) -> Backend:
    """Make the backend of a store; it is opened by entering it.

    Where hosts share a store, one that does not work leaves all work to others.

    Raises:
        ConfigError: The store cannot be what the settings say.
    """
    match configuration.store:
        case MemoryStore():
            from func_host.durable.backends import memory  # noqa: PLC0415 -- only one is needed

            return memory.MemoryBackend(memory.MemoryStore(), clock)
        case SqliteStore(path=path):
            from func_host.durable.backends.sqlite import SqliteBackend  # noqa: PLC0415

            return SqliteBackend(path, clock)
        case AzureStore() as store:
            from func_host.durable.backends.azure_storage.opening import open_hub  # noqa: PLC0415

            return open_hub(store, configuration.app_settings, clock, ids, works=works)
