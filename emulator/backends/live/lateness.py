"""Counts how late things happen, in little memory: a histogram with steps of a tenth."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

_STEP: Final = math.log(1.1)
_FLOOR_S: Final = 1e-6


@dataclass
class Lateness:
    """How late ``count`` things were; quantiles are exact within a tenth of their value."""

    steps: Counter[int] = field(default_factory=Counter)
    count: int = 0
    worst_s: float = 0.0

    def add(self, late_s: float) -> None:
        """Count one."""
        self.count += 1
        if late_s > self.worst_s:
            self.worst_s = late_s
        self.steps[0 if late_s <= _FLOOR_S else math.ceil(math.log(late_s / _FLOOR_S) / _STEP)] += 1

    def quantile_s(self, share: float) -> float:
        """Return the lateness that ``share`` of all do not exceed (upper edge of its step); 0 where nothing was counted."""
        left = share * self.count
        for step in sorted(self.steps):
            left -= self.steps[step]
            if left <= 0:
                return min(self.worst_s, _FLOOR_S * math.exp(step * _STEP))
        return self.worst_s

    def to_dict(self) -> dict[str, Any]:
        """Return the figures a report needs."""
        return {
            "count": self.count,
            "p50_s": self.quantile_s(0.5),
            "p99_s": self.quantile_s(0.99),
            "worst_s": self.worst_s,
        }
