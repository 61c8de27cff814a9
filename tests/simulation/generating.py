"""Draws random programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.chance import stream
from tests.simulation.generating_entities import OperationDraw, draw_entities
from tests.simulation.operations import UNHEARD_ENTITY
from tests.simulation.programs import (
    DAY_S,
    UNHEARD,
    Act,
    Again,
    All,
    Await,
    Begin,
    Call,
    Child,
    Event,
    Fail,
    Finally,
    First,
    Join,
    Keep,
    Lock,
    Operate,
    Program,
    Race,
    Refused,
    Repeat,
    Retry,
    Signal,
    Statement,
    Status,
    Timer,
    Try,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.chance import Chance

EVENT_NAMES = ("alpha", "beta")
_WAITS_S = (0.0, 0.001, 0.5, 5.0, 60.0, 3_600.0)
_DAYS_S = (DAY_S, 3 * DAY_S)
_SIMPLE = ("await", "await", "await", "await", "begin", "race", "status")
_NESTED = (*_SIMPLE, "try", "try", "finally", "repeat")


def draw_programs(seed: int) -> tuple[Program, ...]:
    """Draw some programs: each starts only later ones as children, only the first takes days."""
    chance = stream(seed, "programs")
    count = chance.randint(1, 4)
    names = [f"program_{index}" for index in range(count)]
    has_days = chance.random() < 0.25
    entities = draw_entities(seed)
    return tuple(
        _ProgramDraw(
            chance, names[index + 1 :], entities, has_days=has_days and index == 0
        ).program(name)
        for index, name in enumerate(names)
    )


class _ProgramDraw:
    def __init__(
        self,
        chance: Chance,
        children: list[str],
        entities: Sequence[str],
        *,
        has_days: bool,
    ) -> None:
        self._chance = chance
        self._children = children
        self._operations = OperationDraw(chance, entities, children)
        self._has_entities = bool(entities)
        self._locked: tuple[str, ...] = ()
        self._has_days = has_days
        self._slots = 0
        self._races_left = 3

    def program(self, name: str) -> Program:
        chance = self._chance
        generations = chance.choice((1, 1, 1, 2, 3))
        if generations > 1:
            self._has_days = False
            self._races_left = 1
        body = self._block(chance.randint(1, 4), depth=0)
        if generations > 1 and self._has_entities and chance.random() < 0.3:
            body = (*body, self._lock(0, ends_with=(Again(),)))
        if self._has_entities and chance.random() < 0.15:
            body = (*body, Keep(self._operations.some_entities(), chance.random() < 0.6))
        if chance.random() < 0.1:
            body = (*body, Fail(f"{name} fails"))
        return Program(
            name=name, is_async=chance.random() < 0.6, body=body, generations=generations
        )

    def _block(self, count: int, depth: int) -> tuple[Statement, ...]:
        statements: list[Statement] = []
        for _ in range(count):
            statements += self._statements(depth)
        return tuple(statements)

    def _statements(self, depth: int) -> list[Statement]:
        chance = self._chance
        kind = chance.choice(_NESTED if depth < 2 else _SIMPLE)
        match kind:
            case "begin":
                drawn: list[Statement] = self._begin(depth)
            case "race" if self._races_left > 0:
                drawn = [self._race()]
            case "status":
                drawn = [Status(chance.choice((None, "one", "two", "three")))]
            case "try":
                drawn = [self._try(depth)]
            case "finally":
                drawn = [Finally(self._block(chance.randint(1, 2), depth + 1))]
            case "repeat":
                drawn = [self._repeat(depth)]
            case _ if self._has_entities and chance.random() < 0.4:
                drawn = [self._about_entities(depth)]
            case _:
                drawn = [Await(self._call(0))]
        return drawn

    def _about_entities(self, depth: int) -> Statement:
        chance, draw = self._chance, self._operations
        drawn = chance.random()
        if self._locked:
            return self._in_section(drawn)
        if drawn < 0.35 and depth < 2:
            return self._lock(depth)
        if drawn < 0.65:
            return Signal(draw.entity(), draw.operation(), draw.delay_s())
        return Await(self._operate())

    def _lock(self, depth: int, ends_with: tuple[Statement, ...] = ()) -> Lock:
        """Lock some entities; inside, one call after the other is made to them."""
        saved = self._has_days
        self._has_days = False
        self._locked = self._operations.some_entities()
        body = self._block(self._chance.randint(1, 3), depth + 1)
        lock = Lock(self._locked, (*body, *ends_with))
        self._locked = ()
        self._has_days = saved
        return lock

    def _in_section(self, drawn: float) -> Statement:
        draw = self._operations
        held = self._chance.choice(self._locked)
        other = draw.other_entity(self._locked)
        if drawn < 0.1:
            return Refused(self._chance.choice(("signal", "lock", "program_0")), held)
        if drawn < 0.3 and other is not None:
            if self._chance.random() < 0.3:
                return Refused("call", other)
            return Signal(other, draw.operation(), draw.delay_s())
        return Await(Operate(held, draw.operation()))

    def _operate(self) -> Operate:
        draw = self._operations
        if self._chance.random() < 0.03:
            return Operate(UNHEARD_ENTITY, draw.operation())
        return Operate(draw.entity(), draw.operation())

    def _begin(self, depth: int) -> list[Statement]:
        """Begin a task, and maybe join it once, twice or never."""
        self._slots += 1
        slot = self._slots
        between = self._block(self._chance.randint(0, 2), depth + 1)
        joins = [Join(slot)] * self._chance.choice((0, 1, 1, 2))
        return [Begin(slot, self._call(0)), *between, *joins]

    def _race(self) -> Race:
        self._races_left -= 1
        self._slots += 1
        parts = [self._call(1) for _ in range(self._chance.randint(0, 2))]
        parts.insert(self._chance.randint(0, len(parts)), self._sure_call())
        return Race(self._slots, tuple(parts), cancels=self._chance.random() < 0.7)

    def _try(self, depth: int) -> Try:
        body = self._block(self._chance.randint(1, 2), depth + 1)
        catches_all = self._chance.random() < 0.5
        if self._chance.random() < 0.5:
            body = (*body, Fail("inside a try")) if catches_all else (*body, Await(self._failing()))
        return Try(body, catches_all)

    def _repeat(self, depth: int) -> Repeat:
        saved = self._has_days, self._races_left
        self._has_days = False
        self._races_left = min(self._races_left, 1)
        body = self._block(self._chance.randint(1, 2), depth + 1)
        self._has_days = saved[0]
        self._races_left = 0
        return Repeat(self._chance.randint(2, 3), body)

    # Calls

    def _call(self, depth: int) -> Call:
        if self._has_entities and not self._locked and self._chance.random() < 0.15:
            return self._operate()
        drawn = self._chance.random()
        if drawn < 0.45:
            return self._act()
        if drawn < 0.6 and self._children and not self._locked:
            return self._child()
        if drawn < 0.72:
            return self._timer()
        return self._waiting_call(drawn, depth)

    def _waiting_call(self, drawn: float, depth: int) -> Call:
        chance = self._chance
        if drawn < 0.85:
            return Event(chance.choice(EVENT_NAMES))
        if depth >= 2:
            return self._act()
        parts = tuple(self._call(depth + 1) for _ in range(chance.choice((0, 1, 2, 3, 6))))
        if drawn < 0.95 or self._races_left <= 0:
            return All(parts)
        self._races_left -= 1
        return First((*parts[:2], self._sure_call()))

    def _sure_call(self) -> Call:
        return self._timer() if self._chance.random() < 0.6 else self._act()

    def _timer(self) -> Timer:
        if self._has_days and self._chance.random() < 0.5:
            self._has_days = False
            return Timer(self._chance.choice(_DAYS_S))
        return Timer(self._chance.choice(_WAITS_S))

    def _child(self) -> Child:
        chance = self._chance
        has_own_id = chance.random() < 0.3
        retry = None if has_own_id or chance.random() < 0.7 else self._retry()
        program = UNHEARD if chance.random() < 0.05 else chance.choice(self._children)
        return Child(program=program, has_own_id=has_own_id, retry=retry)

    def _act(self) -> Act:
        if self._chance.random() < 0.75:
            return Act(behaviour=self._chance.choice(("add", "add", "add", "nothing")))
        return self._failing()

    def _failing(self) -> Act:
        chance = self._chance
        behaviour = chance.choice(("fail", "flaky", "flaky", "flaky", "slow", UNHEARD))
        retry = None if chance.random() < 0.3 else self._retry()
        return Act(behaviour=behaviour, failures=chance.randint(0, 3), retry=retry)

    def _retry(self) -> Retry:
        chance = self._chance
        return Retry(chance.randint(1, 3), chance.choice((1, 500, 30_000)), chance.choice((1, 2)))
