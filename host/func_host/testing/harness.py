"""An app that runs inside a test: all of the host in process, its hub in memory."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING, Self

from func_host.config import load_configuration
from func_host.host import Host, close_parts, load_functions
from func_host.server import HttpServer, ListeningSocket

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from starlette.types import ASGIApp

    from func_bindings.durable.client import DurableClient
    from func_host.clock import Clock, IdSource

_DRAIN_S = 2.0


class AppHarness:
    """A host of one app folder, as an async context manager.

        async with AppHarness(folder) as harness:
            instance_id = await harness.client.start_new("hello_cities")
            status = await harness.client.wait_for_completion(instance_id, timeout_s=10)

    Args:
        app_dir: The folder of the app; its host.json counts.
        listen: Serve HTTP on a free port too: `url` says where. Without it requests go to `app`,
            for example through `httpx.ASGITransport(harness.app)`.
        settings: App settings; the environment of the process is not read.
        storage: As `func-host start --storage` takes it.
        clock: Where the time comes from: a `SimulatedClock` lets days pass in no time.
        ids: Where ids come from.
    """

    client: DurableClient
    """The durable client of the hub."""

    app: ASGIApp
    """What answers HTTP requests."""

    url: str
    """Where the host listens (or says it does): scheme and authority."""

    def __init__(
        self,
        app_dir: Path,
        *,
        listen: bool = False,
        settings: Mapping[str, str] | None = None,
        storage: str = "memory",
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        self._app_dir = app_dir
        self._listen = listen
        self._settings = settings or {}
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Load the app and start everything.

        Raises:
            AppError: There is a mistake in the app or its settings.
        """
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def _start(self, stack: AsyncExitStack) -> None:
        configuration = load_configuration(
            self._app_dir, storage=self._storage, environment=self._settings
        )
        index = load_functions(configuration)
        listening = stack.enter_context(closing(ListeningSocket("127.0.0.1", 0)))
        self.url = listening.origin
        host = await stack.enter_async_context(
            Host(configuration, index, origin=self.url, clock=self._clock, ids=self._ids)
        )
        self.client, self.app = host.client, host.app
        if self._listen:
            server = HttpServer(host.app, listening, access_log=False, drain_timeout_s=_DRAIN_S)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            tasks.create_task(server.run())
            stack.push_async_callback(server.stop)
            await server.wait_started()

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything."""
        await close_parts(self._stack, error)
