"""The activities of the simulated app, and an invoker that runs them in virtual time."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from func_bindings.metadata import ActivityTrigger, OrchestrationTrigger, SourceLocation
from func_host.indexing.functions import FunctionIndex, IndexedFunction
from func_host.invocation.invoker import Invocation
from tests.simulation.compiling import compile_program
from tests.simulation.model import ACTIVITIES, TIMEOUT_S, added

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping

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
        ]
    )


def _activity(name: str, function: Callable[..., Any]) -> IndexedFunction:
    return _indexed(name, function, ActivityTrigger(parameter="value"))


def _orchestrator(program: Program) -> IndexedFunction:
    function = compile_program(program)
    return _indexed(program.name, function, OrchestrationTrigger(parameter="context"))


def _indexed(
    name: str, function: Callable[..., Any], trigger: ActivityTrigger | OrchestrationTrigger
) -> IndexedFunction:
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
