"""The plain interpreter: what a program may end with, without engine, history or time.

It walks the tree once per way in which races can go. What the world did is given as facts: which
events were stored for the run, in which order, how each child ended, and what entities have done.
Two rules say nearly all: the n-th wait for a name gets the n-th event of that name, and what an
orchestrator noted decides what it asks for next.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.choosing import Choices
from tests.simulation.endings import (
    ACTIVITIES,
    NOT_FOUND,
    TASK_FAILED,
    TIMED_OUT,
    TIMED_OUT_TEXT,
    UNHEARD_TEXT,
    Done,
    Failed,
    Never,
    Outcome,
    added,
    failure_reason,
    takes_days,
    task_failure,
    unknown,
)
from tests.simulation.frames import CLEANUP, amount_of, digest
from tests.simulation.operations import UNHEARD_ENTITY, operation_input
from tests.simulation.programs import (
    DAY_S,
    UNHEARD,
    Act,
    Again,
    All,
    Await,
    Begin,
    Child,
    Event,
    Fail,
    Finally,
    First,
    Join,
    Keep,
    Lock,
    Operate,
    Race,
    Refused,
    Repeat,
    Signal,
    Status,
    Timer,
    Try,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.simulation.endings import Ending, Facts
    from tests.simulation.operations import Operation
    from tests.simulation.programs import Call, Program, Statement

PATHS_MAX = 4_000


class TooManyWaysError(Exception):
    """The program can go too many ways to look at all of them."""


class _StuckError(Exception):
    """On this path the program waits for ever."""


class _ElsewhereError(Exception):
    """This path is not the one that the run went."""


class _AgainError(Exception):
    """The program continues as new before its end."""


class _RaisedError(Exception):
    def __init__(self, kind: str, text: str, reason: str, *, is_task: bool) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.reason = reason
        self.is_task = is_task


def outcomes(program: Program, facts: Facts) -> Iterator[Outcome]:
    """Give every way in which the run may end; one may come more than once."""
    for reason in facts.termination_reasons:
        yield Outcome(status="Terminated", result=reason)
    choices = Choices()
    for _ in range(PATHS_MAX):
        with suppress(_StuckError, _ElsewhereError):
            yield _Interpreter(program, facts, choices).run()
        if not choices.advance():
            return
    raise TooManyWaysError(program.name)


@dataclass(slots=True)
class _Waits:
    """The waits for one name in one generation."""

    asked: int = 0
    served: int = 0  # at least so many have got their event


@dataclass(slots=True)
class _Interpreter:
    program: Program
    facts: Facts
    choices: Choices
    generation: int = 0
    total: int = 0
    calls: int = 0
    custom_status: str | None = None
    noted: list[Any] = field(default_factory=list[Any])
    events: dict[str, Sequence[Any]] = field(default_factory=dict[str, Any])
    waits: dict[str, _Waits] = field(default_factory=dict[str, _Waits])
    slots: dict[int, Ending] = field(default_factory=dict[int, Any])

    def run(self) -> Outcome:
        self.total = self.facts.total
        self.events = dict(self.facts.events)
        while True:
            try:
                with suppress(_AgainError):
                    self._block(self.program.body)
            except _RaisedError as error:
                return self._failed(error)
            if self.generation + 1 >= self.program.generations:
                return Outcome(
                    status="Completed",
                    result={"total": self.total, "noted": self.noted},
                    custom_status=self.custom_status,
                )
            self._continue_as_new()

    def _failed(self, error: _RaisedError) -> Outcome:
        # A task's failure, uncaught, is told by its reason.
        text = error.reason if error.is_task else error.text
        return Outcome(
            status="Failed",
            result=f"Orchestrator function '{self.program.name}' failed: {text}",
            custom_status=self.custom_status,
            failure=(TASK_FAILED if error.is_task else error.kind, text),
        )

    def _continue_as_new(self) -> None:
        """Begin the next generation with the events that no wait of this one has eaten."""
        self.custom_status = None
        for name, waits in self.waits.items():
            events = self.events.get(name, ())
            eaten_max = min(waits.asked, len(events))
            eaten = waits.served + self.choices.choose(eaten_max - waits.served + 1)
            self.events[name] = events[eaten:]
        self.total = digest(self.total, self.noted)
        self.generation += 1
        totals = self.facts.generation_totals
        if totals and totals[self.generation : self.generation + 1] != [self.total]:
            raise _ElsewhereError
        self.calls = 0
        self.noted = []
        self.custom_status = None
        self.waits = {}
        self.slots = {}

    # Statements

    def _block(self, body: Sequence[Statement]) -> None:
        for statement in body:
            self._statement(statement)
            self._follow()

    def _follow(self) -> None:
        notes = self.facts.last_notes
        if notes is None or self.generation + 1 < self.program.generations:
            return
        if self.noted != notes[: len(self.noted)]:
            raise _ElsewhereError

    def _statement(self, statement: Statement) -> None:
        match statement:
            case Await(call=call):
                self.noted.append(self._value(self._begin(call)))
            case Begin(slot=slot, call=call):
                self.slots[slot] = self._begin(call)
            case Join(slot=slot):
                self.noted.append(self._value(self.slots[slot]))
            case Race(parts=parts):
                index, winner = self._first([self._begin(part) for part in parts])
                self.noted.append(["won", index, self._plain(winner)])
            case Fail(text=text):
                raise _RaisedError("ValueError", text, text, is_task=False)
            case Status(text=text):
                self.custom_status = text
            case Try() | Finally() | Repeat():
                self._nested(statement)
            case Signal() | Lock() | Refused() | Again() | Keep():
                self._about_entities(statement)

    def _about_entities(self, statement: Signal | Lock | Refused | Again | Keep) -> None:
        """Do what has to do with entities: a lock is granted sooner or later."""
        match statement:
            case Signal(operation=operation):
                self._sent(operation)
            case Lock(entities=entities, body=body):
                self.noted.append(["locked", *sorted(set(entities))])
                self._block(body)
            case Refused(what=what):
                self.noted.append(["refused", what])
            case Again() if self.generation + 1 < self.program.generations:
                raise _AgainError
            case Again() | Keep():
                pass

    def _nested(self, statement: Try | Finally | Repeat) -> None:
        match statement:
            case Try(body=body, catches_all=catches_all):
                self._try(body, catches_all=catches_all)
            case Finally(body=body):
                self._finally(body)
            case Repeat(times=times, body=body):
                for _ in range(times):
                    self._block(body)

    def _try(self, body: Sequence[Statement], *, catches_all: bool) -> None:
        try:
            self._block(body)
        except _RaisedError as error:
            if not (error.is_task or catches_all):
                raise
            self.noted.append(["caught", error.kind, error.text])

    def _finally(self, body: Sequence[Statement]) -> None:
        raised: _RaisedError | None = None
        try:
            self._block(body)
        except _RaisedError as error:
            raised = error
        self.noted.append("finally")
        self.noted.append(self._value(self._begin(CLEANUP)))
        if raised is not None:
            raise raised

    def _value(self, ending: Ending) -> Any:
        match ending:
            case Done(value=value):
                self._see(ending)
                return value
            case Failed(kind=kind, text=text, reason=reason):
                raise _RaisedError(kind, text, reason, is_task=True)
            case Never():
                raise _StuckError

    def _plain(self, ending: Ending) -> Any:
        match ending:
            case Failed(kind=kind, text=text):
                return ["failed", kind, text]
            case _:
                return self._value(ending)

    def _see(self, done: Done) -> None:
        for name, number in done.reads:
            self.waits[name].served = max(self.waits[name].served, number + 1)

    # Tasks

    def _begin(self, call: Call) -> Ending:
        match call:
            case Act():
                ending = self._act(call)
            case Child():
                ending = self._child(call)
            case Timer(seconds=seconds):
                ending = Done(None, is_soon=seconds < DAY_S)
            case Event(name=name):
                ending = self._event(name)
            case All(parts=parts):
                ending = self._all([self._begin(part) for part in parts])
            case First(parts=parts):
                ending = self._first_of([self._begin(part) for part in parts])
            case Operate():
                ending = self._operate(call)
        return ending

    def _act(self, act: Act) -> Ending:
        self.calls += 1
        call = self.calls
        attempts = 1 if act.retry is None else act.retry.attempts
        match act.behaviour:
            case "add":
                ending: Ending = Done(added(call, digest(self.total, self.noted)))
            case "nothing":
                ending = Done(None)
            case "flaky" if act.failures < attempts:
                ending = Done(call)
            case "fail" | "flaky":
                ending = task_failure(act.behaviour, "ValueError", f"planned {call}")
            case "slow":
                ending = task_failure("slow", TIMED_OUT, TIMED_OUT_TEXT)
            case other:
                text = unknown(other, "activity", ACTIVITIES)
                ending = task_failure(other, NOT_FOUND, text)
        return ending

    def _child(self, child: Child) -> Ending:
        """Take the ending from the facts: a child is a run of its own, and judged as one."""
        self.calls += 1
        if child.program == UNHEARD:
            text = unknown(UNHEARD, "orchestrator", self.facts.orchestrators)
            return Failed(NOT_FOUND, text, text)
        key = f"{self.facts.key}/{self.generation}/{self.calls}"
        ended = [outcome for outcome in self.facts.children.get(key, ()) if outcome is not None]
        attempts = 1 if child.retry is None else child.retry.attempts
        for outcome in ended:
            if outcome.status == "Completed":
                return Done(outcome.result, is_soon=False)
        if len(ended) < attempts:
            return Never()
        last = ended[-1]
        kind, text = last.failure or ("", last.result)
        return Failed(kind, text, last.result, is_soon=False)

    def _operate(self, operate: Operate) -> Ending:
        """Take the answer from the facts: what it must be is judged where the entity commits."""
        key = self._sent(operate.operation)
        if operate.entity == UNHEARD_ENTITY:
            return Failed(NOT_FOUND, UNHEARD_TEXT, UNHEARD_TEXT, is_soon=False)
        effect = self.facts.effects.get(key)
        if effect is None:
            return Never()
        if effect.failure is None:
            return Done(effect.result, is_soon=False)
        reason = failure_reason(operate.entity, operate.operation.name, effect.failure)
        return Failed("ValueError", effect.failure, reason, is_soon=False)

    def _sent(self, operation: Operation) -> str:
        """Give the key of what is sent to an entity; it has arrived as it should."""
        self.calls += 1
        key = f"{self.facts.key}/{self.generation}/{self.calls}"
        amount = amount_of(digest(self.total, self.noted))
        if self.facts.operations.get(key) != operation_input(key, amount, operation):
            raise _ElsewhereError
        return key

    def _event(self, name: str) -> Ending:
        waits = self.waits.setdefault(name, _Waits())
        number = waits.asked
        waits.asked += 1
        events = self.events.get(name, ())
        if number >= len(events):
            return Never()
        return Done(events[number], ((name, number),), is_soon=False)

    def _all(self, endings: list[Ending]) -> Ending:
        failures = [ending for ending in endings if isinstance(ending, Failed)]
        if failures:
            return failures[self.choices.choose(len(failures))]
        done = [ending for ending in endings if isinstance(ending, Done)]
        if len(done) < len(endings):
            return Never()
        reads = tuple(read for ending in done for read in ending.reads)
        is_soon = all(ending.is_soon for ending in done)
        return Done([ending.value for ending in done], reads, is_soon=is_soon)

    def _first_of(self, endings: list[Ending]) -> Ending:
        if all(isinstance(ending, Never) for ending in endings):
            return Never()
        _, winner = self._first(endings)
        if isinstance(winner, Failed):
            return Done(["failed", winner.kind, winner.text], is_soon=winner.is_soon)
        return winner

    def _first(self, endings: list[Ending]) -> tuple[int, Ending]:
        """Choose who may be first: days never win against what takes hours at most."""
        some = [index for index, ending in enumerate(endings) if not isinstance(ending, Never)]
        if not some:
            raise _StuckError
        if any(endings[index].is_soon for index in some):
            some = [index for index in some if not takes_days(endings[index])]
        index = some[self.choices.choose(len(some))]
        return index, endings[index]
