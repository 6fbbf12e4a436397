"""Means over seeds with their intervals, and differences in pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval.

    Attributes:
        mean: Mean; None where no run has the figure.
        low, high: Student-t interval; None below two runs.
        count: Runs that have the figure.
    """

    mean: float | None
    low: float | None
    high: float | None
    count: int


def estimate(values: Sequence[float]) -> Estimate:
    """Return mean and 95 % interval m -+ t(0.975, n-1) s / sqrt(n); what is not normal is only roughly covered by it."""
    from scipy.stats import t

    count = len(values)
    if count == 0:
        return Estimate(None, None, None, 0)
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, None, None, 1)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(t.ppf(0.975, count - 1)) * spread / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half, count)


def paired_difference(ours: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate:
    """Return the estimate of ours - baseline over the seeds that both have."""
    return estimate([ours[seed] - baseline[seed] for seed in sorted(ours) if seed in baseline])


def flatten(summary: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return all numbers of a summary by dotted path; lists, texts and unknown figures are left out."""
    figures: dict[str, float] = {}
    for key, value in summary.items():
        if isinstance(value, Mapping):
            figures.update(flatten(value, f"{prefix}{key}."))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            figures[f"{prefix}{key}"] = float(value)
    return figures
