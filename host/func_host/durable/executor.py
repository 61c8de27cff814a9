"""The role of whoever runs user code, and the one that runs native functions in process.

The session around an executor cannot tell implementations apart: a run is fed history events and
answers with actions.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from func_bindings.errors import NonDeterminismError
from func_host.durable.engine.options import FunctionCatalog, RunOptions
from func_host.durable.engine.replay import OrchestratorRun

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from datetime import timedelta

    from func_host.durable.history import ExecutionStarted, HistoryEvent


class Executor(Protocol):
    """Runs orchestrators."""

    @property
    def store_inputs(self) -> bool:
        """Whether history keeps the inputs of activities and children."""
        ...

    @property
    def default_version(self) -> str:
        """The version of a child that was given none."""
        ...

    def start(self, started: ExecutionStarted) -> tuple[OrchestratorRun | None, str | None]:
        """Give a run that has not been fed anything, or the reason to park the instance."""
        ...

    def replay(
        self, started: ExecutionStarted, history: Sequence[HistoryEvent]
    ) -> tuple[OrchestratorRun | None, str | None]:
        """Give a run that has been fed the history, or the reason to park the instance."""
        ...

    def why_unknown(self, orchestrator: str) -> str | None:
        """Say why this orchestrator cannot be started; None where it can."""
        ...


class OrchestratorCatalog(FunctionCatalog, Protocol):
    """The functions of the app, orchestrators included."""

    def orchestrator(self, name: str) -> Callable[[Any], Any] | None:
        """Give the orchestrator of this name, compared without case."""
        ...

    @property
    def orchestrator_names(self) -> Sequence[str]:
        """The names of all orchestrators."""
        ...


class InProcessExecutor:
    """Runs the native orchestrators of an app on the loop that feeds them."""

    def __init__(
        self,
        catalog: OrchestratorCatalog,
        *,
        timer_leg_max: timedelta | None = None,
        records_open_activities: bool = True,
        actions_max: int = 100_000,
        store_inputs: bool = False,
        default_version: str = "",
    ) -> None:
        """Run the functions of this catalog over a store with these features."""
        self._catalog = catalog
        self._options = RunOptions(
            catalog=catalog,
            replay_safe=replay_safe,
            call=call_outside_of_tasks,
            timer_leg_max=timer_leg_max,
            records_open_activities=records_open_activities,
            actions_max=actions_max,
        )
        self.store_inputs = store_inputs
        self.default_version = default_version

    def start(self, started: ExecutionStarted) -> tuple[OrchestratorRun | None, str | None]:
        """Give a run that has not been fed anything, or the reason to park the instance."""
        function = self._catalog.orchestrator(started.name)
        if function is None:
            return None, self.why_unknown(started.name)
        return OrchestratorRun(started.name, function, self._options), None

    def replay(
        self, started: ExecutionStarted, history: Sequence[HistoryEvent]
    ) -> tuple[OrchestratorRun | None, str | None]:
        """Give a run that has been fed the history, or the reason to park the instance."""
        run, reason = self.start(started)
        if run is None:
            return None, reason
        try:
            run.replay(history)
        except NonDeterminismError as error:
            run.close()
            return None, str(error)
        return run, None

    def why_unknown(self, orchestrator: str) -> str | None:
        """Say, in the words of the extension, that there is no such orchestrator."""
        if self._catalog.orchestrator(orchestrator) is not None:
            return None
        known = ", ".join(f"'{name}'" for name in self._catalog.orchestrator_names)
        return (
            f"The function '{orchestrator}' doesn't exist, is disabled, or is not an orchestrator "
            "function. Additional info: The following are the known orchestrator functions: "
            f"{known}."
        )


def call_outside_of_tasks(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function as if no task were running.

    What an orchestrator does with the current task (`asyncio.timeout`, a `TaskGroup`, `cancel`)
    would hit the host's own, which runs many orchestrators. So it is told that there is none.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001 -- `get_running_loop` raises where there is none
    task = None if loop is None else asyncio.current_task(loop)
    if loop is None or task is None:
        return function(*arguments)
    asyncio._leave_task(loop, task)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- documented for what drives coroutines: "Extending asyncio"
    try:
        return function(*arguments)
    finally:
        asyncio._enter_task(loop, task)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- as above


class ReplaySafeLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that is silent while an orchestrator replays."""

    def __init__(self, logger: logging.Logger, is_silent: Callable[[], bool]) -> None:
        """Wrap a logger."""
        super().__init__(logger, {})
        self._is_silent = is_silent

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 -- logging's name
        """Say no while replaying."""
        return not self._is_silent() and super().isEnabledFor(level)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Leave message and fields as the user gave them."""
        return msg, kwargs


def replay_safe(
    logger: logging.Logger | str, is_silent: Callable[[], bool]
) -> logging.LoggerAdapter[logging.Logger]:
    """Wrap a logger, or the one of this name."""
    return ReplaySafeLogger(
        logging.getLogger(logger) if isinstance(logger, str) else logger, is_silent
    )
