# SPDX-License-Identifier: Apache-2.0
"""A clinic's whole contribution as one vector: the change of every weight, then what it says about its scores.

One vector, because a mechanism that hides contributions must hide all of them: a histogram of scores sent beside an
encrypted update would tell the server what the update may not.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from fedgen.errors import ConfigError
from fedgen.evaluation.thresholds import BIN_EDGES

Vector = NDArray[np.float64]
TAIL = len(BIN_EDGES) - 1
"""Values after the weights: the share of scores above each upper bin edge."""


@dataclass(frozen=True)
class Layout:
    """Where each array of a model lies in the vector.

    Attributes:
        shapes: Shape of each array by name, in the model's order.
    """

    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Values of each part: one per array, and the tail."""
        return (*(prod(shape) for _, shape in self.shapes), TAIL)

    @property
    def weights(self) -> int:
        """Number of weights."""
        return sum(self.sizes) - TAIL

    @property
    def length(self) -> int:
        """Length of the vector."""
        return sum(self.sizes)

    def spread(self, per_part: Vector) -> Vector:
        """Return one value per place of the vector from one per part."""
        return np.repeat(per_part, self.sizes)

    def parts(self, vector: Vector) -> list[Vector]:
        """Return the vector's parts, as views."""
        return np.split(vector, np.cumsum(self.sizes)[:-1])


def layout_of(arrays: ArrayRecord) -> Layout:
    """Return the layout of a model.

    Raises:
        ConfigError: An array does not hold 32-bit floats: counters and flags cannot be averaged under protection.
    """
    for name, array in arrays.items():
        if array.dtype != "float32":
            raise ConfigError(f"{name} holds {array.dtype}; protected updates need models of 32-bit floats only")
    return Layout(tuple((name, tuple(array.shape)) for name, array in arrays.items()))


def difference(after: ArrayRecord, before: ArrayRecord) -> Vector:
    """Return the change of all weights, shape [weights]."""
    return np.concatenate([(after[name].numpy().astype(np.float64) - before[name].numpy()).ravel() for name in before])


def moved(before: ArrayRecord, change: Vector) -> ArrayRecord:
    """Return a model moved by a change of shape [weights]."""
    layout = layout_of(before)
    result: OrderedDict[str, Array] = OrderedDict()
    start = 0
    for name, shape in layout.shapes:
        size = prod(shape)
        moved_array = before[name].numpy() + change[start : start + size].reshape(shape)
        result[name] = Array(moved_array.astype(np.float32))
        start += size
    return ArrayRecord(result)


def read_floats(record: ArrayRecord, name: str, length: int) -> Vector | None:
    """Return a vector of finite 32-bit floats out of a reply, or None where it is anything else."""
    values = read_array(record, name, np.dtype(np.float32))
    if values is None or values.shape != (length,) or not np.all(np.isfinite(values)):
        return None
    return values.astype(np.float64)


def read_array(record: ArrayRecord, name: str, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return an array out of a reply, or None where it is absent, of another type, or not an array at all."""
    array = record.get(name)
    if array is None:
        return None
    try:
        values = array.numpy()
    except Exception:  # the bytes are the sender's; whatever NumPy makes of them is the sender's fault alone
        return None
    return values if values.dtype == dtype else None


def shares_above(counts: NDArray[np.float64]) -> Vector:
    """Return the share of counts in the bins after each; zeros where nothing was counted."""
    total = float(counts.sum())
    return (total - np.cumsum(counts)) / total if total > 0 else np.zeros(len(counts))


def quantile_of_shares(above: Vector, quantile: float) -> float:
    """Return the score below which a share of the scores lies, from the shares above each bin.

    The nearest shares that never rise take their place (least squares): rounding may have made them cross. Within a bin
    scores are taken as spread evenly.
    """
    below = np.concatenate([[0.0], np.clip(isotonic_regression(1.0 - above).x, 0.0, 1.0)])
    last = max(1, int(np.searchsorted(below, quantile, side="left")))
    if last == len(below):
        return float(BIN_EDGES[-1])
    inside = (quantile - below[last - 1]) / (below[last] - below[last - 1])
    return float(BIN_EDGES[last - 1] + inside * (BIN_EDGES[last] - BIN_EDGES[last - 1]))
