"""The plain interpreter: what a program may end with, without engine, history or time.

It walks the tree once per way in which races can go. What the world did is given as facts: which
events were stored for the run, in which order, and how each child ended. Two rules say nearly all:
the n-th wait for a name gets the n-th event of that name, and what an orchestrator noted decides
what it asks for next.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.simulation.choosing import Choices
from tests.simulation.compiling import CLEANUP, digest
from tests.simulation.programs import (
    DAY_S,
    UNHEARD,
    Act,
    All,
    Await,
    Begin,
    Child,
    Event,
    Fail,
    Finally,
    First,
    Join,
    Race,
    Repeat,
    Status,
    Timer,
    Try,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.simulation.programs import Call, Program, Statement

PATHS_MAX = 4_000
ACTIVITIES = ("add", "fail", "flaky", "nothing", "slow")
TIMEOUT_S = 5.0
NOT_FOUND = "func_bindings.errors.FunctionNotFoundError"
TIMED_OUT = "func_bindings.errors.FunctionTimeoutError"
TIMED_OUT_TEXT = (
    f"Function 'slow' ran longer than functionTimeout in host.json allows: {TIMEOUT_S:g} s."
)
TASK_FAILED = "func_bindings.errors.TaskFailedError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: `result` is JSON, or plain text where it failed or was terminated."""

    status: str
    result: Any
    custom_status: str | None = None
    failure: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the world did to a run.

    The last two only save work: ways that have already gone elsewhere than the run did are not
    followed to their end. They are what each generation began with, and what the last one noted.
    """

    key: str
    total: int
    events: Mapping[str, Sequence[Any]]
    children: Mapping[str, Sequence[Outcome | None]]
    orchestrators: Sequence[str] = ()
    termination_reasons: Sequence[str] = ()
    generation_totals: Sequence[int] = ()
    last_notes: Sequence[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Done:
    value: Any
    reads: tuple[tuple[str, int], ...] = ()
    is_soon: bool = True


@dataclass(frozen=True, slots=True)
class _Failed:
    kind: str
    text: str
    reason: str
    is_soon: bool = True


@dataclass(frozen=True, slots=True)
class _Never:
    is_soon: bool = False


_Ending: TypeAlias = _Done | _Failed | _Never


class TooManyWaysError(Exception):
    """The program can go too many ways to look at all of them."""


class _StuckError(Exception):
    """On this path the program waits for ever."""


class _ElsewhereError(Exception):
    """This path is not the one that the run went."""


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
    slots: dict[int, _Ending] = field(default_factory=dict[int, Any])

    def run(self) -> Outcome:
        self.total = self.facts.total
        self.events = dict(self.facts.events)
        while True:
            try:
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

    def _value(self, ending: _Ending) -> Any:
        match ending:
            case _Done(value=value):
                self._see(ending)
                return value
            case _Failed(kind=kind, text=text, reason=reason):
                raise _RaisedError(kind, text, reason, is_task=True)
            case _Never():
                raise _StuckError

    def _plain(self, ending: _Ending) -> Any:
        match ending:
            case _Failed(kind=kind, text=text):
                return ["failed", kind, text]
            case _:
                return self._value(ending)

    def _see(self, done: _Done) -> None:
        for name, number in done.reads:
            self.waits[name].served = max(self.waits[name].served, number + 1)

    # Tasks

    def _begin(self, call: Call) -> _Ending:
        match call:
            case Act():
                ending = self._act(call)
            case Child():
                ending = self._child(call)
            case Timer(seconds=seconds):
                ending = _Done(None, is_soon=seconds < DAY_S)
            case Event(name=name):
                ending = self._event(name)
            case All(parts=parts):
                ending = self._all([self._begin(part) for part in parts])
            case First(parts=parts):
                ending = self._first_of([self._begin(part) for part in parts])
        return ending

    def _act(self, act: Act) -> _Ending:
        self.calls += 1
        call = self.calls
        attempts = 1 if act.retry is None else act.retry.attempts
        match act.behaviour:
            case "add":
                ending: _Ending = _Done(added(call, digest(self.total, self.noted)))
            case "nothing":
                ending = _Done(None)
            case "flaky" if act.failures < attempts:
                ending = _Done(call)
            case "fail" | "flaky":
                ending = _task_failure(act.behaviour, "ValueError", f"planned {call}")
            case "slow":
                ending = _task_failure("slow", TIMED_OUT, TIMED_OUT_TEXT)
            case unknown:
                text = _unknown(unknown, "activity", ACTIVITIES)
                ending = _task_failure(unknown, NOT_FOUND, text)
        return ending

    def _child(self, child: Child) -> _Ending:
        """Take the ending from the facts: a child is a run of its own, and judged as one."""
        self.calls += 1
        if child.program == UNHEARD:
            text = _unknown(UNHEARD, "orchestrator", self.facts.orchestrators)
            return _Failed(NOT_FOUND, text, text)
        key = f"{self.facts.key}/{self.generation}/{self.calls}"
        ended = [outcome for outcome in self.facts.children.get(key, ()) if outcome is not None]
        attempts = 1 if child.retry is None else child.retry.attempts
        for outcome in ended:
            if outcome.status == "Completed":
                return _Done(outcome.result, is_soon=False)
        if len(ended) < attempts:
            return _Never()
        last = ended[-1]
        kind, text = last.failure or ("", last.result)
        return _Failed(kind, text, last.result, is_soon=False)

    def _event(self, name: str) -> _Ending:
        waits = self.waits.setdefault(name, _Waits())
        number = waits.asked
        waits.asked += 1
        events = self.events.get(name, ())
        if number >= len(events):
            return _Never()
        return _Done(events[number], ((name, number),), is_soon=False)

    def _all(self, endings: list[_Ending]) -> _Ending:
        failures = [ending for ending in endings if isinstance(ending, _Failed)]
        if failures:
            return failures[self.choices.choose(len(failures))]
        done = [ending for ending in endings if isinstance(ending, _Done)]
        if len(done) < len(endings):
            return _Never()
        reads = tuple(read for ending in done for read in ending.reads)
        is_soon = all(ending.is_soon for ending in done)
        return _Done([ending.value for ending in done], reads, is_soon=is_soon)

    def _first_of(self, endings: list[_Ending]) -> _Ending:
        if all(isinstance(ending, _Never) for ending in endings):
            return _Never()
        _, winner = self._first(endings)
        if isinstance(winner, _Failed):
            return _Done(["failed", winner.kind, winner.text], is_soon=winner.is_soon)
        return winner

    def _first(self, endings: list[_Ending]) -> tuple[int, _Ending]:
        """Choose who may be first: days never win against what takes hours at most."""
        some = [index for index, ending in enumerate(endings) if not isinstance(ending, _Never)]
        if not some:
            raise _StuckError
        if any(endings[index].is_soon for index in some):
            some = [index for index in some if not _takes_days(endings[index])]
        index = some[self.choices.choose(len(some))]
        return index, endings[index]


def _takes_days(ending: _Ending) -> bool:
    return isinstance(ending, _Done) and not ending.is_soon and ending.value is None


def _task_failure(activity: str, kind: str, text: str) -> _Failed:
    reason = f"Activity function '{activity}' failed: {kind.rpartition('.')[2]}: {text}"
    return _Failed(kind, text, reason)


def added(call: int, total: int) -> int:
    """Give what the activity `add` answers."""
    return (total * 31 + call) % 1_000_003


def _unknown(name: str, kind: str, known: Sequence[str]) -> str:
    names = ", ".join(f"'{each}'" for each in known)
    return (
        f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. "
        f"Additional info: The following are the known {kind} functions: {names}."
    )
