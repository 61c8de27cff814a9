"""Draws random programs, and a plan of what goes wrong while they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from func_host.durable.worker.settings import WorkerSettings
from tests.simulation.chance import stream
from tests.simulation.programs import (
    DAY_S,
    UNHEARD,
    Act,
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
    Program,
    Race,
    Repeat,
    Retry,
    Statement,
    Status,
    Timer,
    Try,
)

if TYPE_CHECKING:
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
    return tuple(
        _ProgramDraw(chance, names[index + 1 :], has_days=has_days and index == 0).program(name)
        for index, name in enumerate(names)
    )


class _ProgramDraw:
    def __init__(self, chance: Chance, children: list[str], *, has_days: bool) -> None:
        self._chance = chance
        self._children = children
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
            case _:
                drawn = [Await(self._call(0))]
        return drawn

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
        drawn = self._chance.random()
        if drawn < 0.45:
            return self._act()
        if drawn < 0.6 and self._children:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What goes wrong, and how often; nothing does after `faults_until_s`."""

    faults_until_s: float
    crash_rate: float
    unavailable_rate: float
    redelivery_rate: float
    latency_max_s: float
    crash_times_s: tuple[float, ...]
    restart_times_s: tuple[float, ...]
    starts: int
    replace_rate: float
    terminate_rate: float
    suspend_rate: float
    again_rate: float
    worker: WorkerSettings


def draw_plan(seed: int) -> Plan:
    """Draw how rough the world is: some seeds are calm, some are not."""
    chance = stream(seed, "plan")
    until_s = chance.choice((1.0, 10.0, 100.0, 4_000.0))
    is_rough = chance.random() < 0.85
    crashes = chance.choice((0, 1, 2, 4)) if is_rough else 0
    restarts = chance.choice((0, 0, 1, 2))
    return Plan(
        faults_until_s=until_s,
        crash_rate=chance.choice((0.0, 0.01, 0.04)) if is_rough else 0.0,
        unavailable_rate=chance.choice((0.0, 0.02, 0.1)) if is_rough else 0.0,
        redelivery_rate=chance.choice((0.0, 0.0, 0.05)) if is_rough else 0.0,
        latency_max_s=chance.choice((0.0, 0.001, 0.05, 1.0)),
        crash_times_s=tuple(round(chance.uniform(0, until_s), 6) for _ in range(crashes)),
        restart_times_s=tuple(round(chance.uniform(0, until_s), 6) for _ in range(restarts)),
        starts=chance.randint(1, 4),
        replace_rate=chance.choice((0.0, 0.0, 0.3)),
        terminate_rate=chance.choice((0.0, 0.0, 0.1, 0.3)),
        suspend_rate=chance.choice((0.0, 0.1, 0.3)),
        again_rate=chance.choice((0.0, 0.3)),
        worker=WorkerSettings(
            max_concurrent_activities=chance.choice((1, 2, 10)),
            max_concurrent_orchestrators=chance.choice((1, 2, 100)),
            session_cache_size=chance.choice((0, 1, 3, 100)),
            result_commit_delay_s=chance.choice((0.0, 0.01, 0.2)),
        ),
    )
