"""The HTTP side over a memory store and the real worker, on a clock that stands still."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx

from func_bindings.http import AuthLevel
from func_bindings.metadata import metadata_of
from func_host.config.durable_task import OverridableStates
from func_host.durable.backends.memory import MemoryBackend, MemoryStore
from func_host.durable.catalog import AppCatalog
from func_host.durable.client import TaskHubClient
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.links import ManagementLinks
from func_host.durable.worker.settings import WorkerSettings
from func_host.durable.worker.worker import DurableWorker
from func_host.indexing.collecting import FoundFunction
from func_host.indexing.functions import FunctionIndex
from func_host.indexing.judging import Judgement
from func_host.invocation.invoker import LoopInvoker
from func_host.testing.clock import START, SimulatedClock
from func_host.web import WebSettings, check_route, create_app

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, MutableMapping
    from datetime import datetime

    from starlette.types import ASGIApp

    from func_host.indexing.functions import IndexedFunction

ORIGIN = "http://localhost:7071"
BASE = "/runtime/webhooks/durabletask"
_TURNS_MAX = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back of a request that was sent as it is."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded; None where there is none."""
        return json.loads(self.body) if self.body else None


class CountedIds:
    """Ids that are the same in every run."""

    def __init__(self) -> None:
        self._last = 0

    def new_id(self) -> str:
        self._last += 1
        return f"{self._last:032x}"

    def jitter(self) -> float:
        return 0.5


class Hub:
    """Everything a test of the HTTP side needs."""

    def __init__(
        self,
        *functions: Callable[..., Any],
        settings: WebSettings | None = None,
        overridable: OverridableStates = OverridableStates.NON_RUNNING_STATES,
        link_key: str | None = None,
        timeout_s: float | None = None,
        start: datetime = START,
    ) -> None:
        self.settings = settings or WebSettings()
        self.clock = SimulatedClock(start)
        self.ids = CountedIds()
        self.index = FunctionIndex([indexed(function) for function in functions])
        self.backend = MemoryBackend(MemoryStore(), self.clock)
        self.client = TaskHubClient(
            backend=self.backend,
            clock=self.clock,
            ids=self.ids,
            orchestrators=self.index,
            entities=self.index,
            links=ManagementLinks(
                origin=ORIGIN,
                task_hub=self.settings.task_hub,
                key=link_key or self.settings.master_key,
            ),
            overridable_states=overridable,
        )
        self.invoker = LoopInvoker(threads=2, timeout_s=timeout_s)
        self.app: ASGIApp = create_app(
            index=self.index,
            client=self.client,
            invoker=self.invoker,
            settings=self.settings,
            clock=self.clock,
            request_counts=self.backend.request_counts,
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=ORIGIN)

    @asynccontextmanager
    async def open(self, *, with_worker: bool = True) -> AsyncGenerator[Hub]:
        """Run the parts; without a worker what is started stays Pending."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.backend)
            await stack.enter_async_context(self.invoker)
            await stack.enter_async_context(self.http)
            if with_worker:
                tasks = await stack.enter_async_context(asyncio.TaskGroup())
                working = tasks.create_task(self._worker().run())
                stack.callback(working.cancel)
            yield self

    async def settle(self) -> None:
        """Let everything happen that needs no time to speak of."""
        for _ in range(10):
            await self.clock.advance(0.02)

    def _worker(self) -> DurableWorker:
        catalog = AppCatalog(self.index)
        return DurableWorker(
            backend=self.backend,
            executor=InProcessExecutor(catalog),
            entities=EntityExecutor(catalog, self.invoker, self.clock, self.ids),
            catalog=catalog,
            invoker=self.invoker,
            clock=self.clock,
            ids=self.ids,
            settings=WorkerSettings(),
        )

    async def send(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Answer:
        """Send a request whose target no client library puts right; let time pass until it ends."""
        path, _, query = target.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "server": ("localhost", 7071),
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value.encode("latin-1")) for name, value in headers
            ],
        }
        async with asyncio.TaskGroup() as tasks:
            answering = tasks.create_task(self._exchange(scope, body or b""))
            for _ in range(_TURNS_MAX):
                if answering.done():
                    break
                await self.clock.advance(0.1 if "timeout=" in query else 0)
            assert answering.done(), f"{method} {target} is not answered"
        return answering.result()

    async def _exchange(self, scope: dict[str, Any], body: bytes) -> Answer:
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
        outgoing: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            if incoming:
                return incoming.pop()
            await asyncio.Event().wait()  # the client stays until it is answered
            raise AssertionError

        async def send(message: MutableMapping[str, Any]) -> None:
            outgoing.append(message)

        await self.app(scope, receive, send)
        start, *rest = outgoing
        return Answer(
            status=start["status"],
            headers={name.decode(): value.decode("latin-1") for name, value in start["headers"]},
            body=b"".join(each.get("body", b"") for each in rest),
        )

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """GET below the management base."""
        return await self.http.get(BASE + path, **more)

    async def post(self, path: str, **more: Any) -> httpx.Response:
        """POST below the management base."""
        return await self.http.post(BASE + path, **more)

    async def delete(self, path: str, **more: Any) -> httpx.Response:
        """DELETE below the management base."""
        return await self.http.delete(BASE + path, **more)


def indexed(function: Callable[..., Any]) -> IndexedFunction:
    """Index a decorated function as the host does."""
    return _indexed(function, check_route)


def indexed_unchecked(function: Callable[..., Any]) -> IndexedFunction:
    """Index a decorated function whatever its route."""
    return _indexed(function, str)


def _indexed(function: Callable[..., Any], check: Callable[[str], object]) -> IndexedFunction:
    metadata = metadata_of(function)
    assert metadata is not None, "the function is not decorated"
    found = FoundFunction(
        function=function,
        metadata=metadata,
        auth_level=AuthLevel.FUNCTION,
        app="app",
        app_dir=Path(),
    )
    judgement = Judgement(found, check)
    assert judgement.indexed is not None, judgement.problems
    return judgement.indexed
