"""Runs one seed: draw programs and a plan, let the world happen, check the promises."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

from func_host.durable.backends import dispatch
from func_host.testing.simulation import (
    DeadlockError,
    LivelockError,
    LoopClock,
    VirtualTimeLoop,
    run_in_virtual_time,
)
from tests.simulation.checking import broken_promises, leftovers
from tests.simulation.compiling import source_of
from tests.simulation.generating import draw_programs
from tests.simulation.ledger import Ledger
from tests.simulation.plans import draw_plan
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.simulation.programs import Program

TURNS_MAX = 60_000


class SimulationError(AssertionError):
    """A promise was broken; the message says which, in which seed, and how to see it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one seed did; `unjudged` runs could go more ways than were looked at."""

    trace_hash: str
    runs: int
    unjudged: int
    virtual_s: float


def simulate(seed: int, lines: list[str] | None = None) -> Report:
    """Run one seed; with `lines`, write down everything that happens.

    Raises:
        SimulationError: A promise was broken.
    """
    programs = draw_programs(seed)
    plan = draw_plan(seed)
    loop = VirtualTimeLoop(TURNS_MAX)
    ledger = Ledger(LoopClock(loop), keeps_order=plan.keeps_order)
    ledger.lines = lines
    ledger.on_violation = loop.stop
    world = World(seed, programs, plan, LoopClock(loop), ledger)
    problems: list[str] = []
    # Virtual time never jumps, so that a look at the clock every few seconds would find nothing.
    with _listening(ledger), patch.object(dispatch, "WAIT_MAX_S", 3_600.0):
        loop.set_exception_handler(lambda _, context: ledger.violate(f"unhandled: {context}"))
        try:
            run_in_virtual_time(loop, world.run(lambda: problems.extend(leftovers(world))))
        except (DeadlockError, LivelockError) as error:
            problems.append(f"promise 9: {error} {_waiting(ledger)}")
        except RuntimeError:
            if not ledger.violations:
                raise
        except ExceptionGroup as errors:
            problems.append(f"promise 1: a client got an answer that cannot be: {_leaf(errors)!r}")
    problems = [*ledger.violations[:3], *problems]
    if not problems:
        problems += broken_promises(world, programs)
    if problems:
        raise SimulationError(_explain(seed, programs, problems))
    return Report(
        trace_hash=ledger.trace_hash,
        runs=len(ledger.runs),
        unjudged=len(world.unjudged),
        virtual_s=loop.time(),
    )


def _leaf(errors: ExceptionGroup[Exception]) -> Exception:
    first = errors.exceptions[0]
    is_group = isinstance(first, ExceptionGroup)
    return _leaf(cast("ExceptionGroup[Exception]", first)) if is_group else first


def _waiting(ledger: Ledger) -> str:
    waiting = [run.describe() for run in ledger.unfinished()]
    waiting += ledger.entities.waiting
    return f"Unfinished: {'; '.join(waiting) or 'none'}."


def _explain(seed: int, programs: tuple[Program, ...], problems: list[str]) -> str:
    return "\n".join(
        [
            f"seed {seed}:",
            *problems,
            f"Run it again: python -m tests.simulation --start {seed} --count 1 --trace",
            *(source_of(program) for program in programs),
        ]
    )


class _Listener(logging.Handler):
    """Hears of errors that the worker survives: none of them may be of its own making."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(logging.WARNING)
        self._ledger = ledger

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            frames = self.format(record)
            self._ledger.violate(f"{record.getMessage()}: {error!r}\n{frames}")
        elif record.levelno >= logging.ERROR:
            self._ledger.violate(f"{record.getMessage()}: {record.__dict__}")


@contextmanager
def _listening(ledger: Ledger) -> Generator[None]:
    logger = logging.getLogger("func_host")
    listener = _Listener(ledger)
    saved = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.propagate, logger.level = saved
