"""How a history and the code that no longer fits it are told apart, and how that is said."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from func_bindings.errors import NonDeterminismError
from func_host.durable.actions import (
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    ScheduleTask,
    SendEvent,
)
from func_host.durable.engine.entities import recorded
from func_host.durable.history import (
    EventSent,
    ExecutionCompleted,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)

if TYPE_CHECKING:
    from func_host.durable.actions import OrchestratorAction
    from func_host.durable.history import ScheduledEvent

OUR_PACKAGES = ("func_host.", "func_bindings.")
_DRIVER = "func_host.durable.engine.replay"


def fits(action: OrchestratorAction, event: ScheduledEvent) -> bool:
    """Tell whether the step that the code asks for is the one that history recorded.

    Kind and name must agree, names without case, as in DTFx; the time of a timer and the result of
    a completion may differ.
    """
    match action, event:
        case ScheduleTask(name=name), TaskScheduled(name=other):
            return name.casefold() == other.casefold()
        case CreateSubOrchestration(name=name), SubOrchestrationInstanceCreated(name=other):
            return name.casefold() == other.casefold() and action.instance_id == event.instance_id
        case CreateTimer(), TimerCreated():
            return True
        case SendEvent(), EventSent():
            return recorded.is_same(action, event)
        case CompleteOrchestration(status=status), ExecutionCompleted(orchestration_status=ended):
            return status is ended
        case _:
            return False


def describe_action(action: OrchestratorAction) -> str:
    """Say what the code asks for."""
    match action:
        case ScheduleTask(id=step, name=name):
            return f"activity '{name}' (step {step})"
        case CreateSubOrchestration(id=step, name=name, instance_id=child):
            return f"sub-orchestration '{name}' with id '{child}' (step {step})"
        case CreateTimer(id=step):
            return f"a timer (step {step})"
        case SendEvent(id=step):
            return recorded.describe(action, step)
        case CompleteOrchestration(id=step, status=status):
            return f"the end of the orchestration as {status.value} (step {step})"
        case _:
            return "continue-as-new"


def describe_event(event: ScheduledEvent) -> str:
    """Say what history recorded."""
    step = event.event_id
    match event:
        case TaskScheduled(name=name):
            return f"activity '{name}' (step {step})"
        case SubOrchestrationInstanceCreated(name=name, instance_id=child):
            return f"sub-orchestration '{name}' with id '{child}' (step {step})"
        case TimerCreated():
            return f"a timer (step {step})"
        case EventSent():
            return recorded.describe(event, step)
        case ExecutionCompleted(orchestration_status=status):
            return f"the end of the orchestration as {status.value} (step {step})"


def mismatch(name: str, expected: str, actual: str, line: str | None) -> NonDeterminismError:
    """Make the error that parks an instance: both steps, the source line and the remedy."""
    where = f" at {line}" if line else ""
    return NonDeterminismError(
        f"Orchestrator '{name}' does not fit its history: history has {expected}, "
        f"the code asks for {actual}{where}. The instance is parked; it goes on after a start with "
        "code that takes the recorded steps in the recorded order."
    )


def calling_line() -> str | None:
    """Give `file:line` of the user code that is asking for a step right now.

    None where no user code is: the engine itself asks, for the next attempt of a retry.
    """
    frame = inspect.currentframe()
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module == _DRIVER:
            return None
        if not module.startswith(OUR_PACKAGES):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def suspended_line(routine: Any) -> str | None:
    """Give `file:line` where a coroutine or generator waits, innermost user frame.

    Of one that has ended it is the line where its function begins.
    """
    code = getattr(routine, "cr_code", None) or getattr(routine, "gi_code", None)
    line = None if code is None else f"{code.co_filename}:{code.co_firstlineno}"
    while routine is not None:
        frame = getattr(routine, "cr_frame", None) or getattr(routine, "gi_frame", None)
        if frame is not None and not frame.f_globals.get("__name__", "").startswith(OUR_PACKAGES):
            line = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        routine = getattr(routine, "cr_await", None) or getattr(routine, "gi_yieldfrom", None)
    return line
