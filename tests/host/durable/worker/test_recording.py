"""What an orchestration sends to entities goes out with the commit that records it."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from func_bindings import EntityId
from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import Fence, Message, MessageId, StoredInstance
from func_host.durable.engine.entities import messages
from func_host.durable.executor import InProcessExecutor
from func_host.durable.history import (
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionTerminated,
    OrchestrationInstance,
)
from func_host.durable.worker.session import Session
from tests.host.durable.engine.driving import SECOND, T0, Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from func_bindings import OrchestrationContext
    from func_host.durable.backend import Commit, OutgoingMessage
    from func_host.durable.history import HistoryEvent, MessageEvent

A = EntityId("Counter", "a")
B = EntityId("Counter", "b")


async def talks(context: OrchestrationContext) -> Any:
    context.signal_entity(A, "add", 1)
    context.signal_entity(B, "add", 2, at=SECOND)
    return await context.call_entity(A, "get")


async def locks(context: OrchestrationContext) -> str:
    async with await context.lock(A, B):
        return await context.wait_for_external_event("go", str)


async def starts_over(context: OrchestrationContext) -> None:
    await context.lock(A)
    context.continue_as_new()


class Orchestrators(Catalog):
    """Knows these functions only."""

    def __init__(self, *functions: Callable[..., Any]) -> None:
        super().__init__()
        self._functions = {each.__name__: each for each in functions}

    def orchestrator(self, name: str) -> Callable[[Any], Any] | None:
        return self._functions.get(name)

    @property
    def orchestrator_names(self) -> Sequence[str]:
        return list(self._functions)


class CountingIds:
    """Ids in order, and no jitter."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new_id(self) -> str:
        return f"id{next(self._numbers)}"

    def jitter(self) -> float:
        return 0.5


class Life:
    """One instance, its session, and what its commits have stored and sent."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.history: list[HistoryEvent] = []
        self.outbox: list[OutgoingMessage] = []
        self.fence = Fence("first", 0)
        self.message_ids = count(1)
        self.load(function)
        self.feed(
            ExecutionStarted(
                timestamp=T0,
                orchestration_instance=OrchestrationInstance("i", "first"),
                name=function.__name__,
            )
        )

    def load(self, *functions: Callable[..., Any]) -> None:
        """Begin a new session over what is stored, in a host that has these functions."""
        executor = InProcessExecutor(Orchestrators(*functions))
        self.session = Session("i", executor, CountingIds())
        stored = StoredInstance(
            instance_id="i",
            fence=self.fence,
            runtime_status=OrchestrationRuntimeStatus.Running,
            custom_status=None,
            history=tuple(self.history),
        )
        self.session.load(stored, lambda _, __: False)

    def feed(self, event: MessageEvent) -> Commit:
        """Feed a message and commit; give the commit."""
        message = Message(MessageId(next(self.message_ids)), event, None)
        self.session.receive([message])
        self.session.advance(T0)
        commit = self.session.take_commit(T0)
        if commit.started is not None:
            self.history = []
            execution_id = commit.started.orchestration_instance.execution_id
            self.fence = Fence(execution_id, 0)
        self.history += commit.events
        self.fence = Fence(self.fence.execution_id, len(self.history))
        self.outbox += commit.outbox
        self.session.committed()
        return commit

    def grant(self) -> Commit:
        """Grant the lock that was asked for last."""
        asked = [each.event for each in self.outbox if isinstance(each.event, EventRaised)]
        return self.feed(messages.granted_event(messages.read_request(asked[-1]), T0))


def targets(commit: Commit) -> list[str]:
    return [
        f"{message.event.name} {message.instance_id}"
        for message in commit.outbox
        if isinstance(message.event, EventRaised)
    ]


def test_messages_to_entities_are_recorded_and_sent_with_one_commit() -> None:
    life = Life(talks)

    recorded = [event for event in life.history if isinstance(event, EventSent)]
    assert [event.event_id for event in recorded] == [0, 1, 2]
    assert [message.instance_id for message in life.outbox] == [
        event.instance_id for event in recorded
    ]
    assert [message.event for message in life.outbox] == [
        EventRaised(timestamp=T0, name=event.name, input=event.input) for event in recorded
    ]
    assert [message.visible_at for message in life.outbox] == [None, T0 + SECOND, None]
    assert {message.execution_id for message in life.outbox} == {None}


def test_an_answer_goes_on_in_another_session() -> None:
    life = Life(talks)
    call = life.outbox[2].event
    assert isinstance(call, EventRaised)
    answer = messages.Response(result="3")
    life.load(talks)

    commit = life.feed(messages.response_event(messages.read_request(call), answer, T0))

    assert commit.status.runtime_status is OrchestrationRuntimeStatus.Completed
    assert commit.status.output == "3"
    assert commit.outbox == ()


def test_locks_are_given_back_with_the_commit_that_ends_the_instance() -> None:
    life = Life(locks)
    life.grant()

    commit = life.feed(EventRaised(timestamp=T0, name="go", input='"done"'))

    assert targets(commit) == ["release @counter@a", "release @counter@b"]
    assert commit.status.output == '"done"'


def test_locks_are_given_back_with_the_commit_that_continues_as_new() -> None:
    life = Life(starts_over)

    commit = life.grant()

    assert commit.started is not None
    assert targets(commit) == ["release @counter@a"]
    assert not any(isinstance(event, EventSent) for event in commit.events)


@pytest.mark.parametrize("is_granted", [True, False])
def test_terminating_a_parked_instance_gives_back_what_its_history_leaves_locked(
    is_granted: bool,
) -> None:
    life = Life(locks)
    if is_granted:
        life.grant()
    life.load()
    assert life.session.parked is not None

    commit = life.feed(ExecutionTerminated(timestamp=T0, input="enough"))

    assert targets(commit) == ["release @counter@a", "release @counter@b"]
    first, second, end = (event for event in commit.events if event.event_id != -1)
    assert isinstance(first, EventSent)
    assert isinstance(second, EventSent)
    assert isinstance(end, ExecutionCompleted)
    assert [first.event_id, second.event_id, end.event_id] == [1, 2, 3]
    assert end.orchestration_status is OrchestrationRuntimeStatus.Terminated
    assert messages.read_release(first).id == messages.read_release(second).id


def test_terminating_a_parked_instance_that_holds_nothing_gives_nothing_back() -> None:
    life = Life(talks)
    life.load()

    commit = life.feed(ExecutionTerminated(timestamp=T0, input="enough"))

    assert commit.outbox == ()
