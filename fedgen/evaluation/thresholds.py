# SPDX-License-Identifier: Apache-2.0
"""A common threshold from the clients' own training scores, without any score leaving its clinic.

Each client counts the scores of its normal training beats in public, fixed bins and sends the counts. The
server adds them up and takes a quantile. No test data and no abnormal beat has a part in it.
"""

import numpy as np
from numpy.typing import NDArray

BIN_EDGES: NDArray[np.float64] = np.linspace(-4.0, 12.0, 161)
"""Public bin edges, 0.1 apart; scores beyond them count in the outermost bins."""


def histogram(scores: NDArray[np.float64]) -> list[int]:
    """Count scores in the public bins.

    Args:
        scores: Shape [beats].

    Returns:
        160 counts that add up to the number of scores.
    """
    counts, _ = np.histogram(np.clip(scores, BIN_EDGES[0], BIN_EDGES[-1]), bins=BIN_EDGES)
    return [int(count) for count in counts]


def combine(histograms: list[list[int]]) -> list[int]:
    """Add up histograms bin by bin.

    Raises:
        ValueError: There is none, or one has another number of bins or a negative count.
    """
    bins = len(BIN_EDGES) - 1
    if not histograms or any(len(counts) != bins or min(counts) < 0 for counts in histograms):
        raise ValueError(f"a histogram needs {bins} counts of at least 0")
    return [sum(column) for column in zip(*histograms, strict=True)]


def quantile_of(counts: list[int], quantile: float) -> float:
    """Find the score below which a share of the counted scores lies.

    Within a bin the scores are taken as spread evenly, so the answer is at most one bin (0.1) off.

    Args:
        counts: One count per bin.
        quantile: Share, between 0 and 1.

    Returns:
        The score.

    Raises:
        ValueError: Nothing was counted.
    """
    cumulative = np.concatenate([[0.0], np.cumsum(np.asarray(counts, dtype=np.float64))])
    if cumulative[-1] <= 0.0:
        raise ValueError("a threshold needs at least one counted score")
    target = quantile * cumulative[-1]
    last = int(np.searchsorted(cumulative, target, side="left"))
    if last == 0:
        return float(BIN_EDGES[0])
    inside = (target - cumulative[last - 1]) / (cumulative[last] - cumulative[last - 1])
    return float(BIN_EDGES[last - 1] + inside * (BIN_EDGES[last] - BIN_EDGES[last - 1]))
