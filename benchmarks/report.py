"""Turns what was measured into one JSON line per workload."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Figure = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One run of a workload.

    Args:
        elapsed_s: From the first request to the last answer.
        operations: How many of `unit` were done in that time.
        unit: What was counted: chains, activities, events, …
        latencies_s: How long each one took.
        details: More figures that only this workload has.
    """

    elapsed_s: float
    operations: int
    unit: str
    latencies_s: Sequence[float]
    details: Mapping[str, float] = field(default_factory=dict[str, float])


def percentile(values: Sequence[float], percent: float) -> float:
    """Give the smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def figures(
    measurement: Measurement, rss_mb: float | None, peak_rss_mb: float | None
) -> dict[str, Figure]:
    """Give the figures of one run by name."""
    latencies_ms = [latency * 1000 for latency in measurement.latencies_s]
    return {
        "throughput_per_s": measurement.operations / measurement.elapsed_s,
        "p50_ms": percentile(latencies_ms, 50),
        "p95_ms": percentile(latencies_ms, 95),
        "p99_ms": percentile(latencies_ms, 99),
        "elapsed_s": measurement.elapsed_s,
        "rss_mb": rss_mb,
        "peak_rss_mb": peak_rss_mb,
        **measurement.details,
    }


def medians(runs: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
    """Give the median of each figure over the runs; None where a figure is not known."""
    result: dict[str, Figure] = {}
    for name in runs[0]:
        known = [value for run in runs if (value := run[name]) is not None]
        result[name] = round(statistics.median(known), 3) if known else None
    return result
