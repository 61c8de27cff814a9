"""Runs activities in this process: a bounded number at a time, in the order they were asked for.

The result of an activity goes to the session of its instance in memory; it becomes durable with the
session's next commit. An activity whose instance has ended runs to its end, and its result is
dropped. One that hosts share is told to the store instead, which sends its result as a message.
"""

from __future__ import annotations

import logging
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from func_bindings.errors import FunctionNotFoundError
from func_host import log
from func_host.durable.engine import failures
from func_host.durable.history import TaskCompleted, TaskFailed
from func_host.durable.worker.recording import ActivityCall
from func_host.invocation.values import dump_json, load_json

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from func_host.clock import Clock
    from func_host.durable.backend import SharedActivity
    from func_host.durable.history import OrchestrationInstance
    from func_host.durable.worker.session import ActivityResult
    from func_host.indexing.functions import IndexedFunction
    from func_host.invocation.invoker import Invocation, Invoker

logger = logging.getLogger(__name__)


class ActivityCatalog(Protocol):
    """The activities of the app."""

    def activity(self, name: str) -> IndexedFunction | None:
        """Give the activity of this name, compared without case."""
        ...

    @property
    def activity_names(self) -> Sequence[str]:
        """The names of all activities."""
        ...

    def is_user_file(self, filename: str) -> bool:
        """Tell whether a stack trace should show frames of this file."""
        ...


