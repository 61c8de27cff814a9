"""One session of an entity by itself: what it runs, and what its commits say."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from func_bindings.durable.entities import EntityId
from func_bindings.durable.status import OrchestrationRuntimeStatus
from func_host.durable.backend import Fence, Message, MessageId, StoredInstance
from func_host.durable.engine import commit as planning
from func_host.durable.engine.entities import messages
from func_host.durable.entity_executor import (
    BatchResult,
    OperationOutcome,
    SentSignal,
    StartedOrchestration,
)
from func_host.durable.history import EventRaised, ExecutionStarted, ExecutionTerminated, Failure
from func_host.durable.worker.entity_session import EntitySession
from func_host.testing.clock import START
from tests.host.durable.worker.world import CountingIds

if TYPE_CHECKING:
    from func_host.durable.backend import Commit
    from func_host.durable.engine.entities.messages import Request
    from func_host.durable.engine.entities.scheduler import Batch
    from func_host.durable.history import MessageEvent

ME = "@counter@k"
SECOND = timedelta(seconds=1)


def operation(name: str, *, parent: str | None = None, due_s: int | None = None) -> EventRaised:
    """Make a call of an orchestration, or a signal of a client."""
    request = messages.operation(
        id=f"id-of-{name}",
        op=name,
        is_signal=parent is None,
        parent=parent,
        parent_execution=None if parent is None else f"{parent}-run",
        due=None if due_s is None else START + due_s * SECOND,
    )
    return messages.request_event(request, START)


def lock(owner: str, *targets: str) -> EventRaised:
    """Make the request for a lock over these entities."""
    request = messages.lock(
        id=f"lock-of-{owner}",
        parent=owner,
        parent_execution=f"{owner}-run",
        targets=tuple(("counter", key) for key in targets or ("k",)),
        stamp=1,
        predecessor=0,
    )
    return messages.request_event(request, START)


def outcome(
    result: str | None = None,
    *,
    failure: Failure | None = None,
    signals: tuple[SentSignal, ...] = (),
    starts: tuple[StartedOrchestration, ...] = (),
) -> OperationOutcome:
    """Make how an operation went."""
    text = None if failure is None else f"failed: {failure.error_message}"
    return OperationOutcome(
        result=result, failure=failure, error_text=text, signals=signals, starts=starts
    )


class Driven:
    """A session over an entity that its first message has made; commits always succeed."""

    def __init__(self, *, batch_max: int = 100) -> None:
        self.session = EntitySession(ME, CountingIds(), window=0, batch_max=batch_max)
        self.now = START
        self.stored = ""
        self.message_id = 0
        self.load()

    def load(self) -> None:
        """Load what is stored, as after a crash."""
        start = ExecutionStarted(
            timestamp=START,
            orchestration_instance=self.session.committed_instance,
            name=ME,
            input=self.stored,
        )
        self.session.load(
            StoredInstance(
                instance_id=ME,
                fence=Fence("first", 3 if self.stored else 0),
                runtime_status=OrchestrationRuntimeStatus.Running,
                custom_status=None,
                history=(start,) if self.stored else (),
            )
        )

    def receive(self, *events: MessageEvent) -> None:
        """Let messages arrive."""
        for event in events:
            self.message_id += 1
            self.session.receive([Message(MessageId(self.message_id), event)])

    def begin(self, *events: MessageEvent, why_unknown: str | None = None) -> Batch:
        """Let messages arrive, and begin a batch, which there must be."""
        self.receive(*events)
        batch = self.session.begin(self.now, why_unknown)
        assert batch is not None
        return batch

    def finish(
        self, *outcomes: OperationOutcome, state: str | None = "1", why_unknown: str | None = None
    ) -> Commit:
        """End a batch and commit it."""
        result = BatchResult(outcomes=outcomes, state=state) if outcomes else None
        self.session.finish(result, why_unknown, self.now)
        commit = self.session.take_commit(self.now)
        assert commit.started is not None
        self.stored = commit.started.input or ""
        self.has_more = self.session.committed()
        return commit


def sent(commit: Commit) -> list[tuple[str, str]]:
    """Give to whom a commit sends which events."""
    return [
        (one.instance_id, one.event.name if isinstance(one.event, EventRaised) else "start")
        for one in commit.outbox
    ]


def request_of(commit: Commit, place: int = 0) -> Request:
    """Give a request that a commit sends."""
    event = commit.outbox[place].event
    assert isinstance(event, EventRaised)
    return messages.read_request(event)


def names(batch: Batch) -> list[str | None]:
    """Give the names of the operations of a batch."""
    return [one.op for one in batch.operations]


def test_what_waits_together_is_one_batch_and_one_commit() -> None:
    """It consumes all of it, and replaces what is stored."""
    driven = Driven()
    batch = driven.begin(operation("a"), operation("b"))
    commit = driven.finish(outcome(), outcome(), state="2")

    assert names(batch) == ["a", "b"]
    assert commit.consumed == (1, 2)
    assert [type(event).__name__ for event in commit.events] == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "OrchestratorCompleted",
    ]
    assert commit.started is not None
    assert commit.started.input == '{"exists":true,"state":"2","sorter":{}}'
    assert commit.status.custom_status == '{"entityExists":true}'
    assert commit.status.runtime_status is OrchestrationRuntimeStatus.Running


def test_each_commit_stands_on_the_one_before() -> None:
    """The fence is its execution."""
    driven = Driven()
    driven.begin(operation("a"))
    first = driven.finish(outcome())
    driven.begin(operation("b"))
    second = driven.finish(outcome())

    assert first.fence == Fence("first", 0)
    assert first.started is not None
    assert second.fence == Fence(first.started.orchestration_instance.execution_id, 3)


def test_a_call_is_answered_and_a_signal_is_not() -> None:
    """To the execution that called."""
    driven = Driven()
    driven.begin(operation("call", parent="o"), operation("signal"))
    commit = driven.finish(outcome("5"), outcome("6"))

    assert sent(commit) == [("o", "id-of-call")]
    assert commit.outbox[0].execution_id == "o-run"
    assert isinstance(commit.outbox[0].event, EventRaised)
    assert commit.outbox[0].event.input == '{"result":"5"}'


def test_a_failure_is_told_to_its_caller() -> None:
    """In the words of both schedulers."""
    driven = Driven()
    driven.begin(operation("call", parent="o"))
    commit = driven.finish(outcome(failure=Failure(error_type="ValueError", error_message="no")))

    event = commit.outbox[0].event
    assert isinstance(event, EventRaised)
    response = messages.read_response(event.input)
    assert (response.exception_type, response.result) == ("ValueError", "failed: no")
    assert response.failure_details is not None
    assert response.failure_details.error_message == "no"


def test_signals_and_starts_leave_with_the_commit() -> None:
    """A delayed one is seen when it is due; a start wants no answer."""
    due = START + 60 * SECOND
    other = EntityId("Other", "x")
    driven = Driven()
    driven.begin(operation("a"))
    commit = driven.finish(
        outcome(
            signals=(SentSignal(other, "now", "1", None), SentSignal(other, "later", "2", due)),
            starts=(StartedOrchestration("Child", "child", "3", None),),
        )
    )

    assert sent(commit) == [
        ("@other@x", "op"),
        (
            "@other@x",
            "op@2026-01-01T00:01:00.0000000Z".replace(
                "2026-01-01T00:01:00", f"{due:%Y-%m-%dT%H:%M:%S}"
            ),
        ),
        ("child", "start"),
    ]
    assert [one.visible_at for one in commit.outbox] == [None, due, None]
    assert request_of(commit).parent == ME
    start = commit.outbox[2].event
    assert isinstance(start, ExecutionStarted)
    assert planning.is_detached(start)
    assert start.parent_instance is not None
    assert start.parent_instance.name == ME


def test_a_lock_is_granted_after_the_operations_before_it() -> None:
    """Its owner is told, and others wait in what is stored."""
    driven = Driven()
    batch = driven.begin(operation("before"), lock("o"), operation("after"))
    commit = driven.finish(outcome())

    assert names(batch) == ["before"]
    assert sent(commit) == [("o", "lock-of-o")]
    assert commit.status.custom_status == '{"entityExists":true,"queueSize":1,"lockedBy":"o"}'
    assert commit.open_activities == 1
    assert not driven.has_more


def test_an_entity_that_is_locked_is_looked_at_again_after_a_crash() -> None:
    """Its owner may be gone, and nothing may ever be sent to it that would bring it up."""
    driven = Driven()
    driven.begin(lock("o"))
    locked = driven.finish()
    driven.begin(messages.release_event("o", "lock-of-o", START))
    free = driven.finish()

    assert (locked.open_activities, free.open_activities) == (1, 0)


def test_a_lock_over_several_is_handed_on() -> None:
    """To the next in its list."""
    driven = Driven()
    driven.begin(lock("o", "k", "m"))
    commit = driven.finish()

    assert sent(commit) == [("@counter@m", "op")]
    assert request_of(commit).pos == 1


def test_a_lock_that_is_given_back_lets_others_go_on_at_once() -> None:
    """In the same commit, also after a crash."""
    driven = Driven()
    driven.begin(lock("o"), operation("waits", parent="p"))
    driven.finish()
    driven.load()
    batch = driven.begin(messages.release_event("o", "lock-of-o", START))
    commit = driven.finish(outcome("1"))

    assert names(batch) == ["waits"]
    assert sent(commit) == [("p", "id-of-waits")]
    assert commit.open_activities == 0


def test_more_than_a_batch_is_done_in_turns() -> None:
    """The rest stays where it is."""
    driven = Driven(batch_max=2)
    batch = driven.begin(*(operation(one) for one in "abc"))
    commit = driven.finish(outcome(), outcome())

    assert (names(batch), commit.consumed) == (["a", "b"], (1, 2))
    assert driven.session.has_work


def test_an_operation_that_comes_too_early_is_sent_on() -> None:
    """A queue holds a message for some days only."""
    driven = Driven()
    batch = driven.begin(operation("later", due_s=60))
    commit = driven.finish()

    assert names(batch) == []
    assert commit.outbox[0].visible_at == START + 60 * SECOND
    assert commit.outbox[0].instance_id == ME


def test_nothing_to_do_is_no_commit() -> None:
    """A message that was handed out twice, for instance."""
    driven = Driven()

    assert driven.session.begin(START, None) is None


def test_what_means_nothing_to_an_entity_is_consumed() -> None:
    """Nothing may hold up what comes behind it; what cannot be read is told."""
    driven = Driven()
    batch = driven.begin(
        ExecutionTerminated(timestamp=START, input="end"),
        EventRaised(timestamp=START, name="hello", input="1"),
        EventRaised(timestamp=START, name="op", input="1"),
        operation("a"),
    )
    commit = driven.finish(outcome())

    assert names(batch) == ["a"]
    assert commit.consumed == (1, 2, 3, 4)
    assert len(driven.session.unreadable) == 1


def test_without_a_function_callers_are_told_and_signals_wait() -> None:
    """The entity says why, until an app has the function again."""
    driven = Driven()
    driven.begin(operation("s"), operation("c", parent="o"), why_unknown="no such function")
    commit = driven.finish(why_unknown="no such function", state=None)

    assert sent(commit) == [("o", "id-of-c")]
    assert commit.status.parked == "no such function"
    assert commit.open_activities == 1
    assert not driven.has_more
    driven.load()
    assert names(driven.begin()) == ["s"]
    assert driven.finish(outcome()).status.parked is None


def test_a_batch_that_was_given_up_is_begun_anew() -> None:
    """The store hands its messages out again."""
    driven = Driven()
    driven.begin(operation("a"))
    driven.session.discard()
    driven.load()

    assert driven.session.begin(START, None) is None
    driven.session.receive([Message(MessageId(1), operation("a"))])
    batch = driven.session.begin(START, None)
    assert batch is not None
    assert names(batch) == ["a"]


def test_the_state_of_a_deleted_entity_is_gone() -> None:
    """Its status says that it does not exist."""
    driven = Driven()
    driven.begin(operation("a"))
    driven.finish(outcome())
    driven.begin(operation("delete"))
    commit = driven.finish(outcome(), state=None)

    assert commit.started is not None
    assert (commit.started.input, commit.status.custom_status) == ('{"sorter":{}}', "{}")
