"""What limits the worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Limits of the worker; the defaults suit one host with one core to itself.

    Args:
        max_concurrent_activities: Activities that run at the same time.
        max_concurrent_orchestrators: Instances that are fed or committed at the same time.
        session_cache_size: Orchestrators kept suspended in memory; beyond it the one that has not
            been fed for longest is dropped and costs a replay when it is next needed.
        result_commit_delay_s: How long a result that lets nothing go on may wait for others to
            share its commit.
        max_concurrent_entities: Entities whose operations run at the same time.
        entity_batch_max: Operations of one entity that share a commit.
        entity_reorder_window_s: How long a request waits for one that was sent before it, where
            the store does not keep their order; 0 for not at all.
        retry_delay_s: First delay after a failed load or commit; it doubles up to the next.
        retry_delay_max_s: Longest delay between tries.
    """

    max_concurrent_activities: int = 10
    max_concurrent_orchestrators: int = 100
    session_cache_size: int = 1_000
    result_commit_delay_s: float = 0.01
    max_concurrent_entities: int = 100
    entity_batch_max: int = 5_000
    entity_reorder_window_s: float = 1_800.0
    retry_delay_s: float = 0.05
    retry_delay_max_s: float = 10.0
