"""What a metric's name says about it: which way is better, whether it is of the model at all, how well known it is."""

from __future__ import annotations

from typing import Final

ACCEPTED: Final = "round.accepted"
"""A metric an app may report for each round: 1 where the round gave a new model, else 0."""

_WELL_KNOWN: Final = ("auroc", "auprc", "f1", "accuracy", "sensitivity", "specificity", "recall", "precision")
_LOWER_IS_BETTER: Final = (
    "loss", "mse", "mae", "rmse", "error", "ece", "brier", "mmd", "fid", "distance", "nll", "perplexity", "prd",
)  # fmt: skip


def is_lower_better(metric: str) -> bool:
    """Return whether a smaller value of ``metric`` is better, judged by its name (loss, error, distance ...)."""
    words = metric.lower().replace("-", "_").split(".")[-1].split("_")
    return any(word.endswith(_LOWER_IS_BETTER) for word in words)


def is_bookkeeping(metric: str) -> bool:
    """Return whether a metric is of the round's course (``round.replies``, ``num-examples``), not of the model."""
    return f".{metric}".rpartition(".")[0].endswith(".round") or metric.endswith("num-examples")


def metric_rank(metric: str) -> tuple[int, str]:
    """Return a key that puts well-known scores first, then the rest, then what is better when lower."""
    last = metric.split(".")[-1]
    place = _WELL_KNOWN.index(last) if last in _WELL_KNOWN else len(_WELL_KNOWN)
    return (len(_WELL_KNOWN) + 1 if is_lower_better(metric) else place, metric)
