"""Draws a plan of what goes wrong while programs run."""

from __future__ import annotations

from dataclasses import dataclass

from func_host.durable.worker.settings import WorkerSettings
from tests.simulation.chance import stream


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
    keeps_order: bool
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
        keeps_order=chance.random() < 0.6,
        worker=WorkerSettings(
            max_concurrent_activities=chance.choice((1, 2, 10)),
            max_concurrent_orchestrators=chance.choice((1, 2, 100)),
            session_cache_size=chance.choice((0, 1, 3, 100)),
            result_commit_delay_s=chance.choice((0.0, 0.01, 0.2)),
            max_concurrent_entities=chance.choice((1, 2, 100)),
            entity_batch_max=chance.choice((1, 2, 5_000)),
        ),
    )
