"""The activities of the simulated app, and an invoker that runs them in virtual time."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from func_bindings.metadata import (
    ActivityTrigger,
    EntityTrigger,
    OrchestrationTrigger,
    SourceLocation,
)
from func_host.indexing.entity_classes import read_entity_class
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from func_host.invocation.invoker import Invocation
from tests.simulation.compiling import compile_program
from tests.simulation.endings import ACTIVITIES, TIMEOUT_S, added
from tests.simulation.entity_functions import ENTITY_FUNCTIONS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from func_bindings.metadata import Trigger
    from func_host.invocation.invoker import Steps
    from tests.simulation.chance import Chance
    from tests.simulation.ledger import Ledger
    from tests.simulation.programs import Program
    from tests.simulation.store import Life

_LOCATION = SourceLocation("simulation", 1)


def index_of(programs: Iterable[Program], ledger: Ledger) -> FunctionIndex:
    """Give the app: its orchestrators and the activities they call."""

    def add(value: dict[str, Any]) -> int:
        return added(int(value["call"]), int(value["digest"]))

    def nothing(value: dict[str, Any]) -> None:
        return None

    def fail(value: dict[str, Any]) -> None:
        raise ValueError(f"planned {value['call']}")

    def flaky(value: dict[str, Any]) -> int:
        if ledger.failures_of(value["key"]) < value["failures"]:
            raise ValueError(f"planned {value['call']}")
        return int(value["call"])

    def slow(value: dict[str, Any]) -> None:
        return None

    activities: dict[str, Callable[..., Any]] = {
        each.__name__: each for each in (add, fail, flaky, nothing, slow)
    }
    return FunctionIndex(
        [
            *(_activity(name, activities[name]) for name in ACTIVITIES),
            *(_orchestrator(program) for program in programs),
            *(_entity(function) for function in ENTITY_FUNCTIONS),
        ]
    )


def _activity(name: str, function: Callable[..., Any]) -> IndexedFunction:
    return _indexed(name, function, ActivityTrigger(parameter="value"))


def _orchestrator(program: Program) -> IndexedFunction:
    function = compile_program(program)
    return _indexed(program.name, function, OrchestrationTrigger(parameter="context"))


def _entity(function: Callable[..., Any]) -> IndexedFunction:
    name = function.__name__.title()
    indexed = _indexed(name, function, EntityTrigger(parameter="context"))
    if not isinstance(function, type):
        return indexed
    entity_class, mistakes = read_entity_class(function)
    assert not mistakes, mistakes
    return replace(indexed, entity_class=entity_class)


def _indexed(name: str, function: Callable[..., Any], trigger: Trigger) -> IndexedFunction:
    return IndexedFunction(
        name=name,
        function=function,
        trigger=trigger,
        client_inputs=(),
        location=_LOCATION,
        app="simulation",
        app_dir=Path(),
        is_async=inspect.iscoroutinefunction(function),
        parameters=inspect.signature(function).parameters,
    )


class SimulatedInvoker:
    """An `Invoker` that runs each function at once, and tells its result after a while.

    What `slow` answers comes after the time limit.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        chance: Chance,
        ledger: Ledger,
        life: Life,
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._ledger = ledger
        self._life = life
        self._tasks: set[asyncio.Task[None]] = set()

    async def invoke(self, function: IndexedFunction, values: Mapping[str, object]) -> Any:
        return await self.start(function, values).outcome

    def start(self, function: IndexedFunction, values: Mapping[str, Any]) -> Invocation:
        invocation = Invocation(self._loop)
        if self._life.is_over:
            return invocation
        value = values["value"]
        self._ledger.activity_started(function.name, value)
        try:
            result, error = function.call(values), None
        except ValueError as raised:
            result, error = None, raised
        duration_s = self._chance.choice((0.0, 0.0, 0.01, 0.3, 2.0))
        if function.name == "slow":
            duration_s += TIMEOUT_S + 0.1
            self._loop.call_later(TIMEOUT_S, self._expire, invocation)
        self._loop.call_later(duration_s, self._end, invocation, value["key"], result, error)
        return invocation

    def start_steps(self, function: IndexedFunction, steps: Steps) -> Invocation:
        invocation = Invocation(self._loop)
        if self._life.is_over:
            return invocation
        if function.is_async:
            task = self._loop.create_task(self._go_on(invocation, steps()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            steps()
            duration_s = self._chance.choice((0.0, 0.0, 0.01, 0.3))
            self._loop.call_later(duration_s, invocation.end, None, None)
        return invocation

    async def _go_on(self, invocation: Invocation, rest: Awaitable[Any] | None) -> None:
        if rest is not None:
            await rest
        invocation.end(None, None)

    def _expire(self, invocation: Invocation) -> None:
        if not self._life.is_over:
            invocation.expire("slow", TIMEOUT_S)

    def _end(
        self, invocation: Invocation, key: str, result: Any, error: BaseException | None
    ) -> None:
        if self._life.is_over:
            return
        text = None if error is not None else "null" if result is None else str(result)
        self._ledger.activity_ended(key, text)
        invocation.end(result, error)