class ActivityDispatcher:
    """Queues and runs activities; reports each result once.

    Args:
        catalog: The activities of the app.
        invoker: Calls them.
        clock: Time of the results.
        slots: How many run at a time.
        may_start: Asked before each start; an activity that may not start is forgotten.
        refused: Told of the execution of one that was forgotten.
        deliver: Takes the results of this process's own activities.
        deliver_shared: Takes those of shared ones.
    """

    def __init__(
        self,
        catalog: ActivityCatalog,
        invoker: Invoker,
        clock: Clock,
        *,
        slots: int,
        may_start: Callable[[str], bool],
        refused: Callable[[OrchestrationInstance], None],
        deliver: Callable[[OrchestrationInstance, ActivityResult], None],
        deliver_shared: Callable[[SharedActivity, ActivityResult], None],
    ) -> None:
        self._catalog = catalog
        self._invoker = invoker
        self._clock = clock
        self._free = slots
        self._slots = slots
        self._may_start = may_start
        self._refused = refused
        self._deliver = deliver
        self._deliver_shared = deliver_shared
        self._queue: deque[ActivityCall] = deque()
        self._running: dict[tuple[OrchestrationInstance, int], ActivityCall] = {}
        self._shared: dict[tuple[OrchestrationInstance, int], SharedActivity] = {}
        self._dispatched: dict[OrchestrationInstance, set[int]] = {}
        self._is_starting = False
        self._is_stopping = False
        self._on_idle: Callable[[], None] | None = None

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return self._slots - self._free

    @property
    def has_room(self) -> bool:
        """Whether one more activity would start at once."""
        return self._free > 0 and not self._queue and not self._is_stopping

    def instances(self) -> set[OrchestrationInstance]:
        """Give the executions with activities that wait or run here."""
        return set(self._dispatched)

    def excess(self) -> set[OrchestrationInstance]:
        """Give the executions with activities that wait behind more than one for each slot."""
        return {call.instance for call in islice(self._queue, self._slots, None)}

    def take_waiting(
        self, instance: OrchestrationInstance, *, only_excess: bool = False
    ) -> list[ActivityCall]:
        """Forget the activities of an execution that have not started, and give them.

        With `only_excess` those that wait behind more than one for each slot.
        """
        first = self._slots if only_excess else 0
        taken = [
            call
            for call in islice(self._queue, first, None)
            if call.instance == instance and _key(call) not in self._shared
        ]
        if taken:
            ids = {call.action.id for call in taken}
            self._queue = deque(
                call
                for call in self._queue
                if call.instance != instance or call.action.id not in ids
            )
            for call in taken:
                self._undispatch(call)
        return taken

    def running_of(self, instance: OrchestrationInstance) -> list[ActivityCall]:
        """Give the activities of an execution that run, and are not shared."""
        return [
            call
            for key, call in self._running.items()
            if call.instance == instance and key not in self._shared
        ]

    def share(self, activity: SharedActivity) -> bool:
        """Tell the store of the result of one that runs; False where it runs no more."""
        key = (activity.instance, activity.action.id)
        if key not in self._running:
            return False
        self._shared[key] = activity
        return True

    def run_shared(self, activity: SharedActivity) -> None:
        """Run an activity that hosts share; one that runs here already goes on under it."""
        if not self.share(activity):
            self._shared[activity.instance, activity.action.id] = activity
            self.dispatch([ActivityCall(activity.instance, activity.action)])

    def is_dispatched(self, instance: OrchestrationInstance, task_id: int) -> bool:
        """Tell whether the activity waits or runs here, and its result will be delivered."""
        return task_id in self._dispatched.get(instance, ())

    def dispatch(self, calls: Sequence[ActivityCall]) -> None:
        """Run the activities when it is their turn; one that waits or runs already runs once."""
        for call in calls:
            dispatched = self._dispatched.setdefault(call.instance, set())
            if call.action.id not in dispatched:
                dispatched.add(call.action.id)
                self._queue.append(call)
        self._start_waiting()

    def release(self, instance: OrchestrationInstance) -> None:
        """Drop the results of an execution that is over; what runs is not interrupted."""
        self._dispatched.pop(instance, None)

    def stop(self, on_idle: Callable[[], None]) -> None:
        """Start nothing more; call back once nothing runs."""
        self._is_stopping = True
        self._on_idle = on_idle
        if self.running == 0:
            on_idle()

    def _start_waiting(self) -> None:
        if self._is_starting:  # one that could not be called has freed its slot: the loop goes on
            return
        self._is_starting = True
        try:
            while self._queue and self._free and not self._is_stopping:
                call = self._queue.popleft()
                if _key(call) in self._shared or self._may_start(call.instance.instance_id):
                    self._free -= 1
                    self._running[_key(call)] = call
                    self._start(call)
                elif self._undispatch(call):
                    self._refused(call.instance)
        finally:
            self._is_starting = False

    def _start(self, call: ActivityCall) -> None:
        action = call.action
        activity = self._catalog.activity(action.name)
        if activity is None:
            self._end(call, self._unknown(action.id, action.name))
            return
        fields = {log.FUNCTION_NAME: activity.name, log.INSTANCE_ID: call.instance.instance_id}
        try:
            arguments = _arguments(activity, action.input)
            with log.bind_log_fields(**fields):
                invocation = self._invoker.start(activity, arguments)
        except Exception as error:  # noqa: BLE001 -- a user's class may refuse its input with anything
            self._end(call, self._failed(action.id, action.name, error))
            return
        invocation.outcome.add_done_callback(lambda outcome: self._ended(call, invocation, outcome))

    def _ended(
        self, call: ActivityCall, invocation: Invocation, outcome: asyncio.Future[Any]
    ) -> None:
        action = call.action
        if outcome.cancelled():
            self._running.pop(_key(call), None)
            self._free_slot()
            return
        error = outcome.exception()
        if error is not None:
            result: ActivityResult = self._failed(action.id, action.name, error)
        else:
            try:
                text = dump_json(outcome.result())
            except Exception as unwritable:  # noqa: BLE001 -- properties of a user's class may raise
                result = self._failed(action.id, action.name, unwritable)
            else:
                now = self._clock.now()
                result = TaskCompleted(timestamp=now, task_scheduled_id=action.id, result=text)
        if invocation.released.done():
            self._end(call, result)
        else:
            # The function outlived its time limit: it keeps its slot until it ends.
            logger.warning(
                "activity timed out", extra={log.FUNCTION_NAME: action.name, log.REASON: str(error)}
            )
            self._report(call, result)
            invocation.released.add_done_callback(lambda _: self._free_slot())

    def _end(self, call: ActivityCall, result: ActivityResult) -> None:
        self._report(call, result)
        self._free_slot()

    def _report(self, call: ActivityCall, result: ActivityResult) -> None:
        self._running.pop(_key(call), None)
        is_wanted = self._undispatch(call)
        shared = self._shared.pop(_key(call), None)
        if shared is not None:
            self._deliver_shared(shared, result)
        elif is_wanted:
            self._deliver(call.instance, result)

    def _undispatch(self, call: ActivityCall) -> bool:
        dispatched = self._dispatched.get(call.instance)
        if dispatched is None or call.action.id not in dispatched:
            return False
        dispatched.discard(call.action.id)
        if not dispatched:
            del self._dispatched[call.instance]
        return True

    def _free_slot(self) -> None:
        self._free += 1
        self._start_waiting()
        if self._is_stopping and self.running == 0 and self._on_idle is not None:
            self._on_idle()

    def _failed(self, task_id: int, name: str, error: BaseException) -> TaskFailed:
        failure = failures.failure_of(error, self._catalog.is_user_file)
        logger.info(
            "activity failed", extra={log.FUNCTION_NAME: name, log.REASON: failure.error_type}
        )
        return TaskFailed(
            timestamp=self._clock.now(),
            task_scheduled_id=task_id,
            reason=f"Activity function '{name}' failed: {failures.summary_of(error)}",
            details=failure.stack_trace,
            failure_details=failure,
        )

    def _unknown(self, task_id: int, name: str) -> TaskFailed:
        known = ", ".join(f"'{each}'" for each in self._catalog.activity_names)
        error = FunctionNotFoundError(
            f"The function '{name}' doesn't exist, is disabled, or is not an activity function. "
            f"Additional info: The following are the known activity functions: {known}."
        )
        return self._failed(task_id, name, error)


def _key(call: ActivityCall) -> tuple[OrchestrationInstance, int]:
    return call.instance, call.action.id


def _arguments(activity: IndexedFunction, text: str | None) -> Mapping[str, object]:
    """Give the input to the parameter that takes it; no input leaves a default in force."""
    parameter = activity.trigger.parameter
    if not parameter:
        return {}
    if text is None or text == "null":
        declared = activity.parameters.get(parameter)
        if declared is not None and declared.default is not declared.empty:
            return {}
    return {parameter: None if text is None else load_json(text, activity.input_type)}
