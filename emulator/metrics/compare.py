"""How far two runs of one plan are apart: latency by round and phase, bytes, participation, quality. Pure, from their tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

PHASES: Final = ("latency_s", "wait_s", "download_s", "compute_s", "upload_s", "unanswered_s")
"""Columns of the rounds table that are compared, the whole first."""
SHORT_S: Final = 0.5
"""A phase shorter than this in both runs is compared by its difference in seconds only: polls alone are longer."""


@dataclass(frozen=True)
class Difference:
    """One figure in both runs.

    Attributes:
        what: Name, with the round or link it belongs to.
        kind: ``latency``, ``phase``, ``bytes``, ``participation`` or ``quality``.
        first: In the first run.
        second: In the second run, against which errors are counted.
        error: ``(first - second) / second``; None where the second is 0 or both are too short to tell.
    """

    what: str
    kind: str
    first: float
    second: float
    error: float | None


@dataclass(frozen=True)
class Tolerance:
    """How far apart two runs may be, as relative errors without their sign."""

    latency_median: float = 0.10
    latency_worst: float = 0.25
    bytes_total: float = 0.02


def compare_tables(first: Mapping[str, pd.DataFrame], second: Mapping[str, pd.DataFrame]) -> list[Difference]:
    """Return every figure both runs have: per round, and in all for bytes.

    Args:
        first: Tables of one run (live), by name.
        second: Tables of the other (virtual), taken as the measure.
    """
    differences: list[Difference] = []
    rounds = (
        first["rounds"]
        .set_index("round")
        .join(second["rounds"].set_index("round"), lsuffix=".1", rsuffix=".2", how="inner")
    )
    for number, row in rounds.iterrows():
        for name in PHASES:
            kind = "latency" if name == "latency_s" else "phase"
            differences.append(_difference(f"round {number} {name}", kind, row[f"{name}.1"], row[f"{name}.2"]))
        differences.append(
            _difference(
                f"round {number} participation", "participation", row["participation.1"], row["participation.2"]
            )
        )
        for name in sorted(
            column[:-2] for column in rounds.columns if column.startswith("metric.") and column.endswith(".1")
        ):
            if f"{name}.2" in rounds.columns:
                differences.append(_difference(f"round {number} {name}", "quality", row[f"{name}.1"], row[f"{name}.2"]))
    totals = [tables["links"]["flow_bytes"].sum() for tables in (first, second)]
    return [*differences, _difference("bytes over all links", "bytes", totals[0], totals[1])]


def beyond(differences: Iterable[Difference], tolerance: Tolerance) -> list[str]:
    """Return in words what is farther apart than ``tolerance`` allows; empty where nothing is."""
    latency = errors_of(differences, "latency")
    found = []
    if latency and statistics.median(latency) > tolerance.latency_median:
        found.append(
            f"round latency: median error {statistics.median(latency):.1%}, allowed {tolerance.latency_median:.0%}"
        )
    if latency and max(latency) > tolerance.latency_worst:
        found.append(f"round latency: worst error {max(latency):.1%}, allowed {tolerance.latency_worst:.0%}")
    for error in errors_of(differences, "bytes"):
        if error > tolerance.bytes_total:
            found.append(f"bytes over all links: error {error:.1%}, allowed {tolerance.bytes_total:.0%}")
    return found


def errors_of(differences: Iterable[Difference], kind: str) -> list[float]:
    """Return the relative errors of one kind, without their sign."""
    return [abs(each.error) for each in differences if each.kind == kind and each.error is not None]


def kendall_tau(first: Sequence[float], second: Sequence[float], *, tie: Sequence[float] | None = None) -> float:
    """Return Kendall's tau-b of two rankings of the same things; 1 where they rank alike.

    Args:
        first: Figures by one ranking.
        second: Figures by the other.
        tie: Spread of each first figure: what is closer than the larger of two spreads counts as tied, in both rankings.

    Raises:
        ValueError: The lengths differ, or one ranking ties everything.
    """
    spread = tie or [0.0] * len(first)
    if not len(first) == len(second) == len(spread):
        raise ValueError(f"rankings of {len(first)}, {len(second)} and {len(spread)} things cannot be compared")
    agree = pairs_first = pairs_second = 0
    for i in range(len(first)):
        for j in range(i):
            within = max(spread[i], spread[j])
            a, b = _sign(first[i] - first[j], within), _sign(second[i] - second[j], within)
            agree += a * b
            pairs_first += a != 0
            pairs_second += b != 0
    if not pairs_first or not pairs_second:
        raise ValueError("one of the rankings ties everything")
    return agree / math.sqrt(pairs_first * pairs_second)


def _sign(difference: float, within: float) -> int:
    return 0 if abs(difference) <= within else 1 if difference > 0 else -1


def _difference(what: str, kind: str, first: Any, second: Any) -> Difference:
    a, b = float(first), float(second)
    is_short = kind == "phase" and max(abs(a), abs(b)) < SHORT_S
    is_known = math.isfinite(a) and math.isfinite(b) and b != 0 and not is_short
    return Difference(what, kind, a, b, (a - b) / b if is_known else None)
