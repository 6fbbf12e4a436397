# SPDX-License-Identifier: Apache-2.0
"""Detection quality: ranking measures, and counts at a threshold.

A measure that is undefined (no positive beats, say) is left out of a result, never given as NaN.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from fedgen.data import aami

POSITIVE_CLASSES: dict[str, tuple[int, ...]] = {"svf": (aami.S, aami.V, aami.F), "v": (aami.V,)}
"""What each task must find among normal beats; beats of other classes take no part in the task."""


def auroc(scores: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> float:
    """Return the area under the receiver operating characteristic.

    The chance that a positive scores above a negative, ties counting half: (R - p(p+1)/2) / (p n), with R
    the sum of the positives' ranks, p positives and n negatives (Mann-Whitney).

    Raises:
        ValueError: There is no positive or no negative.
    """
    positives = int(is_positive.sum())
    negatives = len(scores) - positives
    if positives == 0 or negatives == 0:
        raise ValueError("AUROC needs positives and negatives")
    rank_sum = float(rankdata(scores)[is_positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def auprc(scores: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> float:
    """Return the average precision: sum over score steps of (gain in recall) x precision.

    Tied scores are one step. No interpolation between steps.

    Raises:
        ValueError: There is no positive.
    """
    positives = int(is_positive.sum())
    if positives == 0:
        raise ValueError("AUPRC needs positives")
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    steps = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    found = np.cumsum(is_positive[order])[steps]
    precision = found / (steps + 1)
    return float(np.sum(np.diff(found, prepend=0) * precision) / positives)


def at_threshold(scores: NDArray[np.float64], is_positive: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Return accuracy, precision, recall and F1 when scores above the threshold are called positive.

    Precision is left out when nothing is called positive, recall when nothing is; F1 is
    2 tp / (2 tp + fp + fn), left out when that is 0/0.
    """
    called = scores > threshold
    true_positives = float(np.sum(called & is_positive))
    false_positives = float(np.sum(called & ~is_positive))
    false_negatives = float(np.sum(~called & is_positive))
    result = {"accuracy": float(np.mean(called == is_positive))} if len(scores) else {}
    for name, numerator, denominator in (
        ("precision", true_positives, true_positives + false_positives),
        ("recall", true_positives, true_positives + false_negatives),
        ("f1", 2 * true_positives, 2 * true_positives + false_positives + false_negatives),
    ):
        if denominator > 0.0:
            result[name] = numerator / denominator
    return result


def task_metrics(scores: NDArray[np.float64], classes: NDArray[np.int8], threshold: float | None) -> dict[str, float]:
    """Measure every task of `POSITIVE_CLASSES`.

    Args:
        scores: Anomaly scores, shape [beats].
        classes: AAMI class codes, shape [beats].
        threshold: Threshold of the scores; None leaves out what needs one.

    Returns:
        Values under keys such as `svf.auroc` and `v.f1`.
    """
    result: dict[str, float] = {}
    for task, positive in POSITIVE_CLASSES.items():
        taking_part = np.isin(classes, (aami.N, *positive))
        task_scores, is_positive = scores[taking_part], classes[taking_part] != aami.N
        if is_positive.any() and not is_positive.all():
            result[f"{task}.auroc"] = auroc(task_scores, is_positive)
            result[f"{task}.auprc"] = auprc(task_scores, is_positive)
        if threshold is not None:
            measured = at_threshold(task_scores, is_positive, threshold)
            result.update({f"{task}.{name}": value for name, value in measured.items()})
    return result
