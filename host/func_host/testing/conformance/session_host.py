"""A worker over the store under test, with activities that answer at once or when they may."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self, cast

from func_host.clock import SystemIds
from func_host.durable.catalog import AppCatalog
from func_host.durable.engine.entities.scheduler import read_state
from func_host.durable.entity_executor import EntityExecutor
from func_host.durable.executor import InProcessExecutor
from func_host.durable.history import TaskCompleted
from func_host.durable.worker.settings import WorkerSettings
from func_host.durable.worker.worker import DurableWorker
from func_host.invocation.invoker import Invocation
from func_host.testing.conformance.programs import index_with
from func_host.testing.conformance.world import PATIENCE_S, Status, World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from types import TracebackType

    from func_host.durable.backend import Backend, Commit, InstanceRecord
    from func_host.durable.history import MessageEvent
    from func_host.indexing.functions import IndexedFunction
    from func_host.invocation.invoker import Steps


class Host:
    """A worker over the backend of a world, and a client of its instance `one`.

    Leaving it stops the worker at once, as a process that dies does.

    Args:
        world: Has the backend and the clock.
        cache: How many orchestrators stay in memory.
        commits_max: After so many commits the store does not answer any more.
        replaced: Orchestrators that are deployed with other code.
        held: Inputs, as text, for which `work` does not answer.
    """

    def __init__(
        self,
        world: World,
        cache: int,
        *,
        commits_max: int | None = None,
        replaced: Mapping[str, Callable[..., Any]] | None = None,
        held: Collection[str] = (),
    ) -> None:
        self._world = world
        self._changed = asyncio.Event()
        self._commits = _Commits(world.backend, self._changed, commits_max)
        self._invoker = _Invoker(self._changed, held)
        catalog = AppCatalog(index_with(replaced or {}))
        features = world.backend.features
        self._worker = DurableWorker(
            backend=cast("Backend", self._commits),
            executor=InProcessExecutor(
                catalog,
                timer_leg_max=features.timer_leg_max,
                records_open_activities=features.records_open_activities,
            ),
            entities=EntityExecutor(catalog, _OnTheLoop(), world.clock, SystemIds()),
            catalog=catalog,
            invoker=self._invoker,
            clock=world.clock,
            ids=SystemIds(),
            settings=WorkerSettings(
                max_concurrent_activities=100, session_cache_size=cache, result_commit_delay_s=0
            ),
        )
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Start the worker."""
        await self._tasks.__aenter__()
        self._running = self._tasks.create_task(self._worker.run())
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it without further ado."""
        self._running.cancel()
        await self._tasks.__aexit__(None, None, None)

    @property
    def called(self) -> list[str]:
        """The inputs, as text, for which `work` was called in this process."""
        return self._invoker.called

    def let_go(self) -> None:
        """Let the activities that were held answer."""
        self._invoker.let_go()

    async def start(self, function: Callable[..., Any], instance_id: str = "one") -> None:
        """Start an orchestrator."""
        start = self._world.start_of(
            instance_id, execution_id=SystemIds().new_id(), name=function.__name__
        )
        await self._world.backend.create_instance(start)

    async def send(self, event: MessageEvent) -> None:
        """Send a message to the instance."""
        await self._world.backend.send_message("one", event)

    async def record(self, instance_id: str = "one") -> InstanceRecord:
        """Give the status row of an instance, which may change at any moment."""
        record = await self._world.backend.get_instance(instance_id)
        assert record is not None
        return record

    async def output(self) -> Any:
        """Wait for its end, and give its result."""
        async with asyncio.timeout(PATIENCE_S):
            record = await self._world.backend.wait_for_completion("one")
        assert record.runtime_status is Status.Completed, record
        return json.loads(record.output or "null")

    async def until_committed(self, commits: int) -> None:
        """Wait for so many commits of this process."""

        async def are_there() -> bool:
            return self._commits.done >= commits

        await self._until(are_there)

    async def until_running(self, instance_id: str) -> None:
        """Wait until an instance has begun: what came before it has been looked at."""

        async def is_running() -> bool:
            return (await self.record(instance_id)).runtime_status is Status.Running

        await self._until(is_running)

    async def until_called(self, value: str) -> None:
        """Wait until `work` was called in this process for an input."""

        async def is_called() -> bool:
            return value in self.called

        await self._until(is_called)

    async def until_recorded(self, results: int) -> None:
        """Wait until histories hold so many results."""

        async def are_there() -> bool:
            return len(await recorded_results(self._world)) >= results

        await self._until(are_there)

    async def until_in_history(self, kind: type[MessageEvent]) -> None:
        """Wait until the history of the instance holds an event of this kind."""

        async def is_there() -> bool:
            history = await self._world.backend.get_history("one")
            return any(isinstance(event, kind) for event in history)

        await self._until(is_there)

    async def until_entity(self, key: str, state: object, *, is_locked: bool = False) -> None:
        """Wait until the counter of a key stands at this, and is locked or not."""

        async def is_so() -> bool:
            record = await self._world.backend.get_instance(f"@counter@{key}")
            found = read_state(None if record is None else record.input)
            value = None if found.state is None else json.loads(found.state)
            return value == state and (found.locked_by is not None) is is_locked

        await self._until(is_so)

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._changed.clear()
                if await condition():
                    return
                await self._changed.wait()


async def recorded_results(world: World) -> set[str]:
    """Give the results of activities, as text, that the histories of all instances hold."""
    return {
        str(json.loads(event.result or "null"))
        for instance_id in await world.all_ids()
        for event in await world.backend.get_history(instance_id)
        if isinstance(event, TaskCompleted)
    }


class _Commits:
    """The backend, but for its commits: they are counted, and end when there were enough."""

    def __init__(self, backend: Backend, changed: asyncio.Event, most: int | None) -> None:
        self.done = 0
        self._begun = 0
        self._backend = backend
        self._changed = changed
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def commit(self, commit: Commit) -> None:
        if self._begun == self._most:
            await asyncio.Event().wait()
        self._begun += 1
        await self._backend.commit(commit)
        self.done += 1
        self._changed.set()
        if self._begun == self._most:
            await asyncio.Event().wait()


class _OnTheLoop:
    """Runs the operations of entities at once, where they are asked for."""

    def start_steps(self, function: IndexedFunction, steps: Steps) -> Invocation:  # noqa: ARG002 -- a role
        invocation = Invocation(asyncio.get_running_loop())
        invocation.end(steps(), None)
        return invocation


class _Invoker:
    """Answers at once, but for what is held."""

    def __init__(self, changed: asyncio.Event, held: Collection[str]) -> None:
        self.called: list[str] = []
        self._changed = changed
        self._held = held
        self._waiting: list[tuple[Invocation, object]] = []

    def start(self, function: IndexedFunction, values: Mapping[str, object]) -> Invocation:
        invocation = Invocation(asyncio.get_running_loop())
        (value,) = values.values()
        if function.name == "fail":
            invocation.end(None, ValueError(f"failed {value}"))
            return invocation
        self.called.append(str(value))
        self._changed.set()
        if str(value) in self._held:
            self._waiting.append((invocation, value))
        else:
            invocation.end(value, None)
        return invocation

    async def invoke(self, function: IndexedFunction, values: Mapping[str, object]) -> Any:
        return await self.start(function, values).outcome

    def let_go(self) -> None:
        for invocation, value in self._waiting:
            invocation.end(value, None)
        self._waiting.clear()
